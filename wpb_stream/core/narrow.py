"""Values out of documents, which may hold anything, narrowed to what is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast


def as_mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[Any] | None:
    """The value as a list if it is a sequence other than text, else None."""
    return list(cast(Sequence[Any], value)) if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else None
