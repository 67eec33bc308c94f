"""A board over a real broker: the publisher's and the reader's end, while the broker is away, is killed, and keeps nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from tests.core.test_mirror import assert_same, begin, end, grow
from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.own_broker import Broker
from tests.helpers.topics import make_topic, read_topic
from wpb_stream.core.binary import PointsHeader
from wpb_stream.core.board import Board
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.topic import decode
from wpb_stream.doctor.buses import _look_at_gateway_topic
from wpb_stream.gateways.publisher import BoardPublisher, connection_to
from wpb_stream.gateways.reader import BoardReader, source_of
from wpb_stream.settings import load

pytestmark = pytest.mark.integration

WAIT_S = 60.0
_numbers = itertools.count()


@asynccontextmanager
async def publishing(board: Board, url: str, again_s: float = 3600.0) -> AsyncIterator[None]:
    """A streaming process's board, published while the context lasts."""
    task = asyncio.ensure_future(BoardPublisher(board, connection_to(url, {}), 1, again_s).run())
    yield
    await _ended(task)


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[tuple[Board, BoardReader]]:
    """A gateway's board, that grows while the context lasts."""
    board = Board()
    reader = BoardReader(source_of(url, {}), board)
    task = asyncio.ensure_future(reader.run())
    yield board, reader
    await _ended(task)


async def _ended(task: asyncio.Future[None]) -> None:
    assert not task.done(), task
    task.cancel()
    await asyncio.wait([task])


async def until_rows(board: Board, rows: int) -> None:
    """Wait until the run has so many rows there."""
    changed = asyncio.Event()
    board.watch(changed.set)
    async with asyncio.timeout(WAIT_S):
        while "u" not in board.live or board.live["u"].table.rows < rows:
            changed.clear()
            await changed.wait()


@pytest.fixture
async def own_broker(tmp_path: Path) -> AsyncIterator[Broker]:
    """A broker for this test alone, not started yet."""
    broker = Broker(tmp_path, "board")
    yield broker
    await broker.kill()


@pytest.mark.faults
async def test_what_a_board_shows_while_the_broker_is_away_or_is_started_anew_without_its_topics_is_told_when_it_is_there(
    own_broker: Broker,
) -> None:
    board, url = Board(), f"kafka://{own_broker.address}/board"
    made = begin(board)
    async with publishing(board, url), reading(url) as (held, reader):
        grow(made, 5)
        assert (board.counts.unpublished(), reader.hindrance() is None) == (5, False)
        await own_broker.start()
        await until_rows(held, 5)
        await own_broker.kill()
        grow(made, 5)
        board.changed()
        await own_broker.start()
        await until_rows(held, 10)
        assert_same(held, board)
        async with reading(url) as (late, other), asyncio.timeout(WAIT_S):
            await other.caught_up()
            assert other.hindrance() is None
            await until_rows(late, 10)
            assert_same(late, board)
        assert (board.counts.unpublished(), held.counts.gaps, held.counts.rows) == (0, 0, 10)


async def test_what_cannot_be_told_costs_the_topic_alone_and_only_while_it_is_there(
    kafka_address: str, kafka_topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    board, url = Board(), f"kafka://{kafka_address}/{kafka_topic}"
    grow(begin(board), 5)
    made = begin(board, "odd")
    made.run = msgspec.structs.replace(made.run, metadata={"odd": object()})
    async with publishing(board, url), reading(url) as (held, _):
        async with asyncio.timeout(WAIT_S):
            while "gateways hear nothing" not in caplog.text:
                await asyncio.sleep(0.01)
        del board.live["odd"]
        board.changed()
        await until_rows(held, 5)


async def test_running_runs_are_told_again_for_those_who_come_when_their_beginning_is_not_kept_any_more(
    kafka_address: str, kafka_topic: str
) -> None:
    board = Board()
    grow(begin(board), 5)
    grow(made := begin(board, "over"), 3)
    async with publishing(board, f"kafka://{kafka_address}/{kafka_topic}", again_s=0.2):
        records = await read_topic(kafka_address, kafka_topic, 10)
        end(made)
        board.changed()
        records += await read_topic(kafka_address, kafka_topic, len(records) + 15)
    told = [decode(record.value or b"") for record in records]
    headers = [message[0] for message in told if isinstance(message, tuple)]
    first_rows = [header.first_row for header in headers if isinstance(header, PointsHeader)]
    assert first_rows == [0] * len(first_rows)
    assert len(first_rows) >= 4


async def test_a_topic_of_apache_kafka_with_partitions_is_told_in_order_and_read_to_its_end(apache_kafka: ApacheKafka) -> None:
    topic = f"board-{next(_numbers)}"
    await make_topic(apache_kafka.address(), topic, partitions=3)
    board, url = Board(), f"kafka://{apache_kafka.address()}/{topic}"
    runs = [begin(board, uid) for uid in ("u", "v", "w")]
    async with publishing(board, url), reading(url) as (held, _):
        for made in [*runs, *runs]:
            grow(made, 5)
            board.changed()
        await until_rows(held, 10)
        async with reading(url) as (late, reader), asyncio.timeout(WAIT_S):
            await reader.caught_up()
            assert (reader.hindrance(), late.counts.unread(), late.latest) == (None, 0, "w")
            assert late.live.keys() == {"u", "v", "w"}


async def test_the_doctor_tells_of_a_topic_that_is_not_there_or_does_not_keep_what_gateways_need(apache_kafka: ApacheKafka) -> None:
    compacted, short, fit = (f"board-{next(_numbers)}" for _ in range(3))
    await make_topic(apache_kafka.address(), compacted, cleanup_policy="compact")
    await make_topic(apache_kafka.address(), short, retention_ms="3600000")
    await make_topic(apache_kafka.address(), fit, retention_ms="7200000")
    settings, cluster = load(gateway_again_s=3600.0), f"kafka://{apache_kafka.address()}"
    found = [await _look_at_gateway_topic(f"{cluster}/{topic}", settings) for topic in (compacted, short, fit)]
    assert [finding.state for finding in found] == ["wrong", "warning", "ok"]
    with pytest.raises(ServiceError, match="WPB_GATEWAY_TOPIC"):
        await _look_at_gateway_topic(f"{cluster}/missing", settings)


async def test_the_doctor_takes_a_broker_that_tells_nothing_of_its_topics(kafka_address: str, kafka_topic: str) -> None:
    assert (await _look_at_gateway_topic(f"kafka://{kafka_address}/{kafka_topic}", load())).state == "ok"
