"""What the streaming process tells its gateways over a topic: all that its board shows, one message after another.

Text messages are JSON with ``type``: ``board``, ``run``, ``notices``. Binary messages are those of the feed, ``points`` and ``array``,
under subscription 0, and ``part``, of which several make one that is larger than brokers take. Their order counts; any may come again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import msgspec
import numpy.typing as npt

from wpb_stream.core.binary import ArrayHeader, PointsHeader, decode_binary, framed, header_length
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import Notice

MAX_MESSAGE_BYTES = 950_000
"""Of one message: brokers take 1 MiB with its key and their own headers, unless they are told otherwise."""


class OnBoard(msgspec.Struct, tag="board", tag_field="type", frozen=True):
    """Which runs there are: all others are over, and are to be asked of the catalogue."""

    epoch: int
    """Of the process that tells it: each that takes over the catalogue has a higher one."""
    number: int
    """How often that process had told it before."""
    latest: str | None
    """Uid of the run that started last."""
    runs: list[str]
    """Uids."""


class Described(msgspec.Struct, tag="run", tag_field="type", frozen=True):
    """A revision of a run: what is said of it, or is said otherwise now."""

    run: RunInfo
    revision: str
    produced_by: str
    described: int
    """Counts how often the description grew."""
    ended: bool = False
    """No row follows: there are as many as the run object says."""
    reason: str = ""


class Noticed(msgspec.Struct, tag="notices", tag_field="type", frozen=True):
    """Notices of a run, in their order."""

    run: str
    revision: str
    first: int
    """How many there were before."""
    notices: list[Notice]


Text = OnBoard | Described | Noticed
Binary = tuple[PointsHeader | ArrayHeader, dict[str, npt.NDArray[Any]]]


class PartHeader(msgspec.Struct, tag="part", tag_field="type", frozen=True):
    """Header of a part of a larger message."""

    number: int
    """From 0."""
    of: int
    crc: int
    """CRC-32 of the whole message."""


_text_decoder = msgspec.json.Decoder(Text)
_part_decoder = msgspec.json.Decoder(PartHeader)


@dataclass(frozen=True, slots=True)
class Record:
    """One message on the topic."""

    run: str
    """The run it is of, which is its key; empty for what is told of several."""
    value: bytes


def encode(message: Text) -> bytes:
    """A text message; NaN and infinities, which JSON lacks, become null."""
    return msgspec.json.encode(message)


def decode(value: bytes) -> Text | Binary:
    """A message that is whole; arrays are views on it.

    :raises ProtocolError: it is damaged
    """
    # Unambiguous: a binary message begins with the lowest byte of a length that is 4 above a multiple of 8, which "{" is not.
    if value[:1] != b"{":
        return decode_binary(value)
    try:
        return _text_decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError("bad_message", f"not a message of a board: {error}") from None


def records(run: str, message: bytes, max_bytes: int = MAX_MESSAGE_BYTES) -> Iterator[Record]:
    """A message as it goes onto the topic: as it is, or in parts.

    :param run: uid of its run, or empty
    """
    if len(message) <= max_bytes:
        yield Record(run, message)
        return
    cuts = range(0, len(message), max_bytes)
    for number, first in enumerate(cuts):
        header = PartHeader(number, len(cuts), crc32(message))
        yield Record(run, framed(msgspec.json.encode(header), [message[first : first + max_bytes]]))


@dataclass(slots=True)
class Whole:
    """Puts parts together again. Holds those of one message: the parts of a message follow each other.

    Where another process's come in between, or the first ones are lost, there is no message.
    """

    _crc: int = 0
    _parts: list[bytes] = field(default_factory=list[bytes])

    def take(self, value: bytes) -> bytes | None:
        """The message that is whole with this one; None if it is a part and others are missing."""
        part = _part_of(value)
        if part is None:
            return value
        header, payload = part
        if header.number == 0:
            self._crc, self._parts = header.crc, []
        if header.crc != self._crc or header.number != len(self._parts):
            return None
        self._parts.append(payload)
        if len(self._parts) < header.of:
            return None
        whole, self._parts = b"".join(self._parts), []
        return whole if crc32(whole) == header.crc else None


def _part_of(value: bytes) -> tuple[PartHeader, bytes] | None:
    if value[:1] == b"{":
        return None
    end = 4 + header_length(value)
    try:
        return _part_decoder.decode(value[4:end]), value[end:]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
