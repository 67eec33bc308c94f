"""Bluesky's plans with a real RunEngine and real files: whatever is run, its map is what the detector wrote, bit for bit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.helpers.laboratory import Laboratory, Shot
from tests.helpers.plan_cases import INNER, OUTER, PLANS, THROUGH_THE_BUS, PlanCase, interleaved, nested
from tests.helpers.plans import Plan
from tests.integration.conftest import Streaming
from tests.integration.recomputed import as_received, reconstructed
from tests.integration.watching import until_latest_stopped
from wpb_dagster.reconstruction import Reconstructed
from wpb_stream.replay import parse_kafka_url
from wpb_stream.settings import Settings
from wpb_stream.sim.publisher import RunPublisher

CHANNELS = ("red", "green", "blue", "total")
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "plans.md"


def sums(frames: Sequence[npt.NDArray[np.uint8]]) -> list[float]:
    """The channels of one event: thirds of the height, and all."""
    rows = frames[0].shape[0]
    whole = np.sum([frame.astype(np.uint64) for frame in frames], axis=0)
    bands = [(rows * third // 3, rows * (third + 1) // 3) for third in range(3)]
    return [float(whole[top:bottom].sum()) for top, bottom in [*bands, (0, rows)]]


@dataclass(frozen=True)
class Expected:
    """What a detector wrote, as maps."""

    shape: tuple[int, ...]
    channels: dict[str, npt.NDArray[np.float64]]

    @classmethod
    def of(cls, case: PlanCase, shots: Sequence[Shot]) -> Expected:
        events = [shots[first : first + case.frames] for first in range(0, len(shots), case.frames)]
        shape = tuple(len(along) for _, along in case.grid) or (len(events),)
        maps = {channel: np.full(prod(shape), np.nan) for channel in CHANNELS}
        where = [event[0].at for event in events] if case.course is None else list(case.course.midpoints())
        for number, (event, at) in enumerate(zip(events, where, strict=True)):
            cell = int(np.ravel_multi_index(_place(case, at, number), shape)) if case.grid else number
            for channel, value in zip(CHANNELS, sums([shot.frame for shot in event]), strict=True):
                maps[channel][cell] = value
        return cls(shape, {channel: values.reshape(shape) for channel, values in maps.items()})


def _place(case: PlanCase, at: Mapping[str, float], number: int) -> tuple[int, ...]:
    """Where on the grid the motors stood."""
    place: list[int] = []
    for axis, (motor, along) in enumerate(case.grid):
        if not motor:
            assert axis == 0, "only whole scans are repeated"
            place.append(number * len(along) // (case.points_planned or prod(len(every) for _, every in case.grid)))
            continue
        away = np.abs(np.asarray(along) - at[motor])
        assert case.nearest or away.min() < 1e-9, f"{motor} stood at {at[motor]}, which is not on the grid"
        place.append(int(away.argmin()))
    return tuple(place)


def assert_is_what_was_written(made: Reconstructed, case: PlanCase, expected: Expected) -> None:
    info = made.info
    assert (info.status, tuple(info.shape)) == (case.status, expected.shape)
    assert {notice.code for notice in made.notices} == {"regions_guessed"} | case.told
    assert [axis.name for axis in info.axes] == list(case.axes or (motor for motor, _ in case.grid))
    assert tuple(axis.snaking for axis in info.axes) == (case.snaking or (False,) * len(info.axes))
    spans = [None if axis.start is None else (axis.start, axis.stop) for axis in info.axes]
    assert spans == list(case.extents or [None] * len(spans))
    assert made.missing == []
    maps = made.table.maps(info.shape)
    for channel in CHANNELS:
        np.testing.assert_array_equal(maps[channel], expected.channels[channel], err_msg=channel)
    valued = np.count_nonzero(~np.isnan(maps["total"]))
    assert valued == (case.points or prod(expected.shape))
    assert info.points_expected == (None if case.grows else case.points_planned or prod(expected.shape))


@pytest.mark.parametrize("case", PLANS, ids=str)
def test_the_map_of_a_plan_is_what_the_detector_wrote(case: PlanCase, tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    case.drive(lab, case.plan(lab))
    (made,) = reconstructed(as_received(lab.documents), tmp_path)
    assert_is_what_was_written(made, case, Expected.of(case, lab.films[case.detector].shots))


# --- what one plan makes of several runs, and several points of one ---


def test_a_scan_that_was_rewound_took_more_frames_than_it_has_points(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    rewound = next(case for case in PLANS if case.name == "paused and resumed")
    rewound.drive(lab, rewound.plan(lab))
    seq_nums = [doc["seq_num"] for name, doc in lab.documents if name == "event"]
    assert (len(lab.films["camera"].shots), max(seq_nums), len(set(seq_nums))) == (13, 12, 12)


def test_interruptions_that_are_recorded_are_no_points(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    lab.engine.record_interruptions = True
    case = next(case for case in PLANS if case.name == "paused and resumed")
    case.drive(lab, case.plan(lab))
    documents = as_received(lab.documents)
    assert "interruptions" in [document.doc["name"] for document in documents if document.name == "descriptor"]
    (made,) = reconstructed(documents, tmp_path)
    assert_is_what_was_written(made, case, Expected.of(case, lab.films["camera"].shots))


@pytest.mark.parametrize("plan", [interleaved, nested])
def test_runs_that_overlap_have_a_map_each(plan: Callable[[Laboratory], Plan], tmp_path: Path) -> None:
    lab = Laboratory(tmp_path)
    lab.engine(plan(lab))
    names = [name for name, _ in lab.documents]
    assert names.index("stop") > len(names) - 1 - names[::-1].index("start"), "the second run began before the first one ended"
    inner, outer = sorted(reconstructed(as_received(lab.documents), tmp_path), key=lambda made: str(made.info.plan_name))
    for made, case in ((outer, OUTER), (inner, INNER)):
        assert_is_what_was_written(made, case, Expected.of(case, lab.films[case.detector].shots))


# --- through a bus and the running process ---


@pytest.mark.integration
@pytest.mark.parametrize("case", THROUGH_THE_BUS, ids=str)
async def test_a_plan_that_is_published_shows_the_same_map(
    case: PlanCase, settings: Settings, streaming: Streaming, tmp_path: Path
) -> None:
    lab = Laboratory(tmp_path / "frames")
    lab.engine.subscribe(RunPublisher(*parse_kafka_url(settings.sources[0])))
    async with streaming(settings):
        await asyncio.to_thread(case.drive, lab, case.plan(lab))
        update = await until_latest_stopped(settings, lab.uid)
    expected = Expected.of(case, lab.films[case.detector].shots)
    assert (update.run.status, tuple(update.run.shape)) == (case.status, expected.shape)
    for channel in CHANNELS:
        np.testing.assert_array_equal(update.map(channel), expected.channels[channel], err_msg=channel)
    assert {notice.code for notice in update.notices} == {"regions_guessed"} | case.told


# --- the documentation ---


def table() -> dict[str, str]:
    """The rows of the table: what wpb makes of each plan."""
    rows = re.findall(r"^\| ([^|]+) \|[^|]*\| (map|line)\b", PAGE.read_text().replace("`", ""), re.MULTILINE)
    assert len(dict(rows)) == len(rows), "a plan has two rows"
    return dict(rows)


def test_each_plan_of_the_documentation_is_tried_here_and_each_that_is_tried_is_documented() -> None:
    maps = {case.name for case in PLANS if len(case.grid) > 1}
    tried = {case.name: "map" if case.name in maps else "line" for case in PLANS}
    assert table() == tried
