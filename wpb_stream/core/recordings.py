"""Messages in a recording, as far as it is written: JSON Lines, a JSON array, or an object whose ``events`` are one.

Cuts bytes into the bytes of single messages and never decodes further: what is in them, and whether it is broken, others say.
A recording may still grow, and may end anywhere. Written by bluesky's ``JSONLinesWriter`` and ``JSONWriter``, by suitcase-jsonl (a line is
``[name, doc]``), or dumped off a bus.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import msgspec

from wpb_stream.core.documents import MAX_BYTES
from wpb_stream.core.narrow import as_mapping

_BOM = b"\xef\xbb\xbf"
_BLANK = re.compile(r"\s*")
_LINE_BLANK = b" \t\r\n\0"
"""Nothing to read: NULs are what some file systems leave of a line when the power fails."""
_BETWEEN = re.compile(rb"(?:[\s,]|\]\s*\[|\](?=[\s,]*\{))*")
"""Between two elements. ``JSONWriter`` closes its array at a stop document, and may be given more after it."""
_SHORT = 64 * 2**10
"""Most messages are shorter: so much is looked at first."""
_TOKEN = 12
"""Characters in the longest piece of JSON that is an error while its end is missing, ``-Infinity`` or an escape, and some to spare."""
_decoder = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the messages of a recording are."""

    array: bool
    """Elements of an array; else lines."""
    begin: int
    """The byte they begin at."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One message cut out of a recording."""

    value: bytes
    end: int
    """Where in the bytes it was cut from the next one begins."""
    unfinished: bool = False
    """It is too long to be used, and goes on to the end of its line."""


def find_layout(head: bytes, *, enough: bool = False) -> Layout | None:
    """How a recording is made up; None while too little of it is written to tell.

    :param head: its beginning
    :param enough: decide; no more of it will be shown
    """
    start = len(_BOM) if head.startswith(_BOM) else 0
    text = head.decode("latin-1")  # a character a byte; what matters here is ASCII
    first = _skip_blank(text, start)
    lines = Layout(False, start)
    if text[first : first + 1] == "[":
        inner = text[_skip_blank(text, first + 1) :][:1]
        if inner != '"':
            return Layout(True, first + 1) if inner or enough else None
    elif text[first : first + 1] == "{":
        events = _find_events(text, first + 1)
        if events != 0:
            return Layout(True, events) if events else (lines if enough else None)
    return lines if first < len(text) or enough else None


def _find_events(text: str, at: int) -> int | None:
    """Where the elements of the outer object's ``events`` begin; 0 if it has none, None while that is not known."""
    try:
        while True:
            key, at = _decoder.raw_decode(text, _skip_blank(text, at))
            at = _skip_blank(text, at)
            if not isinstance(key, str) or key in ("doc", "command") or text[at : at + 1] not in (":", ""):
                return 0
            at = _skip_blank(text, at + 1)
            if key == "events" and text[at : at + 1] in ("[", ""):
                return at + 1 if text[at:] else None
            _, at = _decoder.raw_decode(text, at)
            at = _skip_blank(text, at)
            if text[at : at + 1] not in (",", ""):
                return 0
            at += 1
    except json.JSONDecodeError as error:
        return None if _is_cut_off(error) else 0
    except RecursionError:
        return 0


def next_line(data: bytes, begin: int, *, at_end: bool = True) -> Cut | None:
    """The next line that is not blank; None while there is none.

    :param at_end: no more bytes are there for now: a last line without its end counts if it is whole JSON
    """
    at = begin
    while (end := data.find(b"\n", at)) >= 0:
        if line := data[at:end].strip(_LINE_BLANK):
            return Cut(line, end + 1)
        at = end + 1
    if len(data) - begin > MAX_BYTES:
        return _too_long(data, begin)
    rest = data[at:].strip(_LINE_BLANK) if at_end else b""
    return Cut(rest, len(data)) if _is_whole(rest) else None


def next_element(data: bytes, begin: int) -> Cut | None:
    """The next element of the array; None while it is not complete, and once the array has ended.

    One that is broken goes to the end of its line.
    """
    first = _between(data, begin)
    if data[first : first + 1] in (b"", b"]"):
        return None
    for size in (_SHORT, len(data)):
        text = data[first : first + size].decode("latin-1")
        try:
            _, length = _decoder.raw_decode(text)
        except json.JSONDecodeError as error:
            if _is_cut_off(error):
                continue
            return _broken(data, first, first + error.pos)
        except RecursionError:
            return _broken(data, first, first)
        if length < len(text) or text[0] in '{["':  # a number may go on
            return Cut(data[first : first + length], first + length)
    return _too_long(data, begin) if len(data) - begin > MAX_BYTES else None


def has_more_after_end(data: bytes, begin: int) -> bool:
    """Whether the array has ended and something follows that is not read."""
    rest = data[_between(data, begin) :]
    return rest.startswith(b"]") and bool(rest.strip(b"]}" + _LINE_BLANK))


def unwrap(value: bytes) -> bytes | None:
    """The body of a recorded STOMP frame; other messages as they are; None for a frame that carries no message."""
    if b'"body"' not in value or b'"command"' not in value:
        return value
    try:
        frame = as_mapping(msgspec.json.decode(value))
    except (msgspec.DecodeError, RecursionError):
        return value
    body = frame.get("body")
    if not isinstance(body, str) or "command" not in frame:
        return value
    return body.encode() if frame["command"] == "MESSAGE" else None


def _too_long(data: bytes, begin: int) -> Cut:
    # One byte more than is allowed, so that the core refuses it for its length.
    return Cut(data[begin : begin + MAX_BYTES + 1], begin + MAX_BYTES + 1, unfinished=True)


def _broken(data: bytes, first: int, at: int) -> Cut:
    end = data.find(b"\n", at)
    end = len(data) if end < 0 else end + 1
    return Cut(data[first:end].rstrip(b"," + _LINE_BLANK), end)


def _between(data: bytes, begin: int) -> int:
    found = _BETWEEN.match(data, begin)
    return found.end() if found else begin


def _skip_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _is_cut_off(error: json.JSONDecodeError) -> bool:
    """Whether more text could make it right."""
    return error.msg.startswith("Unterminated string") or error.pos > len(error.doc) - _TOKEN


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), (dict, list))
    except (ValueError, RecursionError):
        return False
