"""What the Publisher takes, and what it publishes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from bluesky_kafka import Publisher as BlueskyPublisher

from tests.helpers.publishing import publish, run, spooled
from tests.helpers.topics import documents, read_topic
from wpb_stream.core.documents import decode
from wpb_stream.embedded.broker import create_topic
from wpb_stream.publishing.plain import publishable


def test_a_document_is_published_as_it_was_when_the_run_engine_gave_it(make, nobody: str) -> None:
    publisher = make(nobody)
    start = {"uid": "a", "time": 1.0, "motors": ["x"], "image": np.arange(3)}
    publisher("start", start)
    start["motors"].append("y")
    start["image"][:] = 0
    publisher.close()
    assert spooled(publisher) == [("start", {"uid": "a", "time": 1.0, "motors": ["x"], "image": [0, 1, 2]})]


class Awkward:
    """A device in the metadata, say, that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError("not connected")


CYCLE: dict[str, Any] = {}
CYCLE["self"] = CYCLE


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (PurePosixPath("/data"), "/data"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (Awkward(), "<Awkward>"),
        (2**70, float(2**70)),
        (10**400, str(10**400)),
        ("\ud800", "\\ud800"),
        (np.array([PurePosixPath("a"), 1], dtype=object), ["a", 1]),
        (np.zeros(1, dtype="i4,f8"), [[0, 0.0]]),
        (1 + 2j, "(1+2j)"),
        (CYCLE, {"self": "..."}),
        ({PurePosixPath("a"): {1, 2}}, {"a": [1, 2]}),
        (np.float32(1.5), 1.5),
        (np.array([1.5, np.inf]), [1.5, np.inf]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_no_message_can_hold_is_published_as_the_nearest_that_one_can(value: object, arrives: object) -> None:
    encoded, _ = publishable("start", {"uid": "a", "value": value, "beside": np.arange(2)})
    assert decode(encoded) == ["start", {"uid": "a", "value": arrives, "beside": [0, 1]}]


def test_a_value_that_is_published_as_text_is_told_once_a_run(make, nobody: str, caplog: pytest.LogCaptureFixture) -> None:
    publisher = make(nobody)
    publish(publisher, run(value=PurePosixPath("/data")))
    publisher.close()
    assert caplog.text.count("documents of run a hold what cannot be published (a PurePosixPath cannot be published)") == 1


def test_what_is_no_document_at_all_raises_nothing_and_is_counted_as_failed(make, nobody: str, caplog: pytest.LogCaptureFixture) -> None:
    publisher = make(nobody)
    publisher("start", None)
    publish(publisher, run())
    publisher.close()
    assert publisher.statistics() == {"published": 0, "waiting": 0, "waiting_bytes": 0, "spooled": 8, "failed": 1}
    assert "a document of run None (start) is LOST: it cannot be encoded" in caplog.text


@pytest.mark.integration
async def test_its_messages_are_those_of_bluesky_kafka(make, kafka_address: str, kafka_topic: str) -> None:
    several = run(image=np.arange(6.0).reshape(2, 3), number=np.float64(2.5))
    publisher = make(kafka_address, kafka_topic)
    publish(publisher, several)
    await asyncio.to_thread(publisher.close)
    theirs = BlueskyPublisher(kafka_topic, kafka_address, "a", flush_on_stop_doc=True)
    for name, doc in several:
        theirs(name, doc)
    records = await read_topic(kafka_address, kafka_topic, 2 * len(several))
    assert {record.key for record in records} == {b"a"}
    assert documents(records[: len(several)]) == documents(records[len(several) :])
    assert records[2].value == records[2 + len(several)].value


@pytest.mark.integration
async def test_each_of_two_interleaved_runs_stays_in_order_in_a_partition_of_its_own(make, kafka_address: str, kafka_topic: str) -> None:
    topic = f"{kafka_topic}-partitions"
    await create_topic(kafka_address, topic, partitions=16)
    first, second = run("a", 200), run("b", 200)
    publisher = make(kafka_address, topic)
    for pair in zip(first, second, strict=True):
        publish(publisher, list(pair))
    await asyncio.to_thread(publisher.close)
    records = await read_topic(kafka_address, topic, len(first) + len(second))
    for key, several in ((b"a", first), (b"b", second)):
        mine = [record for record in records if record.key == key]
        assert len({record.partition for record in mine}) == 1
        assert documents(mine) == several
    assert publisher.statistics()["published"] == len(records)
