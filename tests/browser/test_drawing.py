"""What the viewer reckons before it draws, in Node and against numpy: colours' shares, limits, paths, replays, regions."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.nodejs import node
from wpb_stream.core.geometry import Axis, Grid

UPRIGHT = {"swapped": False, "leftwards": False, "downwards": False}


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    """Have the viewer's modules answer a list of questions, in one process."""

    def asked(*questions: dict[str, Any]) -> list[Any]:
        file = tmp_path / "asked.json"
        file.write_text(json.dumps(questions))
        return json.loads(asyncio.run(node(Path(__file__).with_name("drawing.mjs"), file)))

    return asked


def run_of(shape: tuple[int, ...], snaking: tuple[bool, ...], points: int | None = None, **more: Any) -> dict[str, Any]:
    """A run of which so many points were measured, each with its number plus one half as its value."""
    axes = [Axis(f"m{k}", "mm", 0.0, float(n - 1), snake) for k, (n, snake) in enumerate(zip(shape, snaking, strict=True))]
    size = int(np.prod(shape))
    cells = Grid(shape, tuple(axes)).cells(np.arange(size)).tolist()[:points]
    described = [{"name": a.name, "units": a.units, "start": a.start, "stop": a.stop, "snaking": a.snaking} for a in axes]
    return {"shape": shape, "axes": described, "cells": cells, "values": [n + 0.5 for n in range(len(cells))], "expected": size, **more}


def test_shares_of_the_colours_are_those_of_the_formulas_and_are_undone(ask: Any) -> None:
    values = [-20.0, 0.0, 1.0, 3.0, 50.0, 100.0, 1e4]
    cases = [
        ("linear", [0.0, 100.0], 1.0, lambda v: v / 100),
        ("linear", [0.0, 100.0], 0.5, lambda v: np.clip(v / 100, 0, 1) ** 0.5),
        ("sqrt", [-25.0, 100.0], 1.0, lambda v: (np.sign(v) * np.sqrt(np.abs(v)) + 5) / 15),
        ("log", [1.0, 100.0], 1.0, lambda v: np.log(np.maximum(v, 1e-300)) / np.log(100)),
        ("symlog", [-100.0, 100.0], 1.0, lambda v: (np.sign(v) * np.log1p(np.abs(v) * 10) / np.log1p(1000) + 1) / 2),
    ]
    answers = ask(
        *({"what": "shares", "scale": s, "limits": lim, "gamma": g, "values": values} for s, lim, g, _ in cases),
        {"what": "shares", "scale": "linear", "limits": [3.0, 3.0], "gamma": 1.0, "values": [1.0, 5.0]},
    )
    for (_, limits, _, formula), answer in zip(cases, answers, strict=False):
        shares, undone = np.array(answer).T
        np.testing.assert_allclose(shares, np.clip(formula(np.array(values)), 0, 1), atol=1e-12)
        inside = np.clip(values, *limits)
        np.testing.assert_allclose(undone, inside, rtol=1e-9, atol=1e-9)
    assert [share for share, _ in answers[-1]] == [0.5, 0.5]


def test_limits_are_those_of_all_values_of_percentiles_or_locked_and_above_zero_for_a_logarithm(ask: Any) -> None:
    values: list[float | None] = [*np.random.default_rng(3).normal(10, 30, 1000).tolist(), None, None]
    known = np.array(values[:-2], dtype=float)
    clipped = [np.percentile(known, 5, method="lower"), np.percentile(known, 95, method="higher")]
    positive = known[known > 0].min()
    whole = [known.min(), known.max()]
    (limits, percentiles, lowest, histogram), *chosen = ask(
        {"what": "map", "values": values, "share": 5, "bins": 20},
        {"what": "limits", "values": values, "chosen": {}},
        {"what": "limits", "values": values, "chosen": {"clip": 5}},
        {"what": "limits", "values": values, "chosen": {"clip": 5}, "locked": [1.0, 2.0]},
        {"what": "limits", "values": values, "chosen": {"scale": "log"}},
        {"what": "limits", "values": [-3.0, 0.0, None], "chosen": {"scale": "log"}},
        {"what": "limits", "values": [None], "chosen": {"clip": 1}},
        # What was chosen for values does not touch differences.
        {"what": "limits", "values": [-3.0, 3.0], "chosen": {"scale": "log", "clip": 5}, "locked": [1.0, 2.0], "signed": True},
    )
    assert (limits, percentiles, lowest) == (whole, clipped, positive)
    assert histogram == np.histogram(known, 20)[0].tolist()
    assert chosen == [whole, clipped, [1.0, 2.0], [positive, whole[1]], None, None, [-3.0, 3.0]]


def test_a_colour_bar_has_ticks_also_where_two_digits_do_not_tell_its_values_apart(ask: Any) -> None:
    narrow = [123456.0, 124000.0]
    shapes = [("linear", 1.0), ("log", 1.0), ("sqrt", 1.0), ("linear", 0.5)]
    even, *uneven, decades = ask(
        *({"what": "bar", "scale": scale, "limits": narrow, "gamma": gamma, "most": 5} for scale, gamma in shapes),
        {"what": "bar", "scale": "log", "limits": [1.0, 1e4], "gamma": 1.0, "most": 5},
    )
    assert len(even) > 2
    assert uneven == [even] * 3
    assert len(decades) > 2


@pytest.mark.parametrize(
    ("shape", "snaking"), [((4, 5), (False, True)), ((3, 4), (False, False)), ((2, 3, 4), (False, True, True)), ((7,), (False,))]
)
def test_the_path_to_come_is_that_of_the_grid(ask: Any, shape: tuple[int, ...], snaking: tuple[bool, ...]) -> None:
    run, half = run_of(shape, snaking), int(np.prod(shape)) // 2
    odd = run_of(shape, snaking, half)
    odd["cells"][-2:] = odd["cells"][:-3:-1]
    assert ask(
        {"what": "planned", "run": run_of(shape, snaking, half)},
        {"what": "planned", "run": run},
        {"what": "planned", "run": odd},
        {"what": "planned", "run": run_of(shape, snaking, half, expected=half)},
    ) == [run["cells"][half:], [], [], []]


def test_a_replay_has_the_values_of_its_time_also_where_cells_were_measured_again(ask: Any) -> None:
    run = run_of((3, 5), (False, True))
    run["cells"] += [4, 4, 0]
    run["values"] += [100.0, 101.0, 102.0]
    steps = [0, 3, 15, 17, 16, 99, 4]
    (answers,) = ask({"what": "replayed", "run": run, "steps": steps})
    for step, answer in zip(steps, answers, strict=True):
        rows = min(step, 18)
        expected: list[float | None] = [None] * 15
        for cell, value in zip(run["cells"][:rows], run["values"][:rows], strict=True):
            expected[cell] = value
        assert answer == {"rows": rows, "measured": rows, "values": expected}


def test_a_region_and_a_line_hold_the_cells_under_them_whichever_way_up_the_map_is(ask: Any) -> None:
    run = run_of((4, 6), (False, True), 20)
    turned = {"swapped": True, "leftwards": True, "downwards": False}
    picture = np.full(24, np.nan)
    picture[run["cells"]] = run["values"]
    region, line = {"kind": "region", "from": 21, "to": 8}, {"kind": "line", "from": 0, "to": 15}
    upright, rotated, straight, steep, places = ask(
        {"what": "selected", "run": run, "selection": region, "orientation": UPRIGHT},
        {"what": "selected", "run": run, "selection": region, "orientation": turned},
        {"what": "selected", "run": run, "selection": line, "orientation": UPRIGHT},
        {"what": "selected", "run": run, "selection": line, "orientation": turned},
        {"what": "places", "run": run, "orientation": turned},
    )
    inside = picture.reshape(4, 6)[1:4, 2:4]
    known = inside[np.isfinite(inside)]
    assert 0 < len(known) < inside.size
    assert sorted(upright["cells"]) == sorted(rotated["cells"]) == [8, 9, 14, 15, 20, 21]
    for found in (upright, rotated):
        summary = {key: found["summary"][key] for key in ("sum", "mean", "low", "high")}
        assert summary == {"sum": known.sum(), "mean": known.mean(), "low": known.min(), "high": known.max()}
    assert steep["cells"] == straight["cells"]
    assert (straight["cells"], straight["length"]) == ([0, 7, 8, 15], {"length": pytest.approx(13**0.5), "units": "mm"})
    # Swapped, the slow axis goes to the right; leftwards, it begins there.
    assert places == [[3 - cell // 6, cell % 6, cell] for cell in run["cells"]]
