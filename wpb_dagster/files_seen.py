"""The record, in a run's folder, of how its detector's files were when they were first read."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from wpb_dagster.fingerprints import Change, Seen, changes, remember
from wpb_dagster.formats import write_whole
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.catalogue.results import Results
from wpb_stream.frames.roots import DataRoots

NAME = "files_seen.json"


def record_of(results: Results, uid: str) -> Path:
    """The file of the record; it may not be there."""
    return results.folder(uid) / NAME


def keep_seen(results: Results, uid: str, frames: ScanFrames) -> None:
    """Record the files that frames are read from, unless they were before."""
    before = stored_seen(results, uid) or {}
    seen = remember(before, frames, time.time())
    if seen != before or not record_of(results, uid).exists():
        write_whole(record_of(results, uid), msgspec.json.encode(seen))


def stored_seen(results: Results, uid: str) -> dict[str, Seen] | None:
    """The record, by path; None if there is none."""
    try:
        return msgspec.json.decode(record_of(results, uid).read_bytes(), type=dict[str, Seen])
    except FileNotFoundError:
        return None


def changed_since(seen: dict[str, Seen], roots: DataRoots) -> list[Change]:
    """The files that are not what they were, the worst first."""
    return changes(seen, roots, time.time())
