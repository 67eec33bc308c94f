"""What the viewer measures on frames, in Node and against numpy: regions, profiles, percentiles; and its lines of Python."""

from __future__ import annotations

import ast
import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.nodejs import node
from wpb_stream.core.regions import Region, thirds
from wpb_stream.recipes.regions import region_of

FRAME = np.random.default_rng(8).integers(0, 60_000, (23, 37))
SHAPE = (23, 37)
ASKED: list[dict[str, Any]] = [
    {"rows": [2, 9], "columns": [5, 30]},
    {"rows": [20, 400]},
    {"columns": [50, 60]},
    {"rows": [2, 9], "columns": [5, 30], "outside": True},
    {"ellipse": {"centre": [11, 18], "radii": [7, 7]}},
    {"ellipse": {"centre": [10.5, 17.25], "radii": [6.2, 11]}},
    {"ellipse": {"centre": [0, 0], "radii": [9, 9]}, "outside": True},
    {"annulus": {"centre": [11, 18], "inner": 4, "outer": 9}},
    {"annulus": {"centre": [11, 18], "inner": 0, "outer": 3}},
    {"polygon": [[1, 1], [20, 4], [12.5, 35]]},
    {"polygon": [[3, 4], [3, 20], [15, 20], [15, 4]]},
    {"polygon": [[0, 0], [22, 30], [0, 30], [22, 0]]},
    {"polygon": [[-5, -5], [40, 3], [8, 60]], "outside": True},
]
LINES = [((0, 0), (22, 36)), ((5, 30), (5, 3)), ((20, 7), (2, 7)), ((4, 4), (4, 4)), ((0, 0), (0, 40))]
HOSTILE = 'x"); import os; os.abort()\n#\\'


@pytest.fixture(scope="module")
def regions() -> list[Region]:
    return [*(region_of("r", f"r{number}", asked) for number, asked in enumerate(ASKED)), *thirds()]


@pytest.fixture(scope="module")
def answers(regions: list[Region], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All that is asked, in one process."""
    described = [*(region.describe(SHAPE) for region in regions), *(region.describe() for region in thirds()), {"mask_file": "/m.h5"}]
    runs = [
        {"run": {"uid": "u", "status": "success"}, "revision": "live", "token": False},
        {"run": {"uid": "u", "status": "running"}, "revision": "live", "token": True},
        {"run": {"uid": HOSTILE, "status": "success"}, "revision": HOSTILE, "token": False},
    ]
    file = tmp_path_factory.mktemp("measuring") / "asked.json"
    file.write_text(json.dumps({"frame": FRAME.tolist(), "regions": described, "lines": LINES, "shares": [0.02, 0.5, 0.98], "runs": runs}))
    return json.loads(asyncio.run(node(Path(__file__).with_name("measuring.mjs"), file)))


def test_a_region_is_of_the_same_pixels_as_on_the_maps_and_its_sum_the_same(regions: list[Region], answers: dict[str, Any]) -> None:
    for region, found in zip([*regions, *thirds()], answers["statistics"], strict=False):
        mask = np.zeros(SHAPE, np.bool_)
        mask[region.resolve(SHAPE)] = region.mask(SHAPE)
        pixels = FRAME[mask]
        assert (found["pixels"], found["sum"]) == (pixels.size, pixels.sum()), region
        if pixels.size:
            assert (found["mean"], found["min"], found["max"]) == (pixels.mean(), pixels.min(), pixels.max())
        else:
            assert found["mean"] is found["min"] is found["max"] is None
    assert answers["statistics"][-1] is None, "nobody here reads a mask from a file"


def test_a_region_that_is_asked_for_again_is_the_same_one(regions: list[Region], answers: dict[str, Any]) -> None:
    for region, asked in zip(regions, answers["asked"], strict=False):
        if region.resolve(SHAPE)[0] == slice(0, 0) or not region.mask(SHAPE).any():
            continue  # what lies beyond the frame is cut to nothing, which nobody can ask for
        again = region_of("r", region.name, asked)
        assert again.resolve(SHAPE) == region.resolve(SHAPE)
        np.testing.assert_array_equal(again.mask(SHAPE), region.mask(SHAPE))


def test_a_profile_has_the_pixels_along_the_line_and_none_beside_the_frame(answers: dict[str, Any]) -> None:
    for ((row, column), (last_row, last_column)), found in zip(LINES, answers["profiles"], strict=True):
        steps = max(1, int(np.hypot(last_row - row, last_column - column) + 0.5))
        rows = np.floor(np.linspace(row, last_row, steps + 1) + 0.5).astype(int)
        columns = np.floor(np.linspace(column, last_column, steps + 1) + 0.5).astype(int)
        inside = (rows < SHAPE[0]) & (columns < SHAPE[1])
        expected = [int(FRAME[r, c]) if seen else None for r, c, seen in zip(rows, columns, inside, strict=True)]
        assert found == expected


def test_percentiles_and_range_are_those_of_the_pixels(answers: dict[str, Any]) -> None:
    assert answers["percentiles"] == np.percentile(FRAME, [2, 50, 98], method="nearest").tolist()
    assert answers["range"] == [FRAME.min(), FRAME.max()]


def test_the_lines_of_python_hold_what_the_run_says_as_text_only(answers: dict[str, Any]) -> None:
    finished, running, hostile = answers["snippets"]
    assert 'watch_sync("ws://127.0.0.1:8000/ws", "u", revision="live"):' in finished
    assert "os" not in finished
    assert '"u", token=os.environ["WPB_TOKEN"]):' in running, "its revision may yet be another"
    tree = ast.parse(hostile)
    assert ast.dump(tree).replace(repr(HOSTILE), "'u'", 1).replace(repr(HOSTILE), "'live'", 1) == ast.dump(ast.parse(finished))
