"""What `wpb watch` shows of an update."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from wpb_stream.commands import halfblocks
from wpb_stream.commands.rate import Rate
from wpb_stream.commands.watch import Board
from wpb_stream.core.limits import Limits
from wpb_stream.core.messages import AxisInfo, ChannelInfo, RunInfo, RunStopped
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable
from wpb_stream.update import Update

AXES = [AxisInfo("stage-y", "mm", 0.0, 2.0, False), AxisInfo("stage-x", "mm", 3.0, 0.0, True)]


def update(rows: int = 6, plan: str = "grid_scan", stopped: RunStopped | None = None, notices: tuple[Notice, ...] = ()) -> Update:
    table = PointTable(["red", "total"])
    table.append(np.arange(rows), np.arange(rows), np.arange(2.0 * rows).reshape(rows, 2))
    channels = [ChannelInfo(name, name, "counts", None, None) for name in ("red", "total")]
    run = RunInfo("u", 7, plan, "running", None, None, "raster", [3, 4], AXES, channels, [], 12, rows, {})
    return Update(run, "live", table, 0, notices, stopped, {}, {"total": Limits(1.0, 11.0, {})})


def shown(*updates: Update, width: int = 60, height: int = 20, colours: Literal["256", "truecolor"] | None = None) -> list[str]:
    board = Board("waiting for the feed at ws://b01:8000/ws")
    for each in updates:
        board.show(each)
    out = io.StringIO()
    halfblocks._half_block.cache_clear()  # rich remembers with a style how it was written to the terminal before
    Console(file=out, force_terminal=True, width=width, height=height, color_system=colours, legacy_windows=False).print(board)
    return out.getvalue().splitlines()


def plain(line: str) -> str:
    """A line without its style."""
    return Text.from_ansi(line).plain.rstrip()


def test_before_anything_came_it_is_told_what_is_waited_for() -> None:
    assert [plain(line) for line in shown()] == ["waiting for the feed at ws://b01:8000/ws"]


def test_progress_limits_and_axes_with_their_units_are_told() -> None:
    lines = [plain(line) for line in shown(update())]
    assert lines[0].startswith("run 7 grid_scan running: 6 of 12 (50 %) points")
    assert lines[1].count("━") > 20
    assert lines[2] == "total 1 ... 11 counts"
    assert lines[-1] == "→ stage-x 0 ... 3 mm   ↑ stage-y 0 ... 2 mm"


def test_positions_ascend_to_the_right_and_upwards() -> None:
    drawn = [plain(line) for line in shown(update(), width=8, height=8)[3:6]]
    assert drawn == ["", "    ██▓▓", "▓▓▒▒▒▒░░"]


def test_notices_and_why_a_run_ended_are_told() -> None:
    notices = tuple(Notice("frame_missing", f"Point {number} is missing.") for number in range(5))
    lines = [plain(line) for line in shown(update(stopped=RunStopped(1, "u", "abort", "the beam was lost", 6), notices=notices))]
    assert " abort: 6 of 12" in lines[0]
    assert lines[-5:] == [
        "2 notices before these",
        *(f"frame_missing: Point {number} is missing." for number in (2, 3, 4)),
        "the beam was lost",
    ]


@pytest.mark.parametrize(("width", "height"), [(20, 10), (60, 20), (200, 60)])
def test_it_fits_the_terminal_whatever_its_size(width: int, height: int) -> None:
    lines = [plain(line) for line in shown(update(), width=width, height=height, colours="truecolor")]
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    if width == 200:
        assert max(line.count("▀") + line.count("▄") for line in lines) == 4 * 36, "it is as large as the terminal allows"


def test_a_terminal_of_24_bits_a_colour_is_given_them_and_one_of_256_colours_the_nearest() -> None:
    assert any("38;2;68;1;84" in line for line in shown(update(), colours="truecolor"))
    nearest = [line for line in shown(update(), colours="256") if "▀" in line]
    assert any("38;5;" in line for line in nearest)
    assert not any("38;2;" in line for line in nearest)


def test_what_could_steer_a_terminal_is_spelled_out() -> None:
    assert "\\x1b[2Jscan" in plain(shown(update(plan="\x1b[2Jscan"))[0])


def test_the_rate_is_that_of_the_last_seconds_and_begins_anew_with_a_run() -> None:
    rate = Rate()
    assert rate.per_second(0.0) is None
    for second in range(20):
        rate.add(10 * second, float(second))
    assert rate.per_second(19.0) == 10.0
    assert rate.per_second(24.0) == 5.0
    rate.add(0, 25.0)
    assert rate.per_second(25.0) is None
