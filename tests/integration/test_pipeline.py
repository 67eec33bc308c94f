"""The whole walk against what goes wrong: poison on the bus, late and missing frames, files it must not read, a second process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg
import pytest

from tests.frames import detector as detector_process
from tests.helpers.hostile import INSANE, MALFORMED
from tests.helpers.scans import Scan, interleaved, scan
from tests.integration.conftest import StreamingProcess, feed_url
from tests.integration.watching import CHANNELS, LARGEST, WAIT_S, assert_is_map_of, publish_values, until_latest_stopped, until_stopped
from wpb_stream import pipeline
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import Update, watch
from wpb_stream.core.documents import parse
from wpb_stream.core.exceptions import DocumentError
from wpb_stream.host import free_port
from wpb_stream.replay import Recorded, publish
from wpb_stream.settings import Settings

pytestmark = pytest.mark.integration


def as_sent(document: Recorded) -> bytes:
    """A document as bluesky-kafka publishes it."""
    return msgspec.msgpack.encode([document.name, document.doc])


def mixed(good: Iterable[bytes], bad: Iterable[bytes]) -> Iterator[bytes]:
    """The bad spread between the good, in order, the last good one last."""
    good, bad = list(good), list(bad)
    each = -(-len(bad) // (len(good) - 1))
    for position, value in enumerate(good[:-1]):
        yield value
        yield from bad[position * each : (position + 1) * each]
    yield good[-1]


# --- poison ---------------------------------------------------------------------------------------------------------


async def test_poison_between_the_documents_of_a_run_goes_to_the_dead_letters_and_the_map_is_right(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write()
    poison = [value for value in MALFORMED.values() if len(value) < LARGEST]
    worker_events = [
        msgspec.json.encode({"state": "RUNNING", "task_status": None, "errors": [], "warnings": []}),
        msgspec.json.encode({"task_id": "t", "statuses": {"scan": {"percentage": 0.5}}}),
    ]
    values = list(mixed(map(as_sent, run.documents), [*poison, *worker_events]))
    async with streaming(settings):
        await publish_values(settings, values)
        assert_is_map_of(await until_latest_stopped(settings, run.uid), run)
    with CatalogueReader(settings.database_url or "") as catalogue:
        letters = {position: reason for _, _, _, position, reason in catalogue.dead_letters(limit=500)}
        assert len(catalogue.documents(run.uid)) == len(run.documents)
        assert [row.uid for row in catalogue.runs()] == [run.uid]
    expected: dict[int, str] = {}
    for position, value in enumerate(values):
        try:
            parse(value)
        except DocumentError as error:
            expected[position] = str(error)
    assert len(expected) == len(poison)
    assert letters == {position: reason.replace("\0", "") for position, reason in expected.items()}


async def test_documents_that_are_well_formed_and_cannot_be_true_spoil_no_other_run(settings: Settings, streaming, tmp_path: Path) -> None:
    beside, after = scan(tmp_path / "frames", seed=1).write(), scan(tmp_path / "frames", seed=2).write()
    insane: list[bytes] = []
    for number, messages in enumerate(INSANE.values()):
        uid = f"insan{number:02x}".encode()  # as long as the uid they all share, so that no length in the msgpack changes
        insane.extend(message.replace(b"hostile", uid) for message in messages)
    values = [*mixed(map(as_sent, beside.documents), insane), *map(as_sent, after.documents)]
    async with streaming(settings):
        await publish_values(settings, values)
        assert_is_map_of(await until_latest_stopped(settings, after.uid), after)
        assert_is_map_of(await until_stopped(settings, beside.uid), beside)
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert catalogue.dead_letters() == []
        known = {row.uid for row in catalogue.runs(limit=500)}
    assert known >= {f"insan{number:02x}" for number in range(len(INSANE))}


# --- frames ---------------------------------------------------------------------------------------------------------


async def test_frames_whose_file_is_created_after_the_documents_are_filled_in(settings: Settings, streaming, tmp_path: Path) -> None:
    late, prompt = scan(tmp_path / "frames", seed=1), scan(tmp_path / "frames", seed=2).write()
    async with streaming(settings.model_copy(update={"frame_deadline_s": 60.0})):
        # The prompt run's documents come last: once its map is there, the late run's frames were asked for and not found.
        await publish([*late.documents, *prompt.documents], settings.sources[0], speed=0)
        assert_is_map_of(await until_latest_stopped(settings, prompt.uid), prompt)
        late.write()
        assert_is_map_of(await until_stopped(settings, late.uid), late)


class Detector:
    """A camera in a process of its own, writing in SWMR mode."""

    def __init__(self, file: Path) -> None:
        asked = {"frames": 0, "chunk": [1, 12, 16], "dtype": "<u2", "filter": "none", "swmr": True}
        file.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(detector_process.__file__), str(file), msgspec.json.encode(asked).decode()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answered()

    def do(self, *steps: str) -> None:
        """Have it do some steps, and wait until they are done."""
        assert self._process.stdin is not None
        for step in steps:
            self._process.stdin.write(f"{step}\n")
            self._process.stdin.flush()
            self._answered()

    def _answered(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


async def test_frames_a_detector_adds_to_its_file_later_are_filled_in(settings: Settings, streaming, tmp_path: Path) -> None:
    levels = np.arange(101, 113, dtype=np.uint16)
    run = scan(tmp_path / "frames", frames=np.broadcast_to(levels[:, None, None], (12, 12, 16)).copy())
    async with streaming(settings.model_copy(update={"frame_deadline_s": 60.0})):
        with closing(Detector(run.file)) as detector:
            detector.do("grow 4", *(f"write {index} {levels[index]}" for index in range(4)), "flush")
            await publish([*run.head, *run.at(0, 9)], settings.sources[0], speed=0)
            async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
                await _until_rows(updates, 4)
                detector.do("grow 8", *(f"write {index} {levels[index]}" for index in range(4, 8)), "flush")
                grown = await _until_rows(updates, 8)
                assert np.isnan(grown.map("total").ravel()[run.cell(8)]), "announced, not written: never zero"
                await publish([*run.at(9, 12), run.stop], settings.sources[0], speed=0)
                detector.do("grow 12", *(f"write {index} {levels[index]}" for index in range(8, 12)), "flush", "close")
                async for update in updates:
                    if update.stopped:
                        assert_is_map_of(update, run)
                        break


async def _until_rows(updates: AsyncIterator[Update], rows: int) -> Update:
    async for update in updates:
        if update.rows >= rows:
            return update
    raise AssertionError


async def test_a_frame_that_never_comes_leaves_its_point_missing_with_a_notice_and_never_zero(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write(frames=10)
    async with streaming(settings.model_copy(update={"frame_deadline_s": 0.2})):
        await publish(run.documents, settings.sources[0], speed=0)
        update = await until_latest_stopped(settings, run.uid)
    missing = {run.cell(10), run.cell(11)}
    for channel in CHANNELS:
        expected = run.map(channel)
        expected.ravel()[list(missing)] = np.nan
        np.testing.assert_array_equal(update.map(channel), expected)
    assert (update.rows, update.run.status, update.run.points_expected) == (10, "success", 12)
    told = [notice.message for notice in update.notices if notice.code == "frame_missing"]
    assert len(told) == 1
    assert str(run.file) in told[0]


async def test_frames_outside_the_allowed_roots_are_refused_with_a_notice_that_names_the_setting(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    outside = scan(tmp_path / "elsewhere").write()
    async with streaming(settings):
        await publish(outside.documents, settings.sources[0], speed=0)
        update = await until_latest_stopped(settings, outside.uid)
    assert update.rows == 0
    assert np.isnan(update.map("total")).all()
    told = " ".join(notice.message for notice in update.notices if notice.code == "frame_missing")
    assert "WPB_DATA_ROOTS" in told
    assert str(outside.file) in told


async def test_a_symbolic_link_in_the_roots_does_not_lead_out_of_them(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "elsewhere").write()
    link = tmp_path / "frames" / "link.h5"
    link.symlink_to(run.file)
    escaping = scan(tmp_path / "frames", uri=f"file://localhost{link}")
    async with streaming(settings):
        await publish(escaping.documents, settings.sources[0], speed=0)
        update = await until_latest_stopped(settings, escaping.uid)
    assert update.rows == 0
    assert "frame_missing" in {notice.code for notice in update.notices}


# --- runs -----------------------------------------------------------------------------------------------------------


async def test_two_runs_whose_documents_are_interleaved_each_give_their_own_map(settings: Settings, streaming, tmp_path: Path) -> None:
    one, other = scan(tmp_path / "frames", seed=1).write(), scan(tmp_path / "frames", (4, 3), seed=2).write()
    async with streaming(settings):
        await publish(interleaved(one.documents, other.documents), settings.sources[0], speed=0)
        assert_is_map_of(await until_latest_stopped(settings, other.uid), other)
        assert_is_map_of(await until_stopped(settings, one.uid), one)


async def test_a_run_without_a_shape_is_a_line_as_long_as_its_points(settings: Settings, streaming, tmp_path: Path) -> None:
    run = _shapeless(tmp_path)
    async with streaming(settings):
        await publish(run.documents, settings.sources[0], speed=0)
        update = await until_latest_stopped(settings, run.uid)
    assert [notice.code for notice in update.notices] == ["shape_guessed", "regions_guessed"]
    assert (update.run.recipe, update.run.shape, update.run.points_expected) == ("line", [run.points], None)
    np.testing.assert_array_equal(update.map("red"), run.values("red"))


async def test_a_run_without_frames_is_kept_with_a_notice(settings: Settings, streaming, tmp_path: Path) -> None:
    run = _shapeless(tmp_path)
    documents = [run.documents[0], Recorded("stop", {**run.stop.doc, "num_events": {}})]
    async with streaming(settings):
        await publish(documents, settings.sources[0], speed=0)
        update = await until_latest_stopped(settings, run.uid)
    told = [notice.code for notice in update.notices]
    assert told == ["shape_guessed", "no_frames"]
    assert (update.run.recipe, update.run.shape, update.run.channels, update.rows) == (None, [], [], 0)
    with CatalogueReader(settings.database_url or "") as catalogue:
        (row,) = catalogue.runs()
        assert (row.uid, row.status, [notice.code for notice in row.notices]) == (run.uid, "success", told)
        assert len(catalogue.documents(run.uid)) == len(documents)


def _shapeless(folder: Path) -> Scan:
    """A scan whose start document says nothing of a shape."""
    run = scan(folder / "frames").write()
    start: dict[str, Any] = {key: value for key, value in run.documents[0].doc.items() if key not in ("shape", "snaking", "extents")}
    run.documents[0] = Recorded("start", start)
    return run


async def test_documents_that_come_twice_and_late_starts_change_nothing(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    disordered = [*run.documents[1:8], run.documents[0], *run.documents[3:], *run.documents]
    async with streaming(settings):
        await publish(disordered, settings.sources[0], speed=0)
        assert_is_map_of(await until_latest_stopped(settings, run.uid), run)
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert len(catalogue.documents(run.uid)) == len(run.documents)


async def test_a_run_whose_detector_is_described_after_the_frames_of_another_is_made_anew_from_its_own(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    run, side = scan(tmp_path / "frames", seed=1).write(), scan(tmp_path / "frames", seed=2).write()
    start, descriptor, *_ = run.documents
    later = {"uid": "side", "name": "side", "time": descriptor.doc["time"] + 1.0, "run_start": run.uid}
    described = Recorded("descriptor", {**descriptor.doc, **later})
    resource = Recorded("stream_resource", {**side.head[2].doc, "run_start": run.uid})
    frames = [
        Recorded("stream_datum", {**datum.doc, "descriptor": "side"}) for datum in side.at(0, side.points) if datum.name == "stream_datum"
    ]
    async with streaming(settings), asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        await publish([start, described, resource, *frames], settings.sources[0], speed=0)
        np.testing.assert_array_equal((await _until_rows(updates, 12)).map("total"), side.map("total"))
        await publish(run.documents[1:], settings.sources[0], speed=0)
        async for update in updates:
            if update.stopped:
                break
    assert_is_map_of(update, run)
    assert update.revision == "live.2"
    assert "detector_guessed" in {notice.code for notice in update.notices}
    with CatalogueReader(settings.database_url or "") as catalogue:
        row = catalogue.run(run.uid)
        assert row is not None
        assert (row.status, row.info.rows) == ("success", run.points)


# --- documents that come after the end -------------------------------------------------------------------------------


async def test_a_stop_document_that_overtakes_points_waits_for_them(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    assert run.stop.doc["num_events"] == {"primary": run.points}
    async with streaming(settings):
        await publish([*run.head, *run.at(0, 5), run.stop], settings.sources[0], speed=0)
        await publish(run.at(5, run.points), settings.sources[0], speed=0)
        update = await until_latest_stopped(settings, run.uid)
    assert_is_map_of(update, run)
    assert update.revision == "live"
    assert "documents_missing" not in [notice.code for notice in update.notices]


async def test_a_run_that_was_taken_as_lost_is_made_anew_when_it_goes_on(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    impatient = settings.model_copy(update={"run_idle_s": 0.5})
    async with streaming(impatient), asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        await publish([*run.head, *run.at(0, 5)], settings.sources[0], speed=0)
        async for update in updates:
            if update.run.status == "lost" and update.revision == "live":
                assert update.rows == 5
                await publish([*run.at(5, run.points), run.stop], settings.sources[0], speed=0)
            if update.stopped and update.run.status == "success":
                break
    assert_is_map_of(update, run)
    assert update.revision.startswith("live.")
    with CatalogueReader(settings.database_url or "") as catalogue:
        row = catalogue.run(run.uid)
        assert row is not None
        assert (row.status, row.info.rows, row.ended_seq is not None) == ("success", run.points, True)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_lost_run_that_is_no_longer_in_memory_is_made_anew_when_it_goes_on(
    settings: Settings, streaming, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    monkeypatch.setattr(pipeline, "KEPT_ENDED", 1)
    run, others = scan(tmp_path / "frames").write(), [scan(tmp_path / "frames", seed=seed).write() for seed in (1, 2)]
    impatient = settings.model_copy(update={"run_idle_s": 0.5})
    rest = [*run.at(5, run.points), run.stop]
    async with streaming(impatient):
        await publish([*run.head, *run.at(0, 5)], settings.sources[0], speed=0)
        await until_latest_stopped(settings, run.uid)
        for other in others:
            await publish(other.documents, settings.sources[0], speed=0)
            await until_latest_stopped(settings, other.uid)
        if not restarted:
            await publish(rest, settings.sources[0], speed=0)
            assert_is_map_of(await until_success(settings, run.uid), run)
    if restarted:
        async with streaming(settings):
            await publish(rest, settings.sources[0], speed=0)
            assert_is_map_of(await until_success(settings, run.uid), run)
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert len(catalogue.documents(run.uid)) == len(run.documents)


async def until_success(settings: Settings, run: str) -> Update:
    """Watch a run that was lost until it has a stop document after all."""
    async with asyncio.timeout(WAIT_S):
        while True:
            update = await until_stopped(settings, run)
            if update.run.status == "success":
                return update
            await asyncio.sleep(0.1)


# --- two processes --------------------------------------------------------------------------------------------------


async def test_a_process_whose_source_was_taken_over_stops_with_a_message_and_its_run_goes_on_in_the_other(
    settings: Settings, streaming, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    run, log = scan(tmp_path / "frames").write(), tmp_path / "first.log"
    await streaming_process.serve(log)
    await publish([*run.head, *run.at(0, 5)], settings.sources[0], speed=0)
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        await _until_rows(updates, 5)
    second = settings.model_copy(update={"listen": f"127.0.0.1:{free_port('127.0.0.1', 0)}"})
    async with streaming(second), aclosing(watch(feed_url(second))) as updates, asyncio.timeout(WAIT_S):
        await _until_rows(updates, 5)
        await _until_taken_over(settings)
        await publish([*run.at(5, 12), run.stop], settings.sources[0], speed=0)
        async for update in updates:
            if update.stopped:
                assert_is_map_of(update, run)
                break
        assert await streaming_process.ended() == 3
    assert "another wpb stream process has taken over" in log.read_text().splitlines()[-1]
    assert "Traceback" not in log.read_text()


async def _until_taken_over(settings: Settings) -> None:
    """Wait until a second process has become the writer."""
    async with await psycopg.AsyncConnection.connect(settings.database_url or "", autocommit=True) as connection:
        while await (await connection.execute("SELECT epoch FROM writer")).fetchall() != [(2,)]:
            await asyncio.sleep(0.02)
