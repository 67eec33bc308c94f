"""Documents in the catalogue that belong to no run: their start document never came, or nothing tells whose they are.

bluesky-kafka, for one, drops a start document that is larger than its broker allows without a word.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import psycopg

from wpb_stream.catalogue.records import unpack
from wpb_stream.core.documents import Document

MOST_READ = 10_000
"""Documents without any run that are read to see what they wait for, the newest ones; the others are counted."""

# One step of the index a run, instead of a walk over all documents.
_UNKNOWN_RUNS = """
    WITH RECURSIVE owners AS (
        SELECT min(run_uid) AS uid FROM documents
        UNION ALL
        SELECT (SELECT min(run_uid) FROM documents WHERE run_uid > owners.uid) FROM owners WHERE owners.uid IS NOT NULL
    ), unknown AS (
        SELECT uid FROM owners WHERE uid IS NOT NULL AND NOT EXISTS (SELECT FROM runs WHERE runs.uid = owners.uid)
            AND NOT EXISTS (SELECT FROM documents WHERE name = 'start' AND documents.uid = owners.uid)
    )
    SELECT unknown.uid, name, count(*), min(received_at), max(received_at) FROM unknown JOIN documents ON run_uid = unknown.uid
    GROUP BY unknown.uid, name
"""


@dataclass(slots=True)
class Orphans:
    """Documents that wait for the same one."""

    missing: str
    """What never came, such as ``start``; empty where that is not known."""
    uid: str
    """Of what never came."""
    first: datetime
    last: datetime
    """When the first and the last of them were received."""
    names: Counter[str] = field(default_factory=Counter[str])
    """How many documents there are of each name."""

    @property
    def count(self) -> int:
        """All together."""
        return self.names.total()


def count_orphans(connection: psycopg.Connection) -> int:
    """How many documents belong to no run."""
    waiting = sum(count for _, _, count, _, _ in connection.execute(_UNKNOWN_RUNS))
    row = connection.execute("SELECT count(*) FROM documents WHERE run_uid IS NULL").fetchone()
    assert row is not None
    return waiting + row[0]


def find_orphans(connection: psycopg.Connection) -> list[Orphans]:
    """The documents that belong to no run, by what they wait for; those that came last are first."""
    found: dict[tuple[str, str], Orphans] = {}
    for uid, name, count, first, last in connection.execute(_UNKNOWN_RUNS):
        _add(found, ("start", uid), name, count, first, last)
    oldest = read = 0
    newest = "SELECT id, name, body, received_at FROM documents WHERE run_uid IS NULL ORDER BY id DESC LIMIT %s"
    for number, name, body, at in connection.cursor().stream(newest, [MOST_READ]):
        _add(found, _awaited(unpack(name, body)), name, 1, at, at)
        oldest, read = number, read + 1
    if read == MOST_READ:
        others = "SELECT name, count(*), min(received_at), max(received_at) FROM documents WHERE run_uid IS NULL AND id < %s GROUP BY name"
        for name, count, first, last in connection.execute(others, [oldest]):
            _add(found, ("", ""), name, count, first, last)
    return sorted(found.values(), key=lambda orphans: orphans.last, reverse=True)


def _add(found: dict[tuple[str, str], Orphans], key: tuple[str, str], name: str, count: int, first: datetime, last: datetime) -> None:
    orphans = found.setdefault(key, Orphans(*key, first, last))
    orphans.names[name] += count
    orphans.first, orphans.last = min(orphans.first, first), max(orphans.last, last)


def _awaited(document: Document) -> tuple[str, str]:
    """What a document that belongs to no run waits for: name and uid of the one it refers to."""
    for key in ("descriptor", "resource"):
        if isinstance(uid := document.doc.get(key), str):
            return key, uid
    return "", ""
