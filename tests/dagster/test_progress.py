"""Runs that stream now, on Dagster's pages: a real feed, a real instance, the sensor's own evaluation."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import numpy as np
import pytest

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from tests.dagster.test_sensors import uid_of
from wpb_dagster.progress import LOOKED_AT_A_TICK, OBSERVE_EVERY_S, run_progress
from wpb_dagster.resources import Viewer
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core.access import Access
from wpb_stream.core.board import Board, Reconstruction
from wpb_stream.core.documents import Document
from wpb_stream.core.live import describe
from wpb_stream.core.table import PointTable
from wpb_stream.feed.finder import Finder
from wpb_stream.feed.frames import Frames
from wpb_stream.feed.server import Feed
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.tokens import new_token

pytestmark = pytest.mark.integration


@dataclass
class Streaming:
    """A feed that serves what is on its board."""

    board: Board
    beamline: Beamline
    viewer: Viewer

    def grow(self, documents: list[Document], rows: int) -> None:
        """Show the first rows of what the files give."""
        made, table = self.beamline.reconstruct(documents, "live")
        assert table is not None
        held = self.board.live.get(uid_of(documents))
        shown = held.table if held else PointTable(table.channels)
        more = table.data[shown.rows : rows]
        shown.append(more["point"], more["cell"], np.column_stack([more[name] for name in table.channels]))
        info = msgspec.structs.replace(describe(made.run), status="running", stopped=None, rows=shown.rows)
        if held is None:
            self.board.live[info.uid] = Reconstruction(info, "live", shown, "wpb stream")
        else:
            held.run = info


TOKEN, ENTRY = new_token("Dagster's")


@pytest.fixture
def streaming(beamline: Beamline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Streaming]:
    """A feed that wants a token."""
    monkeypatch.setenv("WPB_TOKEN", TOKEN)
    board, started = Board(), Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]]()

    async def serve() -> None:
        stop = asyncio.Event()
        with CatalogueReader(beamline.database_url) as reader:
            finder = Finder(board, reader, beamline.results)
            frames = Frames(board, finder, reader, FrameReaders(beamline.roots, 1, 10.0), lambda _: None)
            feed = Feed(board, finder, beamline.results, frames, "0", access=Access([ENTRY.grant]))
            async with feed.serve("127.0.0.1", 0) as server:
                started.set_result((asyncio.get_running_loop(), stop, next(iter(server.sockets)).getsockname()[1]))
                await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    loop, stop, port = started.result(timeout=30)
    yield Streaming(board, beamline, Viewer(base_url=f"http://127.0.0.1:{port}"))
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def observed(instance: dg.DagsterInstance, uid: str) -> list[Mapping[str, Any]]:
    """The metadata of the observations of a run's maps, oldest first."""
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey("maps"), asset_partitions=[uid])
    records = instance.fetch_observations(wanted, limit=100, ascending=True).records
    return [record.event_log_entry.dagster_event.event_specific_data.asset_observation.metadata for record in records]  # type: ignore[union-attr]


def earlier(cursor: str | None) -> str:
    """The cursor as if its looks had been made a while ago."""
    return json.dumps({uid: look | {"at": look["at"] - OBSERVE_EVERY_S} for uid, look in json.loads(cursor or "{}").items()})


def running(beamline: Beamline) -> list[Document]:
    documents = raster(write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20)))
    beamline.begin(documents[:3])
    return documents


def test_a_run_that_streams_is_observed_with_how_far_it_came_and_a_picture(
    streaming: Streaming, instance: dg.DagsterInstance, tick
) -> None:
    documents = running(streaming.beamline)
    streaming.grow(documents, 7)
    tick(run_progress, viewer=streaming.viewer)
    (told,) = observed(instance, uid_of(documents))
    assert (told["points so far"].value, told["percent"].value, told["status"].value) == (7, 35.0, "running")
    assert str(told["so far"].value).startswith("![preview](data:image/png;base64,")
    totals = random_frames(20)[:7].sum(axis=(1, 2), dtype=np.float64)
    assert told["mean: total"].value == totals.mean()
    assert instance.has_dynamic_partition("run", uid_of(documents))


def test_a_run_is_reported_every_few_seconds_at_most_and_only_if_it_has_come_further(
    streaming: Streaming, instance: dg.DagsterInstance, tick
) -> None:
    documents = running(streaming.beamline)
    streaming.grow(documents, 7)
    first = tick(run_progress, viewer=streaming.viewer)
    streaming.grow(documents, 9)
    at_once = tick(run_progress, first.cursor, viewer=streaming.viewer)
    assert "less than 5 s ago" in at_once.skip_message
    later = tick(run_progress, earlier(first.cursor), viewer=streaming.viewer)
    tick(run_progress, earlier(later.cursor), viewer=streaming.viewer)
    assert [told["points so far"].value for told in observed(instance, uid_of(documents))] == [7, 9]


def test_of_many_runs_a_few_are_looked_at_in_a_tick_and_each_has_its_turn(streaming: Streaming, instance: dg.DagsterInstance, tick) -> None:
    file = write_frames(streaming.beamline.roots.roots[0] / "scan.h5", random_frames(2))
    runs = [raster(file, shape=(1, 2)) for _ in range(LOOKED_AT_A_TICK + 3)]
    for documents in runs:
        streaming.beamline.begin(documents[:3])
        streaming.grow(documents, 1)
    first = tick(run_progress, viewer=streaming.viewer)
    second = tick(run_progress, earlier(first.cursor), viewer=streaming.viewer)
    assert "Looked at 8 of 11" in first.skip_message
    assert "3 have come further" in second.skip_message
    assert all(len(observed(instance, uid_of(documents))) == 1 for documents in runs)


def test_a_feed_that_is_away_is_told_in_a_sentence_and_the_run_waits_its_turn(
    beamline: Beamline, instance: dg.DagsterInstance, tick
) -> None:
    documents = running(beamline)
    told = tick(run_progress, viewer=Viewer(base_url="http://127.0.0.1:1"))
    assert "The feed at ws://127.0.0.1:1/ws tells of none of the 1 runs" in told.skip_message
    assert uid_of(documents) in told.cursor


def test_a_cursor_that_a_person_spoiled_is_begun_anew(streaming: Streaming, instance: dg.DagsterInstance, tick) -> None:
    documents = running(streaming.beamline)
    streaming.grow(documents, 7)
    tick(run_progress, "three", viewer=streaming.viewer)
    assert len(observed(instance, uid_of(documents))) == 1


def test_when_nothing_streams_the_sensor_skips(beamline: Beamline, instance: dg.DagsterInstance, tick) -> None:
    assert tick(run_progress).skip_message == "No run streams now."
