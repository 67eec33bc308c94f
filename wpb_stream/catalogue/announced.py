"""New revisions as they come into the catalogue, whoever made them: how the feed learns of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

import psycopg
from psycopg import sql

from wpb_stream.catalogue.connecting import conninfo
from wpb_stream.catalogue.records import REVISIONS_CHANNEL
from wpb_stream.catalogue.writer import RETRY_S
from wpb_stream.core.counts import in_a_line, is_power_of_two

APPLICATION = "wpb stream, new revisions"
"""How the connection calls itself at the database."""
POLL_S = 2.0
"""How often the catalogue is asked where no notification comes: a connection that died in silence is found so."""
ANSWER_S = 30.0
"""How long the database may take to answer before the connection is made anew."""
BATCH_REVISIONS = 1000

log = logging.getLogger(__name__)


class NewRevisions:
    """Which runs have a new revision, by cursor.

    A notification only says that it is time to look: what is new is asked of the catalogue. So nothing is missed while the database,
    or the connection to it, is away, and a run's uid may be longer than a notification.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._cursor = 0

    async def begin(self) -> None:
        """From here on revisions are new.

        :raises psycopg.OperationalError: the database is away
        """
        async with await self._connect() as connection:
            cursor = await connection.execute("SELECT coalesce(max(id), 0) FROM revisions")
            row = await cursor.fetchone()
            assert row is not None
            self._cursor = row[0]

    async def batches(self) -> AsyncGenerator[list[str], None]:
        """Uids of the runs that have new revisions, as they come; never ends by itself. Close it."""
        failures = 0
        while True:
            try:
                async with await self._connect() as connection:
                    async with asyncio.timeout(ANSWER_S):
                        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(REVISIONS_CHANNEL)))
                    async with aclosing(self._listen(connection)) as batches:
                        failures = 0
                        async for batch in batches:
                            yield batch
            except (psycopg.Error, TimeoutError) as error:
                failures += 1
                if is_power_of_two(failures):
                    log.warning("new revisions wait: the catalogue's database does not answer (%s)", in_a_line(error) or "timeout")
            await asyncio.sleep(RETRY_S)

    async def _listen(self, connection: psycopg.AsyncConnection) -> AsyncGenerator[list[str], None]:
        while True:
            async with asyncio.timeout(ANSWER_S):
                query = "SELECT id, run_uid FROM revisions WHERE id > %s ORDER BY id LIMIT %s"
                found = await (await connection.execute(query, [self._cursor, BATCH_REVISIONS])).fetchall()
            if found:
                self._cursor = found[-1][0]
                yield [run for _, run in found]
                continue
            async for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                pass

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(conninfo(self._database_url), autocommit=True, application_name=APPLICATION)
