"""Fixtures: a real PostgreSQL and a real Kafka-protocol broker, started once for all tests that ask for them.

They run under wpb's own supervisor, in a thread with its own event loop, so that synchronous and asynchronous tests can use them alike.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import psycopg
import pytest
from psycopg import sql

from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.host import free_port
from wpb_stream.service import Service
from wpb_stream.supervisor import Supervisor

_numbers = itertools.count(1)


@contextlib.contextmanager
def running(*services: Service) -> Iterator[asyncio.AbstractEventLoop]:
    """Run services side by side in a thread of their own; gives its event loop. Raises what starting them raised."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        async with Supervisor() as supervisor:
            await supervisor.start(*services)
            started.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise  # pytest reports it as unhandled in a thread
            started.set_exception(error)

    thread = threading.Thread(target=run, name="services")
    thread.start()
    try:
        loop, stop = started.result()
        try:
            yield loop
        finally:
            loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join()


@pytest.fixture(scope="session")
def postgres_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One embedded PostgreSQL for all tests."""
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    with running(postgres.service()):
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes"):  # what is written need not outlive this machine
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
            connection.execute("SELECT pg_reload_conf()")
        yield postgres


@contextlib.contextmanager
def empty_database(cluster: EmbeddedPostgres, name: str) -> Iterator[str]:
    """The address of a new database, ``postgresql://...``, dropped afterwards with all its connections."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield cluster.url(name)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def postgres_url(postgres_cluster: EmbeddedPostgres) -> Iterator[str]:
    """The address of an empty database that is the test's own."""
    with empty_database(postgres_cluster, f"test_{next(_numbers)}") as url:
        yield url


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedBroker, asyncio.AbstractEventLoop]]:
    """One embedded broker for all tests, and the event loop it is watched from."""
    broker = EmbeddedBroker(tmp_path_factory.mktemp("broker"), free_port("127.0.0.1", 0))
    with running(broker.service()) as loop:
        yield broker, loop


@pytest.fixture
def kafka_address(broker: tuple[EmbeddedBroker, asyncio.AbstractEventLoop]) -> str:
    """``127.0.0.1:port`` of the broker. Topics of other tests are there too: use `kafka_topic`."""
    return broker[0].address


@pytest.fixture
def kafka_topic(broker: tuple[EmbeddedBroker, asyncio.AbstractEventLoop]) -> str:
    """The name of an empty topic with one partition."""
    name = f"test-{next(_numbers)}"
    asyncio.run_coroutine_threadsafe(create_topic(broker[0].address, name), broker[1]).result()
    return name
