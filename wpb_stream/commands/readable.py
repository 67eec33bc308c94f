"""A message as readable as can be made of it, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from wpb_stream.commands.terminal import printable
from wpb_stream.core.documents import decode
from wpb_stream.core.exceptions import DocumentError

LONGEST = 20_000
"""Characters that are shown at most."""
DUMPED_BYTES = 1024
"""Bytes that are shown of what is no text."""
_LINE_BYTES = 16


def readable(value: bytes) -> str:
    """JSON with indentation, else text, else a hex dump; each from its beginning, and bounded."""
    text = _as_json(value)
    if text is None:
        text = _as_text(value)
    if text is None:
        return hex_dump(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n... {len(text) - LONGEST} characters more"


def _as_json(value: bytes) -> str | None:
    try:
        return json.dumps(decode(value), indent=2)
    except (DocumentError, ValueError):
        pass
    try:
        # Refused as a document; what can be unpacked all the same shows why. A bare number is no message but the first byte of nonsense.
        unpacked: Any = msgspec.msgpack.decode(value)
        return json.dumps(unpacked, indent=2, default=repr) if isinstance(unpacked, (list, dict)) else None
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
        return None


def _as_text(value: bytes) -> str | None:
    try:
        text = value[: 4 * LONGEST].decode(errors="strict" if len(value) <= 4 * LONGEST else "ignore")
    except UnicodeDecodeError:
        return None
    return printable(text) if text and sum(map(str.isprintable, text)) > 0.9 * len(text) else None


def hex_dump(value: bytes) -> str:
    """The first bytes: offset, hexadecimal digits, and the characters of ASCII among them."""
    lines = [_dumped(begin, value[begin : begin + _LINE_BYTES]) for begin in range(0, min(len(value), DUMPED_BYTES), _LINE_BYTES)]
    if len(value) > DUMPED_BYTES:
        lines.append(f"... {len(value) - DUMPED_BYTES} bytes more")
    return "\n".join(lines or ["(nothing)"])


def _dumped(begin: int, line: bytes) -> str:
    letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
    return f"{begin:06x}  {line.hex(' '):<{3 * _LINE_BYTES}} {letters}"
