"""What the catalogue's tables hold, as values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from wpb_stream.core.documents import Document, Loss
from wpb_stream.core.intake import DeadLetter
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import Notice

REVISIONS_CHANNEL = "wpb_revisions"
"""What PostgreSQL notifies of each new revision on."""
_LONGEST_NOTIFICATION = 7999
"""Bytes; PostgreSQL refuses longer ones, and with them the transaction."""
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction stores: documents, dead letters, what was lost, and how far the sources have come."""

    documents: Sequence[tuple[str | None, Document]]
    """Run uid (None while unknown) and document."""
    dead_letters: Sequence[DeadLetter]
    positions: Mapping[tuple[str, str], int]
    """(source, partition): the next position to ask for."""
    losses: Sequence[Loss] = ()


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run."""

    uid: str
    started_seq: int
    ended_seq: int | None
    info: RunInfo
    status: str
    started_at: datetime
    ended_at: datetime | None
    reason: str
    notices: list[Notice]
    generation: int


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What a revision was made with."""

    code_version: str | None
    """Of the recipe; None where that is not known."""
    settings: str | None
    """Digest of what the settings said of the run."""
    wpb: Mapping[str, Any]
    """What was asked for over the ``wpb`` entry of the start document, key by key."""
    missing: int | None
    """Points whose frames could not be read."""
    ended_seq: int | None
    """Of the run when it was made; None if it still streamed."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that is over and has a recipe, with what its newest revision that is not live was made with."""

    uid: str
    ended_seq: int
    ended_at: datetime
    start: dict[str, Any]
    made_with: MadeWith | None
    """None if there is no such revision."""
    unfinished_since: datetime | None = None
    """When that was made, if not all was made of it that is made of a run."""


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """One finished reconstruction of a run."""

    id: int
    run_uid: str
    revision: str
    produced_by: str
    file: str
    rows: int
    info: RunInfo


@dataclass(frozen=True, slots=True)
class KnownRevision:
    """A finished reconstruction of a run, in a list of them."""

    revision: str
    produced_by: str
    created_at: datetime
    rows: int


def pack(document: Document) -> bytes:
    """The body of a document as it is stored."""
    return msgspec.msgpack.encode(document.doc)


def unpack(name: str, body: bytes) -> Document:
    """The document from its stored body."""
    return Document(name, msgspec.msgpack.decode(body), size=len(body))


def to_json(value: Any) -> str:
    """Any value as JSON that PostgreSQL's jsonb takes: no NaN, no NUL in text."""
    # An escaped NUL only: behind an odd number of backslashes the six characters are text of their own.
    return _NUL.sub(r"\1", msgspec.json.encode(value).decode())


def announcement(run: str, revision: str) -> str:
    """What is notified of a new revision: which run, and its name; nothing if the names are too long for a notification."""
    told = msgspec.json.encode({"run": run, "revision": revision})
    return told.decode() if len(told) <= _LONGEST_NOTIFICATION else ""


def run_info(value: Any) -> RunInfo:
    """The run object from its jsonb column."""
    return msgspec.convert(value, RunInfo)
