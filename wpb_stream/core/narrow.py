"""Values out of documents, which may hold anything, narrowed to what is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

LONGEST_LABEL = 200
"""Characters of a name that are shown, and kept in the catalogue's index."""


def as_mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[Any] | None:
    """The value as a list if it is a sequence other than text, else None."""
    return list(cast(Sequence[Any], value)) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else None


def as_integer(value: object) -> int | None:
    """The value as an integer if it is a whole number, else None."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def as_label(value: object) -> str | None:
    """The value if it is text, cut to a length a person reads and without control characters; else None."""
    if not isinstance(value, str):
        return None
    return "".join(character for character in value[:LONGEST_LABEL] if character.isprintable())
