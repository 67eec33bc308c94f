"""The thread of the Publisher, and the process that it is in."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.helpers.publishing import WAIT_S, auntil, publish, run
from tests.helpers.topics import documents, read_topic
from wpb_stream.client import Publisher
from wpb_stream.replay import read_recording


def threads_of(publisher: Publisher) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"publisher to {publisher.url}"]


@pytest.mark.integration
@pytest.mark.parametrize("blow", ["loop", "thread"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning", "ignore::ResourceWarning", "ignore::RuntimeWarning")
async def test_it_goes_on_after_its_event_loop_or_its_thread_has_died(make, kafka_address: str, kafka_topic: str, blow: str) -> None:
    publisher = make(kafka_address, kafka_topic)
    publish(publisher, run("a"))
    await auntil(lambda: publisher.statistics()["published"] == 8)
    (before,) = threads_of(publisher)
    loop = publisher._delivery._bell._loop
    if blow == "loop":
        loop.call_soon_threadsafe(loop.stop)
    else:
        loop.call_soon_threadsafe(sys.exit)
        await auntil(lambda: not before.is_alive())
    publish(publisher, run("b"))
    await auntil(lambda: publisher.statistics()["published"] == 16)
    assert (threads_of(publisher) == [before]) == (blow == "loop")
    assert documents(await read_topic(kafka_address, kafka_topic, 16)) == run("a") + run("b")


@pytest.mark.integration
async def test_a_document_that_comes_after_it_was_closed_is_published_all_the_same(make, kafka_address: str, kafka_topic: str) -> None:
    publisher = make(kafka_address, kafka_topic)
    for uid in "abc":
        publish(publisher, run(uid))
        await asyncio.to_thread(publisher.close)
        assert threads_of(publisher) == []
    assert documents(await read_topic(kafka_address, kafka_topic, 24)) == run("a") + run("b") + run("c")


SCRIPT = """
import logging, os, signal, sys
from wpb_stream.client import Publisher
from tests.helpers.publishing import run, publish, until

logging.basicConfig(level="INFO")
publisher = Publisher(sys.argv[1], spool=sys.argv[2])
"""


def script(url: str, spool: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a program of a user of the Publisher to its end."""
    arguments = [sys.executable, "-W", "error", "-c", SCRIPT + text, url, str(spool)]
    root = Path(__file__).parents[2]
    return subprocess.run(arguments, cwd=root, capture_output=True, text=True, timeout=WAIT_S, check=False)


@pytest.mark.integration
async def test_a_process_that_ends_without_closing_it_has_published_everything(
    kafka_address: str, kafka_topic: str, tmp_path: Path
) -> None:
    done = await asyncio.to_thread(script, f"kafka://{kafka_address}/{kafka_topic}", tmp_path, "publish(publisher, run(events=2000))")
    assert (done.returncode, done.stdout) == (0, "")
    assert documents(await read_topic(kafka_address, kafka_topic, 2003)) == run(events=2000)
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_process_that_ends_without_a_broker_has_everything_in_the_spool(nobody: str, tmp_path: Path) -> None:
    done = script(f"kafka://{nobody}/documents", tmp_path, "publish(publisher, run(events=2000))")
    assert (done.returncode, done.stdout) == (0, "")
    (file,) = tmp_path.glob("*.jsonl")
    assert list(read_recording(file)) == run(events=2000)
    assert "Traceback" not in done.stderr


FORK = """
publish(publisher, run("a", 100))
child = 0
with publisher._lock, publisher._outbox._lock:  # as another thread may hold them
    child = os.fork()
if child == 0:
    signal.alarm(30)
    publish(publisher, run("b", 100))
    sys.exit(0)
publish(publisher, run("c", 100))
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.integration
async def test_after_a_fork_parent_and_child_publish_what_is_their_own_once(kafka_address: str, kafka_topic: str, tmp_path: Path) -> None:
    done = await asyncio.to_thread(script, f"kafka://{kafka_address}/{kafka_topic}", tmp_path, FORK)
    assert done.returncode == 0, done.stderr
    records = await read_topic(kafka_address, kafka_topic, 309)
    for uid in "abc":
        assert documents([record for record in records if record.key == uid.encode()]) == run(uid, 100)


def test_importing_the_client_loads_no_kafka() -> None:
    program = "import sys, wpb_stream.client; print([name for name in ('aiokafka', 'jsonschema_rs') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "[]\n"
