"""The dead letters as a person sees them: listed, shown, asked for again. Synchronous."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

import psycopg
from psycopg.rows import class_row, scalar_row

from wpb_stream.catalogue.connecting import conninfo
from wpb_stream.catalogue.deadletters import CHANNEL, LISTENING_LOCK
from wpb_stream.catalogue.migrations import HEAD, step_of
from wpb_stream.core.exceptions import ServiceError

_COLUMNS = "id, received_at, source, partition, position, octet_length(value) AS size, reason, replay_requested_at, replayed_at"
_OPEN = "replayed_at IS NULL"


@dataclass(frozen=True, slots=True)
class LetterRow:
    """One dead letter, without its message."""

    id: int
    received_at: datetime
    source: str
    partition: str
    position: int
    size: int
    """Bytes of the message."""
    reason: str
    replay_requested_at: datetime | None
    """When its replay was asked for; None if it was not, or was done."""
    replayed_at: datetime | None
    """When it turned out to be usable after all."""

    @property
    def state(self) -> str:
        """In a word or two."""
        if self.replay_requested_at is not None:
            return "to be replayed"
        return "open" if self.replayed_at is None else "taken in"


@dataclass(frozen=True, slots=True)
class LetterCounts:
    """How many dead letters there are."""

    open: int
    """Not usable so far; with those whose replay was asked for."""
    requested: int
    taken_in: int
    dropped: int
    """Given up because there were too many."""


class Letterbox:
    """The dead letters of one catalogue; a context manager that holds one connection.

    :raises ServiceError: on entering and after: the database cannot be reached, or its schema is of another step
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    def __enter__(self) -> Self:
        with _told():
            self.connection = psycopg.connect(conninfo(self._database_url), autocommit=True)
            step = step_of(self.connection)
        if step != HEAD:
            self.connection.close()
            raise ServiceError(
                f"the catalogue's schema is at step {step or 'none'}, this wpb needs {HEAD}: start `wpb up` or `wpb stream`, it upgrades"
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.connection.close()

    def letters(self, limit: int, *, reason: str = "", taken_in: bool = False) -> list[LetterRow]:
        """Dead letters, newest first.

        :param reason: only those with this text in their reason, in capitals or not
        :param taken_in: those that were taken in after a replay too
        """
        query = f"""SELECT {_COLUMNS} FROM dead_letters WHERE ({_OPEN} OR %s) AND strpos(lower(reason), lower(%s)) > 0
            ORDER BY id DESC LIMIT %s"""  # noqa: S608  constants
        with _told(), self.connection.cursor(row_factory=class_row(LetterRow)) as cursor:
            return cursor.execute(query.encode(), [taken_in, reason, limit]).fetchall()

    def counts(self) -> LetterCounts:
        """How many there are."""
        query = f"""SELECT count(*) FILTER (WHERE {_OPEN}), count(*) FILTER (WHERE replay_requested_at IS NOT NULL),
            count(*) FILTER (WHERE NOT {_OPEN}), (SELECT letters FROM dead_letters_dropped) FROM dead_letters"""  # noqa: S608  constants
        with _told():
            row = self.connection.execute(query.encode()).fetchone()
        assert row is not None
        return LetterCounts(*row)

    def some(self, ids: Collection[int]) -> list[LetterRow]:
        """The letters of these ids, those that there are."""
        with _told(), self.connection.cursor(row_factory=class_row(LetterRow)) as cursor:
            return cursor.execute(f"SELECT {_COLUMNS} FROM dead_letters WHERE id = ANY(%s) ORDER BY id".encode(), [list(ids)]).fetchall()  # noqa: S608  constants

    def value(self, letter: int) -> bytes:
        """The message of a letter, as it came. Empty if there is no such letter."""
        with _told():
            row = self.connection.execute("SELECT value FROM dead_letters WHERE id = %s", [letter]).fetchone()
        return row[0] if row else b""

    def request(self, ids: Collection[int] | None = None, *, reason: str = "") -> list[int]:
        """Ask for the replay of open letters: of these ids, or of all with this text in their reason.

        :returns: the ids of those that will be replayed
        """
        query = f"""UPDATE dead_letters SET replay_requested_at = clock_timestamp()
            WHERE {_OPEN} AND strpos(lower(reason), lower(%s)) > 0 AND (%s OR id = ANY(%s)) RETURNING id"""  # noqa: S608  constants
        with _told(), self.connection.cursor(row_factory=scalar_row) as cursor:
            asked = cursor.execute(query.encode(), [reason, ids is None, list(ids or ())]).fetchall()
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
        return sorted(asked)

    def waiting(self, ids: Collection[int]) -> int:
        """How many of these letters have not been replayed yet."""
        query = "SELECT count(*) FROM dead_letters WHERE id = ANY(%s) AND replay_requested_at IS NOT NULL"
        with _told(), self.connection.cursor(row_factory=scalar_row) as cursor:
            return cursor.execute(query, [list(ids)]).fetchone() or 0

    def listening(self) -> bool:
        """Whether a streaming process runs that takes in what is asked for."""
        query = """SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND mode = 'ShareLock' AND classid = 0
            AND objid = %s AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""
        with _told(), self.connection.cursor(row_factory=scalar_row) as cursor:
            return bool(cursor.execute(query, [LISTENING_LOCK]).fetchone())


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise ServiceError(f"the catalogue's database cannot be reached ({str(error).strip()}); check WPB_DATABASE_URL") from error
