"""msgpack-numpy's arrays and numbers as plain Python values.

Numbers and text become themselves, complex numbers text, a structured array a mapping of its columns. Nothing is ever unpickled, and
numpy's parser of types, which evaluates what it is given, sees only what matches ours. msgpack-numpy itself cannot write dates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from wpb_stream.core.exceptions import DocumentError
from wpb_stream.core.narrow import as_list

_DTYPE = re.compile(r"[<>|]?(?:[biufSU][0-9]{1,6}|c(?:8|16))")
MAX_FIELDS = 256
"""Columns of a structured array; more are refused."""

Array = np.ndarray[Any, Any]


def unpack_array(item: Mapping[str, Any], max_depth: int) -> object:
    """The value of a mapping that msgpack-numpy wrote.

    :param max_depth: dimensions there may be
    :raises DocumentError: it is damaged, too deep, or of what only unpickling could read
    """
    if item.get("kind") in (b"O", "O"):
        raise DocumentError("the message holds an array of Python objects, which only unpickling could read: refused")
    try:
        flat = np.frombuffer(item["data"], _dtype(item["type"]))
        if item["nd"] is not True:
            return _readable(flat)[0].item()
        return _nested(flat, item["shape"], max_depth)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise DocumentError(f"the message holds a damaged numpy array: {error}") from error


def _dtype(told: object) -> np.dtype[Any]:
    fields = as_list(told)
    if fields is None:
        return np.dtype(_checked(told))
    if not 0 < len(fields) <= MAX_FIELDS:
        raise DocumentError(f"the message holds an array of {len(fields)} columns; 1 to {MAX_FIELDS} are read")
    pairs = [as_list(field) or [] for field in fields]
    if not all(len(pair) == 2 for pair in pairs):
        raise DocumentError("the message holds an array with columns that are arrays themselves: only numbers and text are read")
    return np.dtype([(_text(name), _checked(kind)) for name, kind in pairs])


def _checked(told: object) -> str:
    kind = _text(told)
    if not _DTYPE.fullmatch(kind):
        raise DocumentError(f"the message holds an array of type {kind[:80]!r}; only numbers and text are read")
    return kind


def _text(told: object) -> str:
    return told.decode() if isinstance(told, bytes) else str(told)


def _nested(flat: Array, shape: Any, max_depth: int) -> object:
    if flat.dtype.names:
        return {name: _nested(flat[name], shape, max_depth - 1) for name in flat.dtype.names}
    array = _readable(flat).reshape(shape)
    if array.ndim > max_depth:
        raise DocumentError("the message is nested too deep: an array in it has too many dimensions")
    # Without elements only the shape is left, and that may claim any number of empty lists.
    return array.tolist() if array.size else []


def _readable(flat: Array) -> Array:
    """The same items as int, float, bool or str to Python."""
    match flat.dtype.kind:
        case "f":
            return flat.astype(np.float64)  # long doubles have no Python type
        case "c":
            return np.array([str(value) for value in flat.tolist()], np.str_)
        case "S":
            return np.char.decode(flat, "utf-8", "replace")
        case "U":
            # What is no text ends here, not in the interpreter.
            flat.tobytes().decode("utf-32-be" if flat.dtype.byteorder == ">" else "utf-32-le")
            return flat
        case _:
            return flat
