"""A run that grows, driven by functions that stand where files are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.test_companions import Scan
from tests.helpers.documents import raster_run, read, recipe_for
from tests.helpers.liverun import NOT_YET, READ
from wpb_stream import growing as module
from wpb_stream.catalogue.results import Results
from wpb_stream.core.accumulation import Accumulation
from wpb_stream.core.derived import Map
from wpb_stream.core.documents import Document
from wpb_stream.core.geometry import Grid
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.runs import Runs
from wpb_stream.core.window import FrameRef, WindowResult
from wpb_stream.growing import Growing
from wpb_stream.recipes import chooser

PACE = Pace(window_frames=2, window_seconds=0.0, stop_grace_s=0.0)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in ("PAUSE_S", "SAVE_AGAIN_S"):
        monkeypatch.setattr(module, pause, 0.0)


def whole_run(
    documents: Sequence[Document] | None = None, recipe: Callable[[dict[str, Any]], Recipe | None] = recipe_for, pace: Pace = PACE
) -> Growing:
    """A run all of whose documents have come."""
    documents = documents or raster_run((1, 6))
    runs = Runs(recipe)
    [began] = runs.apply(documents[0])
    growing = Growing(LiveRun.begin(began.run, "live", pace, 0.0))
    for document in documents[1:]:
        for applied in runs.apply(document):
            growing.add(applied.frames)
    return growing


def nothing() -> None:
    """Nobody watches."""


async def reduced(window: Sequence[FrameRef], reducer: Reducer, accumulation: Accumulation | None = None) -> WindowResult:
    return read(window, reducer.size)


async def test_a_window_that_fails_once_is_read_again_and_no_point_is_missing() -> None:
    growing, failed = whole_run(), []

    async def reduce(window: Sequence[FrameRef], reducer: Reducer, accumulation: Accumulation | None = None) -> WindowResult:
        if len(failed) < module.ATTEMPTS - 1:
            failed.append(window)
            raise BlockingIOError("no process to be had just now")
        return await reduced(window, reducer)

    await growing.to_its_end(reduce, nothing)
    assert len(failed) == module.ATTEMPTS - 1
    assert growing.live.reconstruction.table.rows == 6
    assert list(growing.live.run.notices) == [notice for notice in growing.live.run.notices if notice.code != "internal"]


async def test_a_window_that_fails_for_good_leaves_its_points_empty_and_the_run_goes_on() -> None:
    growing = whole_run()

    async def reduce(window: Sequence[FrameRef], reducer: Reducer, accumulation: Accumulation | None = None) -> WindowResult:
        if window[0].point == 2:
            raise RuntimeError("a fault of ours")
        return await reduced(window, reducer)

    await growing.to_its_end(reduce, nothing)
    assert growing.live.missing == {2, 3}
    assert sorted(growing.live.reconstruction.table.data["point"].tolist()) == [0, 1, 4, 5]
    assert "internal" in [notice.code for notice in growing.live.run.notices]


async def test_what_another_takes_the_place_of_reads_no_further_and_is_no_end_of_the_run() -> None:
    growing, read_until_then = whole_run(), []

    async def reduce(window: Sequence[FrameRef], reducer: Reducer, accumulation: Accumulation | None = None) -> WindowResult:
        read_until_then.append(window)
        Growing(growing.live, instead_of=growing)
        return await reduced(window, reducer)

    assert not await growing.to_its_end(reduce, nothing)
    assert len(read_until_then) == 1
    assert await whole_run().to_its_end(reduced, nothing)


async def test_a_number_that_was_announced_and_never_is_there_costs_no_point() -> None:
    async def reduce(window: Sequence[FrameRef], reducer: Reducer, accumulation: Accumulation | None = None) -> WindowResult:
        return read(window, reducer.size, lambda ref: NOT_YET if ref.file.data_key == "i0" else READ)

    documents = Scan({"scalars": ["i0"]}, source="dataset").documents
    growing = whole_run(documents, chooser(lambda _: PlanDefaults()), replace(PACE, frame_deadline_s=0.0))
    await growing.to_its_end(reduce, nothing)
    assert not growing.live.missing
    assert np.isnan(growing.live.reconstruction.table.data["i0"]).all()
    assert np.isfinite(growing.live.reconstruction.table.data["red"]).all()


class Unspeakable(Exception):
    def __repr__(self) -> str:
        raise LookupError("no words for it")


class Unruly:
    """What a facility makes of maps: nothing, for reasons that cannot be told."""

    names = ("fit",)

    def arrays(self, maps: Mapping[str, Map], grid: Grid) -> dict[str, Map]:
        raise Unspeakable


async def test_a_recipe_whose_arrays_cannot_be_made_ends_no_run() -> None:
    def recipe(start: dict[str, Any]) -> Recipe | None:
        made = recipe_for(start)
        return made and replace(made, derived=(Unruly(),))

    growing = whole_run(recipe=recipe)
    assert await growing.to_its_end(reduced, nothing)
    await growing.end()
    assert growing.live.reconstruction.table.rows == 6
    assert growing.live.reconstruction.arrays == {}
    [told] = [notice.message for notice in growing.live.run.notices if notice.code == "arrays_failed"]
    assert "no words for it" in told


async def test_rows_that_cannot_be_written_are_written_once_they_can_be_and_people_are_told_meanwhile(tmp_path: Path) -> None:
    growing = whole_run()
    await growing.to_its_end(reduced, nothing)
    results = tmp_path / "results"
    results.write_text("a file where the folder should be")
    told = asyncio.Event()

    async def make_room() -> None:
        await told.wait()
        results.unlink()

    async with asyncio.TaskGroup() as tasks, asyncio.timeout(30):
        tasks.create_task(make_room())
        file = await growing.saved(Results(results), told.set)
    assert "not_saved" in [notice.code for notice in growing.live.run.notices]
    np.testing.assert_array_equal(Results(results).load(file).data, growing.live.reconstruction.table.data)
