"""STOMP 1.2 frames, to bytes and from bytes, without any IO.

Format: https://stomp.github.io/stomp-specification-1.2.html. Written here because the client library at hand reads byte by byte (1.3 s for
a document of 10 MB, while nothing else runs), puts no bound on what it keeps, and keeps from us why a broker refused a login.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_HEAD = 64 * 2**10
"""Bytes of a frame's command and headers; more is no STOMP."""
MAX_KEPT = 64 * 2**20
"""Bytes of a body that are kept; of a longer one the rest is dropped. It is four times what the core takes, so it is refused anyway."""

_ESCAPES = {"\\": "\\\\", "\r": "\\r", "\n": "\\n", ":": "\\c"}
_UNESCAPES = {escape: character for character, escape in _ESCAPES.items()}
_UNESCAPED = ("CONNECT", "CONNECTED")
"""Their headers are written as they are, for the sake of older versions."""
_HEAD_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame."""

    command: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

    def encode(self) -> bytes:
        """The frame as it is sent."""
        escape = str if self.command in _UNESCAPED else _escape
        lines = [self.command, *(f"{escape(name)}:{escape(value)}" for name, value in self.headers.items()), "", ""]
        return "\n".join(lines).encode() + self.body + b"\0"


class FrameReader:
    """Bytes in, frames out; heartbeats are no frames.

    A body without ``content-length`` ends at its first zero byte. Each byte is looked at once, however the stream is cut.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._head: Frame | None = None
        self._body = bytearray()
        self._left: int | None = None
        """Of the body, where its length is known."""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete.

        :raises ValueError: this is no STOMP; the reader is of no use any more
        """
        self._data += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if self._head is None:
            self._head = self._take_head()
            if self._head is None:
                return None
            length = self._head.headers.get("content-length")
            self._left, self._body = None if length is None else _whole(length), bytearray()
        if not self._take_body():
            return None
        head, self._head = self._head, None
        return Frame(head.command, head.headers, bytes(self._body))

    def _take_head(self) -> Frame | None:
        while self._data[:1] in (b"\n", b"\r"):
            del self._data[0]
        end = _HEAD_END.search(self._data)
        if (end.start() if end else len(self._data)) > MAX_HEAD:
            raise ValueError(f"a frame's head has more than {MAX_HEAD} bytes")
        if end is None:
            return None
        head = self._data[: end.start()].decode()
        del self._data[: end.end()]
        return _head(head)

    def _take_body(self) -> bool:
        """Whether the body, and the zero byte after it, are here."""
        if self._left is None:
            end = self._data.find(0)
            self._keep(len(self._data) if end < 0 else end)
            if end < 0:
                return False
        else:
            here = min(self._left, len(self._data))
            self._keep(here)
            self._left -= here
            if not self._data:
                return False
            if self._data[0]:
                raise ValueError("a frame is longer than it says")
        del self._data[0]
        return True

    def _keep(self, count: int) -> None:
        room = MAX_KEPT - len(self._body)
        self._body += self._data[: min(count, room)]
        del self._data[:count]


def _head(text: str) -> Frame:
    command, *lines = text.replace("\r\n", "\n").split("\n")
    if not command.isalpha() or not command.isupper():
        raise ValueError(f"it sent {command[:40]!r} where a command was expected")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"it sent {line[:40]!r} where a header was expected")
        if command not in _UNESCAPED:
            name, value = _unescape(name), _unescape(value)
        headers.setdefault(name, value)  # of several the first counts
    return Frame(command, headers)


def _whole(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text.strip()):
        raise ValueError(f"it sent the content-length {text[:40]!r}")
    return int(text)


def _escape(text: str) -> str:
    return re.sub(r"[\\\r\n:]", lambda found: _ESCAPES[found[0]], text)


def _unescape(text: str) -> str:
    try:
        return re.sub(r"\\.?", lambda found: _UNESCAPES[found[0]], text)
    except KeyError as error:
        raise ValueError(f"it sent the unknown escape {error.args[0]!r}") from None
