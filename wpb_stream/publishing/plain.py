"""A document as bytes in every case: what no reader of documents would understand becomes text."""

from __future__ import annotations

from collections.abc import Mapping, Set
from collections.abc import Sequence as AnySequence
from typing import Any

import numpy as np

from wpb_stream.core.envelope import encode

MAX_DEPTH = 60
"""Lists and mappings nested deeper than this become text."""
MAX_TEXT = 1000
"""Characters of the text that stands for a value."""


def publishable(name: str, doc: Mapping[str, Any]) -> tuple[bytes, str | None]:
    """One message as bytes, and why it is not quite the document if it is not: then some of its values are text.

    :raises Exception: not even that is possible
    """
    try:
        return encode(name, doc), None
    except Exception as error:  # whatever a value's own methods raise
        return encode(name, _plain(doc, frozenset())), str(error)[:MAX_TEXT]


def _plain(value: Any, above: frozenset[int]) -> Any:
    if isinstance(value, (Mapping, Set, np.ndarray)) or (isinstance(value, AnySequence) and not isinstance(value, (str, bytes))):
        if id(value) in above or len(above) == MAX_DEPTH:
            return "..."
        return _plain_container(value, above | {id(value)})
    if isinstance(value, np.generic):
        return _plain(value.item(), above) if not isinstance(value, np.void) else _text(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 2**1000 else _text(value)
    if value is None or isinstance(value, (bool, int, float, bytes)):
        return value
    return _text(value)


def _plain_container(value: Any, above: frozenset[int]) -> Any:
    if isinstance(value, Mapping):
        return {_text(key): _plain(item, above) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist(), above) if value.dtype.hasobject or value.dtype.names else value
    return [_plain(item, above) for item in value]


def _text(value: object) -> str:
    try:
        text = value if isinstance(value, str) else str(value)[:MAX_TEXT]
    except Exception:  # a device's own __str__, say
        text = f"<{type(value).__name__}>"
    return text.encode("utf-8", "backslashreplace").decode()
