"""`wpb watch`: a run grows in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING

import click
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.text import Text

from wpb_stream.commands.rate import Rate
from wpb_stream.commands.terminal import console, printable
from wpb_stream.core.messages import AxisInfo, ChannelInfo
from wpb_stream.settings import load

if TYPE_CHECKING:
    from wpb_stream.update import Update

DRAWN_A_SECOND = 8
NOTICES = 3
"""The newest that are shown; older ones are counted."""
FEWEST_LINES = 2
"""Of the map, however small the terminal."""


@click.command()
@click.argument("run", default="latest", metavar="[RUN]")
@click.option("--url", help="The feed, ws://HOST:PORT/ws; by default that of the settings.")
@click.option("--channel", help="Which to show; by default `total`, or the last.")
@click.option("--once", is_flag=True, help="End when the run is over, with exit code 1 unless it was a success.")
@click.option("--token", envvar="WPB_TOKEN", show_envvar=True, help="For a feed that asks for one.")
def watch(run: str, url: str | None, channel: str | None, once: bool, token: str | None) -> None:
    """Show a run as it grows, in the terminal; piped into a program, a line for each update. By default the latest run, and each after it.

    \b
    Example: wpb watch
             wpb watch 0f1cfc1a-6ecf-4f6c-9a86-2f3f0a0b7d3e --channel red --once
    """
    from wpb_stream.client import watch_sync

    settings = load()
    url, token = url or settings.feed, token or settings.token
    out = Console(highlight=False)
    updates = watch_sync(url, run, channels=[channel] if channel else None, max_rate=DRAWN_A_SECOND, token=token)
    drawable = sys.stdout.isatty() and not out.is_dumb_terminal
    shown = _pictures(updates, out, Board(f"waiting for the feed at {url}")) if drawable else _lines(updates)
    try:
        for update in shown:
            if once and update.stopped is not None:
                sys.exit(update.stopped.exit_status != "success")
    except KeyboardInterrupt:
        pass
    finally:
        updates.close()


def _lines(updates: Iterator[Update]) -> Iterator[Update]:
    """Tell each update in a line, then give it."""
    rate, told = Rate(), 0
    for update in updates:
        rate.add(update.rows, monotonic())
        click.echo(printable(" ".join([update.headline(), _speed(rate), _limits(update)])))
        told = told if told <= len(update.notices) else 0
        for notice in update.notices[told:]:
            console.print(Text(printable(f"{notice.code}: {notice.message}")), soft_wrap=True)
        told = len(update.notices)
        yield update


def _pictures(updates: Iterator[Update], out: Console, board: Board) -> Iterator[Update]:
    """Draw each update, then give it; what was drawn last stays in the terminal."""
    try:
        with Live(board, console=out, screen=True, auto_refresh=True, refresh_per_second=DRAWN_A_SECOND) as live:
            for update in updates:
                board.show(update)
                live.refresh()
                yield update
    finally:
        out.print(board)


class Board:
    """All that is shown of a run, as large as the terminal is at the time."""

    def __init__(self, waiting: str) -> None:
        self._waiting = waiting
        self._update: Update | None = None
        self._rate = Rate()

    def show(self, update: Update) -> None:
        """From now on, show this."""
        self._rate.add(update.rows, monotonic())
        self._update = update

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        update = self._update
        if update is None:
            yield Text(printable(self._waiting))
            return
        yield _line(f"{update.headline()} {_speed(self._rate)}", "bold")
        if update.run.points_expected:
            yield ProgressBar(update.run.points_expected, update.rows)
            yield Segment.line()
        yield _line(_limits(update))
        below = [_line(_axes(update)), *_remarks(update)]
        height = max(FEWEST_LINES, console.height - 4 - len(below))  # one stays free: a full last line would scroll
        for line in _drawn(update, console, options.max_width, height):
            yield from line
            yield Segment.line()
        yield from below


def _drawn(update: Update, console: Console, width: int, height: int) -> Iterator[list[Segment]]:
    from wpb_stream.commands.halfblocks import in_colours, in_shades
    from wpb_stream.pictures import upright

    channel = _channel(update)
    if channel is None:
        return iter(())
    values = upright(update.run, update.map(channel.name))
    if console.color_system is None or console.no_color:
        return in_shades(values, width, height)
    return in_colours(values, width, height, channel.colour or "viridis")


def _channel(update: Update) -> ChannelInfo | None:
    """The one that is shown, if the run has any."""
    held = [channel for channel in update.run.channels if channel.name in update.table.channels]
    return next((channel for channel in held if channel.name == "total"), held[-1] if held else None)


def _speed(rate: Rate) -> str:
    speed = rate.per_second(monotonic())
    return "" if speed is None else f"{speed:.3g}/s"


def _limits(update: Update) -> str:
    channel = _channel(update)
    if channel is None:
        return "nothing is reconstructed of this run"
    units = f" {channel.units}" if channel.units else ""
    limits = update.limits.get(channel.name)
    return f"{channel.label} {limits.minimum:.6g} ... {limits.maximum:.6g}{units}" if limits else channel.label


def _axes(update: Update) -> str:
    *upper, last = ["", *(_axis(axis) for axis in update.run.axes[-2:])]
    return "   ".join([f"→ {last}", *(f"↑ {axis}" for axis in upper if axis)]) if last else ""


def _axis(axis: AxisInfo) -> str:
    if axis.start is None or axis.stop is None:
        return axis.name
    low, high = sorted((axis.start, axis.stop))
    return f"{axis.name} {low:.6g} ... {high:.6g}{f' {axis.units}' if axis.units else ''}"


def _remarks(update: Update) -> list[Text]:
    """What was lost or guessed, the newest last, and why the run ended."""
    hidden = len(update.notices) - NOTICES
    remarks = [_line(f"{hidden} notices before these", "yellow")] if hidden > 0 else []
    remarks += [_line(f"{notice.code}: {notice.message}", "yellow") for notice in update.notices[-NOTICES:]]
    if update.stopped and update.stopped.reason:
        remarks.append(_line(update.stopped.reason, "red"))
    return remarks


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text).replace("\n", " "), style, no_wrap=True, overflow="ellipsis")
