"""Events, whether they come one by one or as a page of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wpb_stream.core.documents import Document
from wpb_stream.core.narrow import as_mapping


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    descriptor: str
    seq_num: int
    time: float
    data: Mapping[str, Any]
    filled: Mapping[str, Any]
    """By data key, for external ones: False, or a datum's id, while the value is that id; True once the value is there itself."""


def events_of(document: Document) -> Iterator[Event]:
    """The events in an ``event`` or ``event_page`` document that was validated."""
    doc = document.doc
    data, filled = as_mapping(doc.get("data")), as_mapping(doc.get("filled"))
    if document.name == "event":
        yield Event(doc["descriptor"], doc["seq_num"], doc["time"], data, filled)
        return
    for row, seq_num in enumerate(doc["seq_num"]):
        yield Event(doc["descriptor"], seq_num, doc["time"][row], _row(data, row), _row(filled, row))


def _row(columns: Mapping[str, Any], row: int) -> dict[str, Any]:
    return {name: column[row] for name, column in columns.items()}
