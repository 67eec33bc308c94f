"""What is answered over plain HTTP as JSON. The published description of it is made of these types."""

from __future__ import annotations

import msgspec

from wpb_stream.catalogue.records import KnownRevision
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import Notice


class RunsAnswer(msgspec.Struct, frozen=True):
    """A page of runs, newest first."""

    runs: list[RunInfo]
    before: str | None
    """Cursor of the next page; null if this is the last."""


class RunAnswer(msgspec.Struct, frozen=True):
    """One revision of a run."""

    run: RunInfo
    revision: str
    produced_by: str
    notices: list[Notice]


class RevisionsAnswer(msgspec.Struct, frozen=True):
    """The finished revisions of a run that are kept, newest first."""

    revisions: list[KnownRevision]


class DetectorsAnswer(msgspec.Struct, frozen=True):
    """The detectors of a run that write to files: a frame of each can be asked for."""

    data_keys: list[str]
    """Those that write images first."""
    chosen: str | None
    """The one that the maps are made of, and that is meant where none is named; null where there is none."""


class DagsterRunAnswer(msgspec.Struct, frozen=True):
    """A run of Dagster, which makes runs again."""

    status: str
    """In Dagster's words: ``QUEUED``, ``STARTED``, ``SUCCESS``, ``FAILURE``, ``CANCELED``, ..."""


class ErrorAnswer(msgspec.Struct, frozen=True):
    """Why there is no other answer: a code of the feed, and a sentence a person can act on."""

    error: str
    message: str
