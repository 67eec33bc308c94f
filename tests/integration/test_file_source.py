"""Recordings that are written while the streaming process runs, is killed, and runs again."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bluesky.callbacks.json_writer import JSONLinesWriter, JSONWriter

from tests.helpers.scans import Scan, scan
from tests.integration.conftest import RECORDINGS, StreamingProcess, feed_url
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import Update, watch
from wpb_stream.replay import Recorded
from wpb_stream.settings import Settings
from wpb_stream.sim.camera import DATASET
from wpb_stream.sim.instrument import Beamline
from wpb_stream.sim.standins import write_standins

pytestmark = pytest.mark.integration

WAIT_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where recordings are written."""
    folder = tmp_path / "recorded runs"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"sources": (f"file://{str(folder).replace(' ', '%20')}/*.json*",)})


async def until(settings: Settings, run: str, is_so: Callable[[Update], bool], watched: str = "latest") -> Update:
    """Watch the latest run until it is that one, which need not be known yet, and something is so."""
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings), watched)) as updates:
        async for update in updates:
            if update.run.uid == run and is_so(update):
                return update
    raise AssertionError


def write_lines(path: Path, documents: Iterable[Recorded]) -> None:
    with path.open("a") as file:
        for document in documents:
            file.write(json.dumps({"name": document.name, "doc": document.doc}) + "\n")


def write_half(path: Path, document: Recorded) -> Callable[[], None]:
    """Write the first half of a line; gives what writes the other."""
    text = json.dumps({"name": document.name, "doc": document.doc}) + "\n"
    with path.open("a") as file:
        file.write(text[: len(text) // 2])

    def rest() -> None:
        with path.open("a") as file:
            file.write(text[len(text) // 2 :])

    return rest


def assert_is_map_of(update: Update, run: Scan) -> None:
    assert (update.rows, update.run.status) == (run.points, "success")
    np.testing.assert_array_equal(update.map("total"), run.map("total"))


@pytest.mark.faults
async def test_a_recording_is_shown_as_it_is_written_and_goes_on_after_each_kill_with_every_message_once(
    settings: Settings, streaming_process: StreamingProcess, folder: Path, tmp_path: Path
) -> None:
    run, path = scan(tmp_path / "frames").write(), folder / "a run.jsonl"
    await streaming_process.start(tmp_path / "log-1")
    write_lines(path, [*run.head, *run.at(0, 2)])
    with path.open("a") as file:
        file.write("{this is no JSON\n")
    write_lines(path, run.at(2, 4))
    rest = write_half(path, run.at(4, 5)[0])
    await until(settings, run.uid, lambda update: update.rows == 4)
    await streaming_process.kill()
    rest()
    write_lines(path, [*run.at(4, 5)[1:], *run.at(5, 8)])
    await streaming_process.start(tmp_path / "log-2")
    await until(settings, run.uid, lambda update: update.rows == 8)
    write_lines(path, [*run.at(8, 12), run.stop])
    assert_is_map_of(await until(settings, run.uid, lambda update: update.stopped is not None), run)
    began = [int(byte) for number in (1, 2) for byte in re.findall(r"from byte (\d+)", (tmp_path / f"log-{number}").read_text())]
    assert len(began) == 2
    assert began[0] == 0 < began[1]
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert len(catalogue.documents(run.uid)) == len(run.documents)
        (letter,) = catalogue.dead_letters()
    assert str(path) in letter[2]
    assert "neither JSON nor msgpack" in letter[4]


async def test_a_scan_of_a_real_run_engine_is_shown_from_the_file_that_bluesky_writes(settings: Settings, streaming, folder: Path) -> None:
    def take() -> str:
        uids: list[str] = []
        beamline = Beamline(settings.data_roots[0], (3, 4), (30, 40))
        beamline.subscribe(JSONLinesWriter(str(folder)))
        beamline.subscribe(lambda name, doc: uids.append(doc["uid"]) if name == "start" else None)
        beamline.scan()
        return uids[0]

    async with streaming(settings):
        update = await until(settings, await asyncio.to_thread(take), lambda update: update.stopped is not None)
    (path,) = settings.data_roots[0].glob("*.h5")
    with h5py.File(path) as file:
        expected = file[DATASET][...].astype(np.uint64).sum(axis=(1, 2)).reshape(3, 4).astype(float)
    expected[1::2] = expected[1::2, ::-1]
    np.testing.assert_array_equal(update.map("total"), expected)


async def test_an_array_that_broke_off_is_shown_as_far_as_it_goes_and_to_its_end_once_it_has_one(
    settings: Settings, streaming, folder: Path, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write()
    write = JSONWriter(str(folder), "run.json")
    for document in [*run.head, *run.at(0, 5)]:
        write(document.name, document.doc)
    rest = write_half(folder / "run.json", run.at(5, 6)[0])
    async with streaming(settings):
        assert not (await until(settings, run.uid, lambda update: update.rows == 5)).stopped
        rest()
        for document in [*run.at(5, 6)[1:], *run.at(6, 12), run.stop]:
            write(document.name, document.doc)
        assert_is_map_of(await until(settings, run.uid, lambda update: update.stopped is not None), run)
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert catalogue.dead_letters() == []


async def test_a_file_that_every_run_writes_anew_shows_each_of_them(settings: Settings, streaming, folder: Path, tmp_path: Path) -> None:
    write = JSONWriter(str(folder), "latest.json")
    async with streaming(settings):
        for seed in range(3):
            run = scan(tmp_path / "frames", seed=seed).write()
            for document in run.documents:
                write(document.name, document.doc)
            assert_is_map_of(await until(settings, run.uid, lambda update: update.stopped is not None), run)


async def test_recordings_of_every_form_are_shown_together(settings: Settings, streaming, folder: Path, tmp_path: Path) -> None:
    runs = [scan(tmp_path / "frames", seed=seed).write() for seed in range(4)]
    bodies = [[{"name": one.name, "doc": one.doc} for one in run.documents] for run in runs]
    pairs: list[list[Any]] = [[one.name, one.doc] for one in runs[1].documents]
    frames = [{"command": "MESSAGE", "headers": {}, "body": json.dumps(body)} for body in bodies[2]]
    (folder / "a.jsonl").write_text("\r\n".join(json.dumps(body) for body in bodies[0]))
    (folder / "b.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (folder / "c.jsonl").write_text(json.dumps({"command": "CONNECTED", "headers": {}, "body": ""}) + "\n")
    with (folder / "c.jsonl").open("a") as file:
        file.writelines(json.dumps(frame) + "\n" for frame in frames)
    (folder / "d.json").write_text(json.dumps({"about": {"a": [1]}, "events": bodies[3]}, indent=1))
    recording = RECORDINGS / "b01-1-demo-plan-2025-06.json"
    await asyncio.to_thread(write_standins, recording, {"/dls/b01-1": tmp_path / "frames"}, frame=(12, 16))
    (folder / "e.json").write_bytes(recording.read_bytes())
    async with streaming(settings):
        async with asyncio.timeout(WAIT_S):
            while await asyncio.to_thread(ended, settings) < 6:
                await asyncio.sleep(0.05)
        for run in runs:
            assert_is_map_of(await until(settings, run.uid, lambda update: update.stopped is not None, run.uid), run)
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert catalogue.dead_letters() == []


def ended(settings: Settings) -> int:
    """Runs that are over and shown whole."""
    with CatalogueReader(settings.database_url or "") as catalogue:
        return sum(row.ended_seq is not None for row in catalogue.runs())
