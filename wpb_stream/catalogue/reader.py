"""The reading side of the catalogue: what the feed, Dagster and the command line ask. Synchronous."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

import msgspec
import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool, PoolTimeout

from wpb_stream.catalogue.connecting import ANSWER_S, CONNECT_S, answering, conninfo
from wpb_stream.catalogue.records import (
    REVISIONS_CHANNEL,
    EndedRun,
    KnownRevision,
    MadeWith,
    RevisionRow,
    RunRow,
    announcement,
    run_info,
    to_json,
    unpack,
)
from wpb_stream.catalogue.writer import CURSOR_LOCK, RECONNECT_S
from wpb_stream.core.access import SESSION_KEYS
from wpb_stream.core.documents import Document
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import Notice

_RUN_COLUMNS = "uid, started_seq, ended_seq, info, status, started_at, ended_at, reason, notices, generation"

READ_THROUGH_S = 3600.0
"""How long all runs may be gone through one by one."""
LIVE = "(revision = 'live' OR starts_with(revision, 'live.'))"
"""Whether a row of ``revisions`` was made by the streaming process, in SQL."""
_OF_SESSIONS = "(" + " OR ".join(f"info->'metadata'->'{key}' = ANY(%s::jsonb[])" for key in SESSION_KEYS) + ")"

_WORDS = "run_words(info->'metadata') @@ to_tsquery('simple', %s)"


def _in_quotes(word: str) -> str:
    """A word as PostgreSQL's ``to_tsquery`` reads it between single quotes: none of its characters is an operator."""
    return re.sub(r"([\\'])", r"\1\1", word)


def _run_row(row: TupleRow) -> RunRow:
    values = list(row)
    values[3], values[8] = run_info(row[3]), msgspec.convert(row[8], list[Notice])
    return RunRow(*values)


class CatalogueReader:
    """Reads the catalogue; may be used from several threads. Close it, or use it as a context manager.

    :param answer_s: seconds that the database may take to answer
    """

    def __init__(self, database_url: str, max_connections: int = 4, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._pool = ConnectionPool(
            conninfo(database_url),
            min_size=0,
            max_size=max_connections,
            open=True,
            check=self._check,
            reconnect_timeout=RECONNECT_S,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._pool.close()

    def _check(self, connection: psycopg.Connection) -> None:
        with answering(connection, CONNECT_S):
            ConnectionPool.check_connection(connection)

    @contextmanager
    def _connection(self, within_s: float | None = None) -> Iterator[psycopg.Connection]:
        try:
            # A transaction of its own, so that its end has a bound as well.
            with (
                self._pool.connection(timeout=10.0) as connection,
                answering(connection, within_s or self._answer_s),
                connection.transaction(),
            ):
                yield connection
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise ServiceError(f"the catalogue's database cannot be reached ({error}); check WPB_DATABASE_URL") from error

    def run(self, uid: str) -> RunRow | None:
        """One run; None if there is none of that uid."""
        with self._connection() as connection:
            row = connection.execute(f"SELECT {_RUN_COLUMNS} FROM runs WHERE uid = %s", [uid]).fetchone()  # noqa: S608  constants
            return _run_row(row) if row else None

    def runs(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        plan_name: str | None = None,
        status: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        scan_id: int | None = None,
        session: str | None = None,
        text: str | None = None,
        sessions: Collection[str] | None = None,
    ) -> list[RunRow]:
        """Runs, newest first, that meet all the conditions given.

        :param before: only runs that started before the one with this ``started_seq``
        :param text: words, each of which a word or number in the metadata begins with; or the beginning of the uid
        :param sessions: only runs of these, as :meth:`Grant.sees` tells
        """
        conditions, values = ["true"], list[Any]()
        for condition, value in (
            ("started_seq < %s", before),
            ("plan_name = %s", plan_name),
            ("status = %s", status),
            ("started_at >= %s", since),
            ("started_at < %s", until),
            ("info->'scan_id' = %s", None if scan_id is None else Jsonb(scan_id)),
            (_OF_SESSIONS, None if session is None else [Jsonb(session)]),
            (_OF_SESSIONS, None if sessions is None else [Jsonb(seen) for seen in sessions]),
        ):
            if value is not None:
                conditions.append(condition)
                values += [value] * condition.count("%s")
        if text is not None and (words := text.split()):
            conditions.append(f"({_WORDS} OR uid LIKE %s)")
            values += [" & ".join(f"'{_in_quotes(word)}':*" for word in words), re.sub(r"([\\%_])", r"\\\1", text.strip()) + "%"]
        where = " AND ".join(conditions)
        return self._select_runs(f"{where} ORDER BY started_seq DESC LIMIT %s", [*values, limit])

    def started_after(self, cursor: int, limit: int) -> list[RunRow]:
        """Runs whose ``started_seq`` is above the cursor, oldest first."""
        return self._select_runs("started_seq > %s ORDER BY started_seq LIMIT %s", [cursor, limit])

    def ended_after(self, cursor: int, limit: int) -> list[RunRow]:
        """Runs whose ``ended_seq`` is above the cursor, in the order they ended."""
        return self._select_runs("ended_seq > %s ORDER BY ended_seq LIMIT %s", [cursor, limit])

    def _select_runs(self, condition: str, values: Sequence[Any]) -> list[RunRow]:
        with self._connection() as connection:
            query = f"SELECT {_RUN_COLUMNS} FROM runs WHERE {condition}".encode()  # noqa: S608  constants
            return [_run_row(row) for row in connection.execute(query, values)]

    def documents(self, run: str) -> list[Document]:
        """The documents of a run, in the order they came."""
        with self._connection() as connection:
            rows = connection.execute("SELECT name, body FROM documents WHERE run_uid = %s ORDER BY id", [run])
            return [unpack(name, body) for name, body in rows]

    def descriptors(self, run: str) -> list[dict[str, Any]]:
        """The descriptors of a run, in the order they came."""
        with self._connection() as connection:
            rows = connection.execute("SELECT name, body FROM documents WHERE run_uid = %s AND name = 'descriptor' ORDER BY id", [run])
            return [unpack(*row).doc for row in rows]

    def start(self, run: str) -> dict[str, Any]:
        """The start document of a run; empty if it is not there."""
        with self._connection() as connection:
            row = connection.execute("SELECT name, body FROM documents WHERE name = 'start' AND uid = %s", [run]).fetchone()
            return unpack(*row).doc if row else {}

    def revision(self, run: str, revision: str = "newest") -> RevisionRow | None:
        """A finished revision of a run by its name, or the newest; None if there is none."""
        query = "SELECT id, run_uid, revision, produced_by, file, rows, info FROM revisions WHERE run_uid = %s"
        with self._connection() as connection:
            if revision == "newest":
                row = connection.execute(f"{query} ORDER BY id DESC LIMIT 1", [run]).fetchone()
            else:
                row = connection.execute(f"{query} AND revision = %s", [run, revision]).fetchone()
            return RevisionRow(*row[:6], info=run_info(row[6])) if row else None

    def revisions(self, run: str) -> list[KnownRevision]:
        """The finished revisions of a run that are kept, newest first."""
        query = "SELECT revision, produced_by, created_at, rows FROM revisions WHERE run_uid = %s ORDER BY id DESC"
        with self._connection() as connection:
            return [KnownRevision(*row) for row in connection.execute(query, [run])]

    def live_revision(self, run: str) -> RevisionRow | None:
        """The finished live revision of a run; None if it has none (yet)."""
        query = f"SELECT revision FROM revisions WHERE run_uid = %s AND {LIVE} ORDER BY id DESC LIMIT 1"  # noqa: S608  constants
        with self._connection() as connection:
            row = connection.execute(query.encode(), [run]).fetchone()
        return self.revision(run, row[0]) if row else None

    def ended_runs(self) -> Iterator[EndedRun]:
        """The runs that are over and have a recipe, oldest first, with what they were made with last."""
        query = f"""SELECT r.uid, r.ended_seq, r.ended_at, d.body, v.id, v.code_version, v.settings, v.wpb, v.missing, v.ended_seq,
            CASE WHEN NOT v.finished THEN v.created_at END
            FROM runs r JOIN documents d ON d.name = 'start' AND d.uid = r.uid
            LEFT JOIN LATERAL (SELECT * FROM revisions WHERE run_uid = r.uid AND NOT {LIVE} ORDER BY id DESC LIMIT 1) v ON true
            WHERE r.ended_seq IS NOT NULL AND r.info->>'recipe' IS NOT NULL ORDER BY r.started_seq"""  # noqa: S608  constants
        # With a name rows come as they are asked for.
        with self._connection(READ_THROUGH_S) as connection, connection.cursor("ended_runs") as cursor:
            for uid, ended_seq, ended_at, body, found, *made_with, unfinished_since in cursor.execute(query.encode()):
                start = unpack("start", body).doc
                yield EndedRun(uid, ended_seq, ended_at, start, MadeWith(*made_with) if found else None, unfinished_since)

    def add_revision(self, info: RunInfo, revision: str, produced_by: str, file: str, made_with: MadeWith | None = None) -> None:
        """Put a new revision into the catalogue and tell all who listen (``NOTIFY wpb_revisions``), in one transaction.

        :param made_with: if given, more is to be made of it: see :meth:`finish_revision`
        """
        finished = made_with is None
        made_with = made_with or MadeWith(None, None, {}, None, None)
        with self._connection() as connection, connection.transaction():
            # Ids become visible in their order: who asks for those above the last one seen misses none.
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [CURSOR_LOCK])
            connection.execute(
                """INSERT INTO revisions
                (run_uid, revision, produced_by, file, rows, info, code_version, settings, wpb, missing, ended_seq, finished)
                VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                ON CONFLICT (run_uid, revision) DO UPDATE SET file = EXCLUDED.file, rows = EXCLUDED.rows, info = EXCLUDED.info,
                code_version = EXCLUDED.code_version, settings = EXCLUDED.settings, wpb = EXCLUDED.wpb, missing = EXCLUDED.missing,
                ended_seq = EXCLUDED.ended_seq, finished = EXCLUDED.finished""",
                [
                    *(info.uid, revision, produced_by, file, info.rows, to_json(info)),
                    *(made_with.code_version, made_with.settings, to_json(made_with.wpb), made_with.missing, made_with.ended_seq),
                    finished,
                ],
            )
            connection.execute("SELECT pg_notify(%s, %s)", [REVISIONS_CHANNEL, announcement(info.uid, revision)])

    def finish_revision(self, run: str, revision: str) -> None:
        """Say that all was made of a revision that is made of a run."""
        with self._connection() as connection:
            connection.execute("UPDATE revisions SET finished = true WHERE run_uid = %s AND revision = %s", [run, revision])

    def dead_letters(self, limit: int = 50) -> list[tuple[int, str, str, int, str]]:
        """The newest dead letters: id, source, partition, position, reason."""
        with self._connection() as connection:
            query = "SELECT id, source, partition, position, reason FROM dead_letters ORDER BY id DESC LIMIT %s"
            return connection.execute(query, [limit]).fetchall()
