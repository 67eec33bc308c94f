"""Messages in a recording, as far as it is written: JSON Lines, a JSON array, or an object whose ``events`` are one.

Cuts bytes into the bytes of single messages and never decodes further: what is in them, and whether it is broken, others say.
A recording may still grow, and may end anywhere.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import msgspec

from wpb_stream.core.documents import MAX_BYTES
from wpb_stream.core.narrow import as_mapping

_ARRAY = re.compile(rb'\s*(?:\{[^\[{]*"events"\s*:\s*)?\[')
"""How a recording begins whose messages are the elements of an array: bluesky's ``JSONWriter``, or a bus dumped with a word about it."""
_ELEMENT = re.compile(rb"[\s,]*")
_SHORT = 64 * 2**10
"""Most messages are shorter: so much is looked at first."""
_BOM = b"\xef\xbb\xbf"
_decoder = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Cut:
    """One message cut out of a recording."""

    value: bytes
    end: int
    """Where in the bytes it was cut from the next one begins."""


def is_array(head: bytes) -> bool | None:
    """Whether the messages are elements of an array rather than lines; None while too little of it is known.

    :param head: the beginning of the recording
    """
    text = head.removeprefix(_BOM)
    if _ARRAY.match(text):
        return True
    return None if not text.strip() or (b"\n" not in text and not _is_object(text)) else False


def skip_head(head: bytes) -> int:
    """Bytes before the first element of an array, or before the first line."""
    begin = len(_BOM) if head.startswith(_BOM) else 0
    found = _ARRAY.match(head, begin)
    return found.end() if found else begin


def next_line(data: bytes, begin: int) -> Cut | None:
    """The next line that is not blank; None while there is none. The last one needs no end if it is a whole JSON object."""
    while begin < len(data):
        end = data.find(b"\n", begin)
        if end < 0:
            rest = data[begin:]
            if len(rest) > MAX_BYTES:
                return Cut(rest, len(data))
            return Cut(rest.strip(), len(data)) if _is_object(rest) else None
        if line := data[begin:end].strip():
            return Cut(line, end + 1)
        begin = end + 1
    return None


def next_element(data: bytes, begin: int) -> Cut | None:
    """The next element of the array; None while it is not complete, and once the array has ended."""
    blank = _ELEMENT.match(data, begin)
    first = blank.end() if blank else begin
    if data[first : first + 1] in (b"", b"]"):
        return None
    for size in (_SHORT, len(data)):
        text = data[first : first + size].decode("utf-8", "replace")
        try:
            _, length = _decoder.raw_decode(text)
        except ValueError:
            continue
        if length == len(text) and text[0] not in '{["':
            return None  # a number may go on
        end = first + len(text[:length].encode())
        return Cut(data[first:end], end)
    return Cut(data[first:], len(data)) if len(data) - first > MAX_BYTES else None


def unwrap(value: bytes) -> bytes | None:
    """The body of a recorded STOMP frame; other messages as they are; None for a frame that carries no message."""
    if b'"body"' not in value or b'"command"' not in value:
        return value
    try:
        frame = as_mapping(msgspec.json.decode(value))
    except msgspec.DecodeError:
        return value
    body = frame.get("body")
    if not isinstance(body, str) or "command" not in frame:
        return value
    return body.encode() if frame["command"] == "MESSAGE" else None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
