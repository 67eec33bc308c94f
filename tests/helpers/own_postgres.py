"""A PostgreSQL for tests that break it."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.launcher import launch_argv

WAIT_S = 60.0
CONNECTIONS = 24
"""At most: so few that a test can take them all."""


class OwnPostgres:
    """A cluster that can be crashed and started again on its files; and its databases.

    To be started in the main thread, with whose end it ends.
    """

    def __init__(self, folder: Path) -> None:
        self._embedded = EmbeddedPostgres(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        """Start it, and wait until it answers: after a crash it recovers first."""
        service = self._embedded.service()
        assert service.prepare is not None
        assert service.ready is not None
        await service.prepare()
        argv = [*self._argv(), "-c", f"max_connections={CONNECTIONS}"]
        # Not of the event loop: it outlives this one.
        self._process = subprocess.Popen(  # noqa: ASYNC220
            launch_argv(argv, death_signal=signal.SIGQUIT, run_as=service.run_as),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=service.cwd,
        )
        async with asyncio.timeout(WAIT_S):
            while not await service.ready():
                await asyncio.sleep(0.02)

    def _argv(self) -> list[str]:
        argv = self._embedded.service().argv
        return list(argv() if callable(argv) else argv)

    def crash(self) -> None:
        """End it in immediate mode: nothing is flushed, and the next start recovers from its log."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()

    def owner(self) -> Path:
        """A folder of the account that it runs as."""
        return self._embedded.sockets

    def new_database(self, tablespace: str = "pg_default") -> str:
        """The address of an empty database."""
        name = f"own_{next(self._numbers)}"
        self.tell(sql.SQL("CREATE DATABASE {} TABLESPACE {}").format(sql.Identifier(name), sql.Identifier(tablespace)))
        return self._embedded.url(name)

    def tell(self, *statements: sql.Composed) -> None:
        """Run statements as the superuser, each for itself."""
        with psycopg.connect(self._embedded.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def cut_off(self, database_url: str) -> None:
        """End all connections to a database."""
        self.tell(_ending_all_of(database_url))

    @asynccontextmanager
    async def without_connections(self, database_url: str) -> AsyncIterator[None]:
        """End all connections to a database, and leave none for those who come back, while the context lasts."""
        async with AsyncExitStack() as taken:
            refused = 0
            while refused < 10:  # what was ended lets go of its place a little later
                try:
                    one = await psycopg.AsyncConnection.connect(self._embedded.url("postgres"), autocommit=True)
                    await taken.enter_async_context(one)
                    await one.execute(_ending_all_of(database_url))
                except psycopg.OperationalError:
                    refused += 1
            yield


def _ending_all_of(database_url: str) -> sql.Composed:
    name = sql.Literal(name_of(database_url))
    return sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(name)


def name_of(database_url: str) -> str:
    """The name of a database."""
    return str(conninfo_to_dict(database_url)["dbname"])
