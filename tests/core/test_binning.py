"""Points put where they were measured: the mean of those in a bin, in whatever order they come."""

from __future__ import annotations

import random
from fractions import Fraction
from statistics import mean
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.test_sequences import delivered
from tests.helpers.documents import CAMERA, MOTOR, Acquisition
from tests.helpers.joined import by_point, codes, told, walked
from tests.helpers.liverun import BROKEN, READ, Walk
from wpb_stream.core.binning import Binned, Bins
from wpb_stream.core.documents import Document
from wpb_stream.core.geometry import MAX_CELLS, Axis
from wpb_stream.core.live import LiveRun
from wpb_stream.core.table import scatter

DIODE = {"source": "sim", "shape": [], "dtype": "number", "units": "A"}
BINS = {"bins": [3, 4], "extents": [[0, 2], [8, 2]], "positions": ["y", "x"]}


def grid(shape: tuple[int, ...] = (3, 4), *spans: tuple[float, float]) -> Binned:
    spans = spans or ((0.0, 2.0), (8.0, 2.0))
    axes = tuple(Axis(f"a{k}", None, *span) for k, span in enumerate(spans))
    return Binned(shape, axes, tuple(axis.name for axis in axes))


def filled(bins: Bins, points: list[int], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The maps that rows make, shape (channels + 1, cells)."""
    _, cells, rows = bins.rows(points, values)
    return np.array([scatter(cells.astype(np.uint32), column, [bins.grid.size]) for column in rows.T])


def test_a_position_is_in_the_bin_whose_middle_is_nearest() -> None:
    rng = np.random.default_rng(5)
    there = rng.uniform((-1, 0), (3, 10), (2000, 2))
    edges = [np.array([-0.5, 0.5, 1.5, 2.5]), np.array([1.0, 3.0, 5.0, 7.0, 9.0])]
    counts = np.histogram2d(there[:, 0], there[:, 1], edges)[0][:, ::-1]  # the second axis runs downwards
    found = [grid().bin_of(position) for position in there.tolist()]
    assert found.count(None) == 2000 - counts.sum()
    np.testing.assert_array_equal(np.bincount([cell for cell in found if cell is not None], minlength=12).reshape(3, 4), counts)


@pytest.mark.parametrize("position", [(-0.51, 5), (2.51, 5), (1, 9.01), (1, 0.99), (np.nan, 5), (1, np.inf)])
def test_a_position_more_than_half_a_step_outside_is_in_no_bin(position: tuple[float, float]) -> None:
    assert grid().bin_of(position) is None


def test_between_two_middles_the_one_further_on_counts() -> None:
    assert [grid((3,), (0.0, 2.0)).bin_of([value]) for value in (-0.5, 0.5, 1.5, 2.5)] == [0, 1, 2, None]


def test_the_value_of_a_bin_is_the_mean_of_its_points_rounded_once() -> None:
    values = np.array([[1.0, 6.0, 0.1], [1.2, 5.9, 0.2], [0.8, 5.5, 1e17], [1.0, 6.6, -1e17]])
    bins = Bins(grid(), (0, 1))
    _, _, rows = bins.rows([0, 1, 2, 3], values)
    for count, row in enumerate(rows, 1):
        exact = [float(mean(map(Fraction, column))) for column in values[:count].T.tolist()]
        assert row.tolist() == [*exact, float(count)]
    assert rows[-1][2] != values[:, 2].mean()


def test_what_is_no_number_is_left_out_of_a_mean_and_counted() -> None:
    maps = filled(Bins(grid(), (0, 1)), [0, 1, 2], np.array([[1, 5, np.nan], [1, 5, 3], [1, 5, np.inf]]))
    cell = grid().bin_of((1, 5))
    assert maps[:, cell].tolist() == [1.0, 5.0, 3.0, 3.0]
    assert np.isnan(filled(Bins(grid(), (0, 1)), [0], np.array([[1, 5, np.nan]]))[2, cell])


def test_a_point_that_is_measured_again_elsewhere_leaves_nothing_where_it_was() -> None:
    bins = Bins(grid(), (0, 1))
    here, there = [1.0, 5.0, 0.1], [2.0, 8.0, 0.7]
    bins.rows([0, 1], np.array([here, [1.0, 5.0, 0.3]]))
    points, cells, rows = bins.rows([0], np.array([there]))
    assert points.tolist() == [0, 0]
    assert cells.tolist() == [grid().bin_of(here[:2]), grid().bin_of(there[:2])]
    assert rows.tolist() == [[1.0, 5.0, 0.3, 1.0], [2.0, 8.0, 0.7, 1.0]]
    bins.rows([1], np.array([[9.0, 9.0, 0.3]]))
    assert bins.outside == {1}
    _, cells, rows = bins.rows([1], np.array([here]))
    assert (cells.tolist(), rows.tolist(), bins.outside) == ([grid().bin_of(here[:2])], [[*here, 1.0]], set())


@settings(deadline=None)
@given(st.data())
def test_the_order_of_points_and_windows_never_shows(data: Any) -> None:
    spot = st.tuples(st.floats(-1, 3), st.floats(0, 10), st.floats(-1e18, 1e18))
    points = data.draw(st.dictionaries(st.integers(0, 20), spot, min_size=1))
    order = data.draw(st.permutations(list(points)))
    first = data.draw(st.integers(0, len(order)))
    whole, parts = Bins(grid(), (0, 1)), Bins(grid(), (0, 1))
    expected = filled(whole, list(points), np.array(list(points.values())))
    measured_before = data.draw(st.lists(spot, min_size=len(order), max_size=len(order)))
    parts_rows = [
        parts.rows(order[:first], np.array(measured_before[:first]).reshape(first, 3)),
        parts.rows(order, np.array([points[point] for point in order])),
    ]
    cells = np.concatenate([cells for _, cells, _ in parts_rows]).astype(np.uint32)
    rows = np.concatenate([rows for _, _, rows in parts_rows])
    found = np.array([scatter(cells, column, [12]) for column in rows.T])
    assert found.tobytes() == expected.tobytes()
    assert parts.outside == whole.outside


def test_bins_have_room_for_as_many_points_as_come() -> None:
    assert grid().holding(5000).points == 5000
    assert grid().holding(1025).points == 2048
    assert grid().holding(2 * MAX_CELLS).points == MAX_CELLS
    assert grid().holding(5000).shape == grid().shape


# --- whole runs ---


def scattered(seed: int, points: int, **wpb: Any) -> tuple[Acquisition, npt.NDArray[np.float64]]:
    """A run without a shape whose motors go anywhere, and where they were: y, x."""
    scan = Acquisition((), uid="run", plan_name="adaptive", wpb={**BINS, **wpb})
    stream, file = scan.stream(camera=CAMERA, y=MOTOR, x=MOTOR), scan.file()
    there = np.random.default_rng(seed).uniform((-0.4, 1.2), (2.4, 8.8), (points, 2))
    for point, (y, x) in enumerate(there.tolist()):
        scan.frames(stream, file, point, point + 1)
        scan.event(stream, y=y, x=x)
    scan.stop()
    return scan, there


def maps(live: LiveRun) -> dict[str, npt.NDArray[np.float64]]:
    return live.reconstruction.table.maps(live.reconstruction.run.shape)


def test_a_scan_without_a_shape_is_a_map_of_bins() -> None:
    scan, there = scattered(1, 200)
    live = walked(scan.documents)
    edges = [np.array([-0.5, 0.5, 1.5, 2.5]), np.array([1.0, 3.0, 5.0, 7.0, 9.0])]
    counts = np.histogram2d(*there.T, edges)[0][:, ::-1]
    np.testing.assert_array_equal(maps(live)["count"], counts)
    for name, column in (("y", 0), ("x", 1)):
        sums = np.histogram2d(*there.T, edges, weights=there[:, column])[0][:, ::-1]
        np.testing.assert_allclose(maps(live)[name], sums / counts, rtol=1e-14)
    info = live.reconstruction.run
    assert (info.recipe, info.shape, info.points_expected) == ("bins", [3, 4], None)
    assert [(axis.name, axis.units, axis.start, axis.stop) for axis in info.axes] == [("y", "mm", 0, 2), ("x", "mm", 8, 2)]
    assert [(channel.name, channel.units) for channel in info.channels[-3:]] == [("y", "mm"), ("x", "mm"), ("count", "points")]
    assert codes(live) == set()


def test_points_outside_all_bins_are_told_and_points_without_a_position_are_missing() -> None:
    scan, there = scattered(2, 20, extents=[[0, 2], [8, 4]])
    gone = [document for document in scan.documents if document.name != "event" or document.doc["seq_num"] != 3]
    live = walked(gone)
    outside = {k for k, (_, x) in enumerate(there.tolist()) if x < 4 - 2 / 3 or x > 8 + 2 / 3} - {2}
    assert len(outside) > 1
    assert told(live, "points_outside") == f"{len(outside)} points were measured outside all bins: they are not on the map."
    assert live.missing == {2}
    assert maps(live)["count"][~np.isnan(maps(live)["count"])].sum() == 19 - len(outside)


def test_points_whose_position_cannot_be_read_are_missing_and_in_no_bin() -> None:
    scan = Acquisition((), wpb=BINS)
    captured = {**DIODE, "shape": [1], "external": "STREAM:"}
    stream = scan.stream(camera=CAMERA, y=captured, x=captured)
    files = [scan.file(name) for name in ("camera", "y", "x")]
    for point in range(4):
        for file in files:
            scan.frames(stream, file, point, point + 1)
    scan.stop()
    live = walked(scan.documents, lambda ref: BROKEN if (ref.file.data_key, ref.index) == ("x", 2) else READ)
    assert live.missing == {2}
    assert "points_outside" in codes(live)
    assert told(live, "points_outside").startswith("3 points")


def test_readings_of_events_are_binned_as_well() -> None:
    wpb = {"bins": [3, 4], "extents": BINS["extents"], "normalise": {"by": "i0"}}
    scan = Acquisition((), motors=["y", "x"], wpb=wpb)
    stream = scan.stream(diode=DIODE, i0=DIODE, y=MOTOR, x=MOTOR)
    for diode in (1.0, 2.0, 6.0):
        scan.event(stream, diode=diode, i0=2.0, y=1.1, x=5.9)
    scan.stop()
    live = walked(scan.documents)
    assert [channel.name for channel in live.reconstruction.run.channels] == ["diode", "i0", "y", "x", "count"]
    assert maps(live)["diode"][1, 1] == 1.5
    assert maps(live)["count"][1, 1] == 3
    assert codes(live) == set()


@pytest.mark.parametrize("shown", ["read", "joined"])
def test_a_number_called_count_keeps_its_name_where_there_are_no_images(shown: str) -> None:
    scan = Acquisition((), motors=["y", "x"], wpb={**BINS, **({"scalars": ["count"]} if shown == "joined" else {})})
    hinted = {"hints": {"diode": {"fields": ["diode"]}}} if shown == "joined" else {}
    stream = scan.stream(diode=DIODE, count=DIODE, y=MOTOR, x=MOTOR)
    scan.documents[-1].doc.update(hinted)
    scan.event(stream, diode=1.0, count=7.0, y=1.0, x=6.0)
    live = walked(scan.documents)
    assert maps(live)["count"][1, 1] == 7.0
    assert maps(live)["count_"][1, 1] == 1.0


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 25), st.sampled_from([0, 3, 40]), st.randoms(use_true_random=False))
def test_any_delivery_ends_in_the_bins_of_the_clean_one(points: int, window: int, order: random.Random) -> None:
    scan, _ = scattered(points, points)
    last = scan.documents[-2].doc
    moved = {**last, "uid": "again", "time": last["time"] + 60, "data": {"y": 0.0, "x": 3.0}}
    documents = [*scan.documents[:-1], Document("event", moved), scan.documents[-1]]
    clean = walked(documents)
    walk = Walk(lambda _: READ)
    now = 0.0
    for document in delivered([documents], order, window, files_in_order=False):
        walk.take(document, now)
        if order.random() < 0.3:
            walk.read(now)
        now += 0.01
    walk.end(now)
    (live,) = walk.lives.values()

    def told_by(made: LiveRun) -> dict[str, bytes]:
        found = maps(made)
        return {name: values.tobytes() for name, values in found.items()}

    assert told_by(live) == told_by(clean)
    assert by_point(live, "count").keys() == by_point(clean, "count").keys()
    assert codes(live) == codes(clean)
