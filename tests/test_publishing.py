"""The Publisher: what it takes, what it publishes, and where documents go that Kafka does not get."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from bluesky_kafka import Publisher as BlueskyPublisher

from tests.helpers.apache_kafka import ApacheKafka
from tests.helpers.services import running
from tests.helpers.topics import documents, make_topic, read_topic
from wpb_stream.client import Publisher
from wpb_stream.core.documents import MAX_BYTES, decode
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.host import free_port
from wpb_stream.publishing.outbox import OVERHEAD_BYTES, Outbox
from wpb_stream.publishing.plain import publishable
from wpb_stream.publishing.spool import default_folder
from wpb_stream.replay import read_recording
from wpb_stream.sources.file import FileSource

WAIT_S = 60.0

Documents = list[tuple[str, dict[str, Any]]]


def run(uid: str = "a", events: int = 5, **data: Any) -> Documents:
    """The documents of a run, as small as they can be."""
    descriptor = f"{uid}-descriptor"
    each = [{"uid": f"{uid}-{number}", "descriptor": descriptor, "seq_num": number, "data": data} for number in range(1, events + 1)]
    return [
        ("start", {"uid": uid, "time": 1.0}),
        ("descriptor", {"uid": descriptor, "run_start": uid}),
        *(("event", event) for event in each),
        ("stop", {"uid": f"{uid}-stop", "run_start": uid}),
    ]


def publish(publisher: Publisher, several: Documents) -> None:
    for name, doc in several:
        publisher(name, doc)


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


async def auntil(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, condition)


def spooled(publisher: Publisher) -> Documents:
    assert publisher.spool is not None
    return [(name or "", doc) for name, doc in read_recording(publisher.spool)]


@pytest.fixture
def nobody() -> str:
    """An address where no broker is."""
    return f"127.0.0.1:{free_port('127.0.0.1', 0)}"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Publisher]]:
    """Makes publishers whose spool is in ``spool``, and closes them in the end."""
    made: list[Publisher] = []

    def make(address: str, topic: str = "documents", **further: Any) -> Publisher:
        made.append(Publisher(f"kafka://{address}/{topic}", **{"spool": tmp_path / "spool", **further}))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close(timeout_s=0)


# --- documents ------------------------------------------------------------------------------------------------------


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


# --- the broker is away ---------------------------------------------------------------------------------------------


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


# --- the broker refuses ---------------------------------------------------------------------------------------------


@pytest.mark.integration
async def test_a_document_of_ten_megabytes_is_published(make, kafka_address: str, kafka_topic: str) -> None:
    publisher = make(kafka_address, kafka_topic)
    publish(publisher, run(events=2, image=np.ones(10 * 2**20, np.uint8)))
    await asyncio.to_thread(publisher.close)
    records = await read_topic(kafka_address, kafka_topic, 5, max_partition_fetch_bytes=1 << 24)
    assert [len(record.value or b"") > 10 * 2**20 for record in records] == [False, False, True, True, False]


def test_a_document_that_no_reader_would_take_is_kept_beside_the_spool_as_it_is(make, nobody: str, tmp_path: Path) -> None:
    publisher = make(nobody)
    several = run(events=1)
    several[0][1]["image"] = np.zeros(MAX_BYTES, np.uint8)
    publish(publisher, several)
    publisher.close()
    assert spooled(publisher) == several[1:]
    (beside,) = (tmp_path / "spool").glob("*.msgpack")
    assert beside.read_bytes() == publishable(*several[0])[0]
    assert publisher.statistics()["spooled"] == 4


@pytest.mark.integration
async def test_a_document_beyond_the_limit_of_the_broker_goes_to_the_spool_and_the_others_arrive(
    make, apache_kafka: ApacheKafka, caplog: pytest.LogCaptureFixture
) -> None:
    await make_topic(apache_kafka.address(), "limited")
    several = run(events=100)
    several[0][1]["image"] = "x" * 2**21
    several[50][1]["image"] = "x" * 2**21
    publisher = make(apache_kafka.address(), "limited")
    publish(publisher, several)
    await asyncio.to_thread(publisher.close)
    records = await read_topic(apache_kafka.address(), "limited", len(several) - 2)
    assert documents(records) == several[1:50] + several[51:]
    assert spooled(publisher) == [several[0], several[50]]
    assert publisher.statistics()["published"] == len(several) - 2
    assert "a document of run a (start) goes to the spool, the broker refuses it" in caplog.text


@pytest.mark.integration
async def test_a_broker_that_takes_small_batches_only_gets_small_ones(make, apache_kafka: ApacheKafka) -> None:
    await make_topic(apache_kafka.address(), "small", max_message_bytes="3000")
    several = run(events=100, text="x" * 1000)
    publisher = make(apache_kafka.address(), "small")
    publish(publisher, several)
    await asyncio.to_thread(publisher.close, WAIT_S)
    assert documents(await read_topic(apache_kafka.address(), "small", len(several))) == several
    assert publisher.spool is None


@pytest.mark.integration
async def test_documents_wait_for_a_topic_that_is_not_there_yet(make, apache_kafka: ApacheKafka, caplog: pytest.LogCaptureFixture) -> None:
    publisher = make(apache_kafka.address(), "made-later")
    publish(publisher, run())
    await auntil(lambda: "there is no such topic; make it" in caplog.text)
    await make_topic(apache_kafka.address(), "made-later")
    await auntil(lambda: publisher.statistics()["published"] == 8)
    assert documents(await read_topic(apache_kafka.address(), "made-later", 8)) == run()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("listener", "options"),
    [
        ("TLS", {}),
        ("MUTUAL", {"ssl_password": "of the client's key"}),
        ("LOGIN", {"sasl_mechanism": "SCRAM-SHA-256"}),
        ("SECURE", {"sasl_mechanism": "PLAIN"}),
        ("SECURE", {"sasl_mechanism": "SCRAM-SHA-512", "compression_type": "zstd"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
async def test_it_publishes_over_tls_and_with_logins(make, apache_kafka: ApacheKafka, listener: str, options: dict[str, str]) -> None:
    topic = f"to-{listener}-{'-'.join(options.values()).replace(' ', '').replace(chr(39), '')}"
    await make_topic(apache_kafka.address(), topic)
    publisher = make(apache_kafka.address(listener), topic, options=apache_kafka.options(listener, **options))
    publish(publisher, run())
    await asyncio.to_thread(publisher.close, WAIT_S)
    assert documents(await read_topic(apache_kafka.address(), topic, 8)) == run()


# --- the broker goes away in mid-run --------------------------------------------------------------------------------


@pytest.mark.integration
async def test_a_broker_that_is_killed_and_comes_back_gets_every_document_in_order(make, own_apache_kafka: ApacheKafka) -> None:
    kafka, several = own_apache_kafka, run(events=3000)
    await make_topic(kafka.address(), "documents")
    publisher = make(kafka.address())
    publish(publisher, several[:1000])
    await auntil(lambda: publisher.statistics()["published"] == 1000)
    publish(publisher, several[1000:1500])
    kafka.kill()
    publish(publisher, several[1500:])
    assert publisher.statistics()["published"] < len(several)
    kafka.start()
    await auntil(lambda: publisher.statistics()["published"] == len(several))
    published = documents(await read_topic(kafka.address(), "documents", len(several)))
    first = {doc["uid"]: position for position, (_, doc) in reversed(list(enumerate(published)))}
    assert [published[position] for position in sorted(first.values())] == several
    assert publisher.spool is None


@pytest.mark.integration
async def test_a_broker_that_stops_answering_for_a_while_gets_every_document(make, own_apache_kafka: ApacheKafka) -> None:
    kafka, several = own_apache_kafka, run(events=200)
    await make_topic(kafka.address(), "documents")
    publisher = make(kafka.address(), options={"request_timeout_ms": 500})
    publish(publisher, several[:50])
    await auntil(lambda: publisher.statistics()["published"] == 50)
    kafka.freeze()
    publish(publisher, several[50:])
    assert publisher.statistics()["waiting"] == len(several) - 50
    await asyncio.sleep(2)  # longer than a request may take: the connection is given up meanwhile
    assert publisher.statistics()["waiting"] == len(several) - 50
    kafka.thaw()
    await auntil(lambda: publisher.statistics()["published"] == len(several))
    published = {doc["uid"]: name for name, doc in documents(await read_topic(kafka.address(), "documents", len(several)))}
    assert list(published) == [doc["uid"] for _, doc in several]


@pytest.mark.integration
async def test_closing_ends_in_time_although_the_broker_says_nothing(make, own_apache_kafka: ApacheKafka) -> None:
    await make_topic(own_apache_kafka.address(), "documents")
    publisher = make(own_apache_kafka.address())
    publish(publisher, run())
    await auntil(lambda: publisher.statistics()["published"] == 8)
    own_apache_kafka.freeze()
    publish(publisher, run("b"))
    await asyncio.to_thread(publisher.close, 0.5)
    assert spooled(publisher) == run("b")
    assert publisher.statistics() == {"published": 8, "waiting": 0, "waiting_bytes": 0, "spooled": 8, "failed": 0}


# --- its thread, its process ----------------------------------------------------------------------------------------


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
from tests.test_publishing import run, publish, until

logging.basicConfig(level="INFO")
publisher = Publisher(sys.argv[1], spool=sys.argv[2])
"""


def script(url: str, spool: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a program of a user of the Publisher to its end."""
    arguments = [sys.executable, "-W", "error", "-c", SCRIPT + text, url, str(spool)]
    root = Path(__file__).parents[1]
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


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["kafka://host:9092", "kafka://host:9092/a,b", "kafka://host:9092/*.documents", "host:9092/topic"])
def test_an_address_of_no_single_topic_is_told_at_once(url: str) -> None:
    with pytest.raises(ServiceError, match=r"kafka://host:9092/topic"):
        Publisher(url)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"security_protocol": "TLS"}, "security_protocol must be one of"),
        ({"fetch_max_bytes": 1}, "'fetch_max_bytes' is not an option here"),
        ({"compression_type": "rar"}, "compression_type must be one of gzip, snappy, lz4, zstd, and is 'rar'"),
        ({"security_protocol": "SASL_SSL", "sasl_plain_username": "u"}, "sasl_plain_password is missing"),
        ({"sasl_plain_password": "a secret"}, "sasl_plain_password without security_protocol SASL_PLAINTEXT or SASL_SSL would mean no"),
    ],
)
def test_a_mistake_in_the_options_is_told_at_once(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ServiceError, match=f"options of the Publisher: {told}") as error:
        Publisher("kafka://host:9092/topic", options=options)
    assert "a secret" not in str(error.value)
