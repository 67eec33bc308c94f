"""The writing side of the catalogue: what the streaming process stores.

Documents and source positions are committed in one transaction: after any crash each document is there exactly once.
An epoch fences off a process that was stopped, replaced, and then woke up again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import scalar_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from wpb_stream.catalogue.connecting import conninfo
from wpb_stream.catalogue.deadletters import SOURCE as REPLAYED
from wpb_stream.catalogue.deadletters import LetterShelf
from wpb_stream.catalogue.records import Batch, pack, to_json, unpack
from wpb_stream.core.board import Reconstruction
from wpb_stream.core.counts import Counts, in_a_line, is_power_of_two
from wpb_stream.core.documents import Document, Loss
from wpb_stream.core.exceptions import Fenced
from wpb_stream.core.messages import RunInfo
from wpb_stream.failpoints import reached

CURSOR_LOCK = 0x77706202
"""Key of the advisory lock under which ``started_seq``, ``ended_seq`` and the ids of revisions are given out, so that no cursor skips
what was committed late."""
IDLE_IN_TRANSACTION_S = 30
"""A stopped process holding a transaction open is cut off after this long, so that its successor can write."""
RECONNECT_S = 3.0
"""How long a pool tries to connect before it begins anew when it is asked next. Its pauses double meanwhile: without a bound, a database
that was away for long would be back for as long again before that is found out."""
MOST_LOSSES = 10_000
"""Losses that are remembered: they are told to runs that go on, and in the log for good."""
MOST_PATIENCE = 16
"""How many times as long as at first an answer is waited for in the end."""
RETRY_S = 1.0
"""How long to wait before a database that is away is asked again."""
RETRIABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.IdleInTransactionSessionTimeout,
    errors.ReadOnlySqlTransaction,
    PoolTimeout,
    TimeoutError,
)
"""What is raised when the database is away; the same call later may succeed."""

log = logging.getLogger(__name__)
T = TypeVar("T")


async def insist(ask: Callable[[], Awaitable[T]], counts: Counts, answer_s: float | None = None) -> T:
    """Ask the catalogue until it answers: documents wait, none is lost. Said at once, more and more seldom while it lasts, and at the end.

    :param counts: where each time is counted that it did not answer
    :param answer_s: seconds that it may take to answer; twice as many when it is asked again, and so on, as it may only be slow
    """
    began_at, failures, patience = monotonic(), 0, 1
    while True:
        try:
            # What is cut off gives its connection up: it is in the middle of something.
            async with asyncio.timeout(answer_s and answer_s * patience):
                answer = await ask()
        except RETRIABLE as error:
            if isinstance(error, TimeoutError):
                patience = min(2 * patience, MOST_PATIENCE)
            failures += 1
            counts.catalogue_retries += 1
            if is_power_of_two(failures):
                log.warning(
                    "the catalogue's database does not answer (%s); trying again, see WPB_DATABASE_URL", in_a_line(error) or "no answer"
                )
            await asyncio.sleep(RETRY_S)
        else:
            if failures:
                log.info("the catalogue's database answers again, after %.0f s", monotonic() - began_at)
            return answer


class CatalogueWriter:
    """The streaming process's connection to the catalogue; an asynchronous context manager.

    :param shelf: where dead letters are kept, and how many
    """

    def __init__(self, database_url: str, shelf: LetterShelf | None = None) -> None:
        self._shelf = shelf or LetterShelf()
        asked = conninfo_to_dict(database_url).get("options", "")
        options = {"options": f"{asked} -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_S}s"}
        self._pool = AsyncConnectionPool(
            conninfo(database_url),
            min_size=1,
            max_size=4,
            open=False,
            timeout=RECONNECT_S + 1.0,  # after which it is asked anew
            reconnect_timeout=RECONNECT_S,
            kwargs=options,
            check=AsyncConnectionPool.check_connection,
        )
        self._epoch: int | None = None
        self._newest = 0
        """Id of the newest document that is known to be stored."""
        self._unsure = False
        """Whether there may be newer ones: storing them failed, and that may have been when all was done but the answer."""

    async def __aenter__(self) -> Self:
        await self._pool.open()  # without waiting: who asks it insists
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._pool.close()

    async def take_over(self) -> None:
        """Become the only process that writes this catalogue; one that did so before is fenced off from here on."""
        async with self._connection() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute("UPDATE writer SET epoch = epoch + 1 RETURNING epoch")
            self._epoch = await cursor.fetchone()
            await cursor.execute("SELECT coalesce(max(id), 0) FROM documents")
            self._newest = await cursor.fetchone() or 0

    @property
    def epoch(self) -> int:
        """How often somebody had taken over this catalogue, with this process."""
        assert self._epoch is not None, "it took over before"
        return self._epoch

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection]:
        async with self._pool.connection() as connection:
            try:
                yield connection
            except errors.ReadOnlySqlTransaction:
                await connection.close()  # its session would stay read-only when the database may be written again
                raise

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """One transaction of the process that may write."""
        async with self._connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=scalar_row)
            # Shared: held until the commit, so that nobody takes over in between.
            await cursor.execute("SELECT epoch FROM writer FOR SHARE")
            if await cursor.fetchone() != self._epoch:
                raise Fenced("another wpb stream process has taken over this catalogue; this one stops writing")
            yield connection

    async def positions(self, source: str) -> dict[str, int]:
        """For each partition of a source the next position to ask for."""
        async with self._connection() as connection:
            cursor = await connection.execute("SELECT partition, position FROM positions WHERE source = %s", [source])
            return dict(await cursor.fetchall())

    async def store(self, batch: Batch) -> list[bool]:
        """Store a batch in one transaction.

        May be asked again with the same batch after it failed, also where all was stored but the answer did not come.

        :returns: for each document whether it is new; False if it had been stored before
        :raises Fenced: another process has taken over; nothing was stored
        """
        async with self._writing() as connection:
            unsure, self._unsure = self._unsure, True
            stored = await _insert_documents(connection, batch.documents, self._newest if unsure else None)
            await self._shelf.store(connection, batch)
            reached("documents")
            if batch.losses:
                await _insert_losses(connection, batch.losses)
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    """INSERT INTO positions VALUES (%s, %s, %s)
                    ON CONFLICT (source, partition) DO UPDATE SET position = EXCLUDED.position""",
                    [
                        (source, partition, position)
                        for (source, partition), position in batch.positions.items()
                        if source != REPLAYED  # letters are asked for by their marks
                    ],
                )
            reached("positions")
        self._newest, self._unsure = max([self._newest, *stored.values()]), False
        # The same document twice in one batch is new once.
        return [stored.pop((document.name, document.uid), None) is not None for _, document in batch.documents]

    async def begin_run(self, info: RunInfo, started_at: float) -> int:
        """Put a run into the list, or count one more beginning of its live reconstruction.

        :param started_at: seconds since 1970
        :returns: its generation: 1 the first time
        """
        async with self._writing() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [CURSOR_LOCK])
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(
                """INSERT INTO runs (uid, info, plan_name, status, started_at) VALUES (%s, %s, %s, %s, to_timestamp(%s))
                ON CONFLICT (uid) DO UPDATE SET generation = runs.generation + 1, info = EXCLUDED.info, status = EXCLUDED.status,
                    ended_seq = NULL, ended_at = NULL
                RETURNING generation""",
                [info.uid, to_json(info), info.plan_name, info.status, started_at],
            )
            generation = await cursor.fetchone()
            assert generation is not None
            return generation

    async def losses_during(self, run: str) -> list[str]:
        """What was lost of a bus between the start and the stop document of that run, each as a sentence."""
        async with self._connection() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(
                """SELECT reason FROM losses
                WHERE noticed_at >= (SELECT received_at FROM documents WHERE name = 'start' AND uid = %(run)s) AND noticed_at <= coalesce(
                    (SELECT max(received_at) FROM documents WHERE name = 'stop' AND run_uid = %(run)s), 'infinity') ORDER BY id""",
                {"run": run},
            )
            return await cursor.fetchall()

    async def end_run(self, made: Reconstruction, ended_at: float, file: str | None) -> None:
        """A run is over and all of it was read: keep its end and its live revision, and let the sensors see it.

        :param ended_at: seconds since 1970
        :param file: of its rows; None if nothing was reconstructed
        """
        info = made.run
        async with self._writing() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [CURSOR_LOCK])
            if file is not None:
                await connection.execute(
                    """INSERT INTO revisions (run_uid, revision, produced_by, file, rows, info) VALUES (%s, %s, %s, %s, %s, %s)
                    ON CONFLICT DO NOTHING""",
                    [info.uid, made.revision, made.produced_by, file, info.rows, to_json(info)],
                )
            await connection.execute(
                """UPDATE runs SET info = %s, status = %s, ended_at = to_timestamp(%s), reason = %s, notices = %s,
                ended_seq = nextval('runs_ended_seq') WHERE uid = %s""",
                [to_json(info), info.status, ended_at, made.reason.replace("\0", ""), to_json(list(made.notices)), info.uid],
            )
            reached("ending")

    async def adopt(self, run: str, documents: Sequence[Document]) -> None:
        """Say which run documents belong to that were stored before anyone could know."""
        async with self._connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "UPDATE documents SET run_uid = %s WHERE name = %s AND uid = %s AND run_uid IS NULL",
                [(run, document.name, document.uid) for document in documents],
            )

    async def ended_runs_of(self, parent: str) -> list[str]:
        """The run that a start, descriptor or resource document of that uid belongs to, if it has ended; else nothing."""
        async with self._connection() as connection:
            cursor = connection.cursor(row_factory=scalar_row)
            await cursor.execute(
                """SELECT uid FROM runs WHERE ended_seq IS NOT NULL AND uid IN (SELECT run_uid FROM documents
                WHERE name IN ('start', 'descriptor', 'stream_resource', 'resource') AND uid = %s)""",
                [parent],
            )
            return await cursor.fetchall()

    async def documents(self, run: str) -> list[Document]:
        """The documents of a run, in the order they came."""
        async with self._connection() as connection:
            cursor = await connection.execute("SELECT name, body FROM documents WHERE run_uid = %s ORDER BY id", [run])
            return [unpack(name, body) for name, body in await cursor.fetchall()]

    async def unfinished(self) -> list[Document]:
        """The documents of all runs that have not ended, and those that belong to none yet, in the order they came."""
        async with self._connection() as connection:
            cursor = await connection.execute(
                """SELECT name, body FROM documents
                WHERE run_uid IN (SELECT uid FROM runs WHERE ended_seq IS NULL)
                   OR run_uid IN (SELECT d.uid FROM documents d LEFT JOIN runs r ON r.uid = d.uid WHERE d.name = 'start' AND r.uid IS NULL)
                   OR (received_at > now() - interval '1 day' AND NOT EXISTS (SELECT FROM runs r WHERE r.uid = documents.run_uid))
                ORDER BY id"""
            )
            return [unpack(name, body) for name, body in await cursor.fetchall()]


async def _insert_losses(connection: psycopg.AsyncConnection, losses: Sequence[Loss]) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO losses (source, partition, resumes_at, messages, reason) VALUES (%s, %s, %s, %s, %s)",
            [(loss.source, loss.partition, loss.resumes_at, loss.messages, loss.reason) for loss in losses],
        )
        await cursor.execute("DELETE FROM losses WHERE id <= (SELECT max(id) FROM losses) - %s", [MOST_LOSSES])


async def _insert_documents(
    connection: psycopg.AsyncConnection, documents: Sequence[tuple[str | None, Document]], after: int | None
) -> dict[tuple[str, str], int]:
    """Store documents; those that are stored already stay as they are.

    :param after: an id, to look for those too that were stored after it by an attempt of which it is not known how it ended
    :returns: ids of the new ones by name and uid
    """
    if not documents:
        return {}
    keys = [(document.name, document.uid) for _, document in documents]
    cursor = await connection.execute(
        """INSERT INTO documents (run_uid, name, uid, body)
        SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bytea[])
        ON CONFLICT DO NOTHING RETURNING name, uid, id""",
        [
            [run for run, _ in documents],
            [name for name, _ in keys],
            [uid for _, uid in keys],
            [pack(document) for _, document in documents],
        ],
    )
    if after is not None:
        cursor = await connection.execute("SELECT name, uid, id FROM documents WHERE id > %s", [after])
    return {(name, uid): number for name, uid, number in await cursor.fetchall()}
