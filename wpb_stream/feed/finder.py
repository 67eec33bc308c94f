"""Which reconstruction a client means: the live one on the board, or a finished one from the catalogue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

import msgspec

from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.records import KnownRevision, RevisionRow, RunRow
from wpb_stream.catalogue.results import Results
from wpb_stream.core.board import Board, Reconstruction, Versioned
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.messages import ListRuns, RunInfo
from wpb_stream.core.table import PointTable

log = logging.getLogger(__name__)

T = TypeVar("T")

AWAY = "The server cannot reach its catalogue at the moment; please try again."
"""What clients are told while that is so."""
CATALOGUE_THREADS = 4
"""Questions to the catalogue at once: as many as its reader has connections."""
LONGEST_TEXT = 200
"""Characters of what runs are searched for."""


class Finder:
    """Looks reconstructions up.

    The catalogue is asked in threads of its own: while the database is away a question takes seconds, and only other questions to the
    catalogue wait for it. The threads end when nothing holds the finder any more.
    """

    def __init__(self, board: Board, reader: CatalogueReader, results: Results) -> None:
        self._board, self._reader, self._results = board, reader, results
        self._threads = ThreadPoolExecutor(CATALOGUE_THREADS, thread_name_prefix="catalogue")
        self._lock = Lock()
        self._tables = WeakValueDictionary[int, PointTable]()
        """By the id of their revision."""
        self._arrays = WeakKeyDictionary[PointTable, dict[str, Versioned]]()

    def live(self, uid: str, revision: str) -> tuple[Reconstruction, bool] | None:
        """What :meth:`find` would give, if the board alone can tell; None if the catalogue must be asked."""
        live = self._board.live.get(uid)
        if live is not None and (revision == live.revision or not live.ended):
            return live, revision not in ("newest", live.revision)
        return None

    async def find(self, uid: str, revision: str, *, held: bool = False) -> tuple[Reconstruction, bool]:
        """The reconstruction of a run under that name, or the newest.

        :param held: whether somebody holds rows of it: then there was one of that name, whatever the catalogue knows
        :returns: it, and whether it is another one than was asked for, because that one is gone
        :raises ProtocolError: ``unknown_run``, or ``unknown_revision`` for a name that no revision can have had
        :raises ServiceError: the catalogue cannot be reached
        """
        return self.live(uid, revision) or await self.ask(partial(self._in_catalogue, uid, revision, held=held))

    async def info(self, uid: str) -> RunInfo:
        """The run object of a run, as the catalogue has it.

        :raises ProtocolError: ``unknown_run``
        :raises ServiceError: the catalogue cannot be reached
        """
        row = await self.ask(partial(self._reader.run, uid))
        if row is None:
            raise unknown(uid)
        return row.info

    async def revisions(self, uid: str) -> list[KnownRevision]:
        """The finished revisions of a run that are kept, newest first.

        :raises ProtocolError: ``unknown_run``
        :raises ServiceError: the catalogue cannot be reached
        """
        found = await self.ask(partial(self._reader.revisions, uid))
        if not found and await self.ask(partial(self._reader.run, uid)) is None:
            raise unknown(uid)
        return found

    async def runs(self, **conditions: object) -> list[tuple[int, RunInfo]]:
        """A page of runs, newest first: each with its cursor. Takes the conditions of :meth:`CatalogueReader.runs`.

        :raises ServiceError: the catalogue cannot be reached
        """
        rows = await self.ask(partial(self._reader.runs, **conditions))  # pyright: ignore[reportArgumentType]
        page: list[tuple[int, RunInfo]] = []
        for row in rows:
            live = self._board.live.get(row.uid)
            page.append((row.started_seq, live.run if live is not None else _up_to_date(row)))
        return page

    def latest(self) -> str | None:
        """Uid of the run that started last, of all that are known. Blocks on the database."""
        newest = self._reader.runs(limit=1)
        return newest[0].uid if newest else None

    async def ask(self, question: Callable[[], T]) -> T:
        """What the catalogue answers, asked in one of the threads that are there for that."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, question)

    def _in_catalogue(self, uid: str, revision: str, *, held: bool = False) -> tuple[Reconstruction, bool]:
        live = self._board.live.get(uid)
        row = self._reader.run(uid)
        if row is None:
            raise unknown(uid)
        found = self._reader.revision(uid, revision)
        was_live = revision == "live" or revision.startswith("live.")
        gone = found is None and revision != "newest"
        if gone and not (was_live or held):
            raise ProtocolError("unknown_revision", f"Run {uid[:80]} has no revision {revision[:80]!r}.")
        found = found or self._reader.revision(uid)
        if live is not None and (found is None or found.revision == live.revision):
            return live, gone
        if found is None:
            empty = PointTable([channel.name for channel in row.info.channels])
            return Reconstruction(_up_to_date(row), "live", empty, "", row.notices, row.reason, ended=row.ended_seq is not None), gone
        info = msgspec.structs.replace(found.info, status=row.status)
        try:
            table, arrays = self._stored(found)
        except (OSError, ValueError) as error:
            if isinstance(error, FileNotFoundError) and revision != "newest":  # it is let go just now: its row goes last
                return self._in_catalogue(uid, "newest")[0], True
            log.error("the rows of run %s, revision %s cannot be read: %s", uid, found.revision, error)
            raise ProtocolError("internal", f"The rows of run {uid[:80]}, revision {found.revision}, cannot be read any more.") from error
        made = Reconstruction(info, found.revision, table, found.produced_by, row.notices, row.reason, ended=True, arrays=arrays)
        return made, gone

    def _stored(self, found: RevisionRow) -> tuple[PointTable, dict[str, Versioned]]:
        """The rows and arrays of a revision: the same to all who hold them, so that they are open and in memory once."""
        with self._lock:
            table = self._tables.get(found.id)
            if table is not None:
                return table, self._arrays[table]
        table, arrays = self._results.load(found.file), self._results.arrays(found.file)
        with self._lock:
            table = self._tables.setdefault(found.id, table)
            return table, self._arrays.setdefault(table, arrays)


def unknown(uid: str) -> ProtocolError:
    """There is no such run, or none that may be seen: the two must sound alike."""
    return ProtocolError("unknown_run", f"There is no run {uid[:80]!r}.")


def _up_to_date(row: RunRow) -> RunInfo:
    return msgspec.structs.replace(row.info, status=row.status)


def conditions_of(request: ListRuns) -> dict[str, Any]:
    """The conditions of :meth:`Finder.runs` that a request asks for.

    :raises ProtocolError: ``bad_message``, as one of them is none
    """
    try:
        return {
            "limit": request.limit,
            "plan_name": request.plan_name,
            "status": request.status,
            "before": None if request.before is None else _cursor(request.before),
            "since": None if request.since is None else _time(request.since),
            "until": None if request.until is None else _time(request.until),
            "scan_id": request.scan_id,
            "session": request.session,
            "text": None if request.text is None else _text(request.text),
        }
    except ValueError as error:
        raise ProtocolError("bad_message", f"list_runs: {error}.") from None


def _cursor(text: str) -> int:
    cursor = int(text)
    if not 0 <= cursor < 2**63:
        raise ValueError(f"{text[:40]!r} is no cursor that was given out here")
    return cursor


def _text(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"text of {len(text)} characters; at most {LONGEST_TEXT} can be looked for")
    return text


def _time(text: str) -> datetime:
    """A time; one without a zone is in UTC, whatever the database's zone is."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
