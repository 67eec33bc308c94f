"""The Publisher without a broker: what waits, and what goes to the spool."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.publishing import WAIT_S, auntil, publish, run, spooled, until
from tests.helpers.services import running
from tests.helpers.topics import documents, read_topic
from wpb_stream.core.documents import decode
from wpb_stream.embedded.broker import EmbeddedBroker
from wpb_stream.host import free_port
from wpb_stream.publishing.outbox import OVERHEAD_BYTES, Outbox
from wpb_stream.publishing.spool import default_folder
from wpb_stream.sources.file import FileSource

pytestmark = pytest.mark.faults


def test_without_a_broker_everything_is_in_the_spool_in_its_order_when_it_is_closed(
    make, nobody: str, caplog: pytest.LogCaptureFixture
) -> None:
    several = run(events=500, image=np.arange(6).reshape(2, 3), bad=float("inf"))
    publisher = make(nobody)
    publish(publisher, several)
    assert publisher.statistics()["waiting"] == len(several)
    publisher.close()
    assert publisher.statistics() == {"published": 0, "waiting": 0, "waiting_bytes": 0, "spooled": len(several), "failed": 0}
    for _, doc in several:
        if "data" in doc:
            doc["data"] = {"image": [[0, 1, 2], [3, 4, 5]], "bad": float("inf")}
    assert spooled(publisher) == several
    assert f"wpb replay {publisher.spool} --to kafka://{nobody}/documents --speed 0" in caplog.text


async def test_a_file_source_reads_the_spool(make, nobody: str) -> None:
    publisher = make(nobody)
    publish(publisher, run())
    await asyncio.to_thread(publisher.close)
    source = FileSource(f"file://{publisher.spool}")
    async with asyncio.timeout(WAIT_S), source, aclosing(source.batches({})) as batches:
        messages = await anext(batches)
    found = [decode(message.value) for message in messages]
    assert found == [{"name": name, "doc": doc} for name, doc in run()]


@pytest.mark.integration
async def test_a_run_that_ended_before_there_was_any_broker_is_published_when_there_is_one(make, tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, free_port("127.0.0.1", 0))
    publisher = make(broker.address)
    publish(publisher, run())
    await auntil(lambda: publisher.statistics()["waiting"] == 8)
    with running(broker.service()):
        await auntil(lambda: publisher.statistics()["published"] == 8)
        assert documents(await read_topic(broker.address, "documents", 8)) == run()
    assert publisher.spool is None


def test_more_than_may_wait_goes_to_the_spool_while_the_broker_is_away(make, nobody: str) -> None:
    publisher = make(nobody, max_documents=5)
    several = run(events=20)
    for first in range(0, len(several), 2):  # as fast as the spool is written, which has the same bound
        publish(publisher, several[first : first + 2])
        until(lambda: publisher.statistics()["waiting"] <= 5)
    assert publisher.statistics() == {
        "published": 0,
        "waiting": 5,
        "waiting_bytes": publisher.statistics()["waiting_bytes"],
        "spooled": len(several) - 5,
        "failed": 0,
    }
    assert spooled(publisher) == several[5:]
    publisher.close()
    assert spooled(publisher) == several[5:] + several[:5]


def test_memory_is_bounded_in_bytes_even_if_the_spool_takes_nothing_either() -> None:
    outbox = Outbox(10_000, 1000)
    for _ in range(1000):
        outbox.put("a", "event", bytes(1000 - OVERHEAD_BYTES))
    counts = outbox.statistics()
    assert (counts["waiting"], counts["waiting_bytes"], counts["failed"]) == (20, 20_000, 980)
    assert len(outbox.remarks()) == 1


def test_a_folder_that_cannot_be_written_is_replaced_by_that_of_temporary_files(
    make, nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file, and no folder")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    publisher = make(nobody)
    publish(publisher, run())
    publisher.close()
    assert publisher.spool is not None
    assert publisher.spool.parent == tmp_path / "temporary" / "wpb-spool"
    assert spooled(publisher) == run()
    assert f"documents cannot be kept in {tmp_path / 'spool'}" in caplog.text


def test_with_neither_a_broker_nor_a_spool_documents_are_counted_and_told_as_lost(
    make, nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file, and no folder")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spool"))
    publisher = make(nobody)
    publish(publisher, run())
    publisher.close()
    assert publisher.statistics() == {"published": 0, "waiting": 0, "waiting_bytes": 0, "spooled": 0, "failed": 8}
    assert "a document of run a (start) is LOST: the spool cannot be written" in caplog.text


def test_the_spool_is_among_the_files_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_folder() == Path("/state/wpb/spool")
    monkeypatch.setenv("XDG_STATE_HOME", "relative, so not to be used")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_folder() == Path("/home/somebody/.local/state/wpb/spool")
