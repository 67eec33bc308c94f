"""Dead letters that a person asked for again, read from the catalogue as from a bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Self

import psycopg
from psycopg import sql

from wpb_stream.catalogue.connecting import conninfo
from wpb_stream.catalogue.deadletters import CHANNEL, LISTENING_LOCK, SOURCE
from wpb_stream.core.counts import in_a_line
from wpb_stream.core.documents import Message
from wpb_stream.core.exceptions import ServiceError

APPLICATION = "wpb stream, dead letters"
"""How the connection calls itself at the database."""
POLL_S = 2.0
"""How often requests are looked for where no notification comes."""
ANSWER_S = 30.0
"""How long the database may take to answer before the connection is made anew."""
BATCH_LETTERS = 20
"""Letters in one batch at most: each may be as large as a message can be."""


class ReplayedLetters:
    """The letters whose replay was requested, in the order of their ids. May be entered again after it was left.

    Positions mean nothing here: a letter is asked for by its mark, not by its place. The next batch comes once the last one is stored,
    so that none is read twice, and however many are asked for, few are in memory.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self.url = self.identity = SOURCE
        self._unsettled: set[str] = set()
        self._settled = asyncio.Event()

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(ANSWER_S), AsyncExitStack() as opened:
                address = conninfo(self._database_url)
                self._connection = await psycopg.AsyncConnection.connect(address, autocommit=True, application_name=APPLICATION)
                opened.push_async_callback(self._connection.close)
                await self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                await self._connection.execute("SELECT pg_advisory_lock_shared(%s)", [LISTENING_LOCK])
                opened.pop_all()
        except (psycopg.Error, TimeoutError) as error:
            raise _away(error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        """Letters as they are asked for; see :class:`wpb_stream.sources.Source`."""
        while True:
            try:
                batch = await self._requested()
                if not batch:
                    async for _ in self._connection.notifies(timeout=POLL_S, stop_after=1):
                        pass
                    continue
            except (psycopg.Error, TimeoutError) as error:
                raise _away(error) from error
            self._unsettled = {message.partition for message in batch}
            self._settled.clear()
            yield batch
            await self._settled.wait()

    async def stored(self, positions: Mapping[str, int]) -> None:
        """See :meth:`wpb_stream.sources.Source.stored`."""
        self._unsettled -= positions.keys()
        if not self._unsettled:
            self._settled.set()

    async def probe(self) -> str:
        """See :meth:`wpb_stream.sources.Source.probe`."""
        return f"{len(await self._requested())} dead letters wait to be replayed"

    async def _requested(self) -> list[Message]:
        async with asyncio.timeout(ANSWER_S):
            cursor = await self._connection.execute(
                "SELECT id, value FROM dead_letters WHERE replay_requested_at IS NOT NULL ORDER BY id LIMIT %s", [BATCH_LETTERS]
            )
            return [Message(SOURCE, f"dead letter {letter}", letter, value) for letter, value in await cursor.fetchall()]


def _away(error: Exception) -> ServiceError:
    return ServiceError(f"dead letters cannot be replayed now: the catalogue's database does not answer ({in_a_line(error) or 'timeout'})")
