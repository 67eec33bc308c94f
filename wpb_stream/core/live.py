"""A run being reconstructed: which frames to read next, and what becomes of the values.

Holds no clock and does no IO; the streaming process and Dagster drive the same code, which is why their maps are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec

from wpb_stream.core.board import Reconstruction
from wpb_stream.core.messages import AxisInfo, ChannelInfo, RunInfo, without_large_values
from wpb_stream.core.run import Run
from wpb_stream.core.table import PointTable
from wpb_stream.core.window import FrameRef, FrameStatus, Window, WindowResult

FIRST_RETRY_S = 0.02
"""A late frame is asked for again after this long, then after twice as long each time."""
LONGEST_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How frames are gathered and how long they are waited for."""

    window_frames: int = 64
    """A window is closed when it holds this many frames …"""
    window_seconds: float = 0.05
    """… or when its first frame has waited this long."""
    frame_deadline_s: float = 30.0
    """A frame that does not appear in its file for this long is marked missing."""
    idle_s: float = 900.0
    """A run without any document for this long, and without a stop document, is lost."""


@dataclass(frozen=True, slots=True)
class _Late:
    """A frame that was not there yet."""

    ref: FrameRef
    give_up_at: float
    retry_at: float
    wait_s: float


@dataclass(slots=True, eq=False)
class LiveRun:
    """One revision of one run, growing."""

    run: Run
    reconstruction: Reconstruction
    pace: Pace
    last_document_at: float
    missing: set[int] = field(default_factory=set[int])
    """Points whose frame could not be had."""
    _frame_shape: tuple[int, int] | None = None
    _window: Window = field(init=False)
    _late: list[_Late] = field(default_factory=list[_Late])
    _placed: dict[int, int] = field(default_factory=dict[int, int])

    def __post_init__(self) -> None:
        self._window = Window(self.pace.window_frames, self.pace.window_seconds)

    @classmethod
    def begin(cls, run: Run, revision: str, pace: Pace, now: float, produced_by: str = "wpb stream") -> LiveRun:
        """A reconstruction without rows yet."""
        info = describe(run)
        table = PointTable([channel.name for channel in info.channels], capacity=info.points_expected or 1)
        return cls(run, Reconstruction(info, revision, table, produced_by, run.notices), pace, now)

    def add(self, frames: Sequence[FrameRef], now: float) -> None:
        """A document of the run came, and asked for these frames."""
        self.last_document_at = now
        if not frames and not self.reconstruction.table.rows:
            self._describe()  # a descriptor tells the units
        self._window.add(frames, now)

    def due_in(self, now: float) -> float:
        """Seconds until :meth:`take` has something to give, or :attr:`finished` may have changed."""
        if self.run.stop is not None:
            return 0.0 if len(self._window) or not self._late else max(0.0, min(late.retry_at for late in self._late) - now)
        waits = [self.last_document_at + self.pace.idle_s - now, *(late.retry_at - now for late in self._late)]
        closes_in = self._window.closes_in(now)
        return max(0.0, min(waits if closes_in is None else [*waits, closes_in]))

    def take(self, now: float) -> list[FrameRef]:
        """The frames to read now: a closed window, and the late ones whose time has come."""
        due = [late for late in self._late if late.retry_at <= now]
        closed = self._window.closes_in(now) == 0.0 or self.run.stop is not None
        return [late.ref for late in due] + (self._window.take(now) if closed else [])

    def place(self, frames: Sequence[FrameRef], result: WindowResult, now: float) -> None:
        """Append a row for each frame that was read; late ones are asked for again, broken ones are given up."""
        recipe = self.run.recipe
        assert recipe is not None, "frames are only asked for where there is a recipe"
        asked = {id(late.ref): late for late in self._late}
        self._late = [late for late in self._late if not any(late.ref is ref for ref in frames)]
        read: list[int] = []
        for position, (ref, status) in enumerate(zip(frames, result.status, strict=True)):
            if status == FrameStatus.READ:
                if self._placed.get(ref.point, -1) < ref.version:
                    self._placed[ref.point] = ref.version
                    self.missing.discard(ref.point)
                    read.append(position)
            elif status == FrameStatus.NOT_YET and self._ask_again(ref, asked.get(id(ref)), now):
                continue
            else:
                self._give_up(ref, result.reason)
        if self._frame_shape is None and result.frame_shape is not None and not self.reconstruction.table.rows:
            self._frame_shape = result.frame_shape
            self._describe()  # regions in pixels of the real frame
        points = [frames[position].point for position in read]
        self.reconstruction.table.append(points, recipe.grid.cells(points), result.values[read])
        self.reconstruction.run = msgspec.structs.replace(self.reconstruction.run, rows=self.reconstruction.table.rows)

    def _describe(self) -> None:
        info = describe(self.run, self._frame_shape)
        if info != self.reconstruction.run:
            self.reconstruction.run = info
            self.reconstruction.described += 1

    def _ask_again(self, ref: FrameRef, late: _Late | None, now: float) -> bool:
        if late is None:
            late = _Late(ref, now + self.pace.frame_deadline_s, now + FIRST_RETRY_S, FIRST_RETRY_S)
        else:
            wait_s = min(2 * late.wait_s, LONGEST_RETRY_S)
            late = replace(late, retry_at=now + wait_s, wait_s=wait_s)
        if now >= late.give_up_at:
            return False
        self._late.append(late)
        return True

    def _give_up(self, ref: FrameRef, reason: str | None) -> None:
        if self._placed.get(ref.point, -1) < 0:
            self.missing.add(ref.point)
        self.run.notice("frame_missing", reason or f"Frame {ref.first} of {ref.file.uri} did not appear.")

    def finished(self, now: float) -> bool:
        """Whether the run is over and nothing more can come of it."""
        stopped = self.run.stop is not None or now - self.last_document_at >= self.pace.idle_s
        return stopped and not len(self._window) and not self._late

    def end(self) -> float:
        """Conclude how the run ended. Once that is stored, ``reconstruction.ended`` may be set for all to see.

        :returns: when the run ended, seconds since 1970; the time of its last known document if it was lost
        """
        stop = self.run.stop
        if stop is None:
            self.run.notice("run_lost", f"No document came for {self.pace.idle_s:g} s and no stop document: the run is taken as lost.")
        ended_at = float((stop or self.run.start)["time"])
        reconstruction = self.reconstruction
        reconstruction.reason = (stop or {}).get("reason") or ""
        reconstruction.run = msgspec.structs.replace(
            reconstruction.run, status="lost" if stop is None else self.run.status, stopped=_iso(ended_at)
        )
        return ended_at


def reconstruct(live: LiveRun, frames: Sequence[FrameRef], reduce: Callable[[Sequence[FrameRef]], WindowResult]) -> None:
    """Reconstruct all of a finished run at once: what Dagster does with the documents and files of a scan.

    Frames that are not there are not waited for.

    :param reduce: reads and reduces one window of frames
    """
    live.add(frames, 0.0)
    while window := live.take(float("inf")):
        live.place(window, reduce(window), float("inf"))


def describe(run: Run, frame_shape: tuple[int, int] | None = None) -> RunInfo:
    """The run object of the feed's protocol for a run that has no rows yet.

    :param frame_shape: rows, columns of the detector's frames once known, for regions in pixels
    """
    start, recipe = run.start, run.recipe
    grid = recipe.grid if recipe else None
    return RunInfo(
        uid=run.uid,
        scan_id=start.get("scan_id"),
        plan_name=start.get("plan_name"),
        status=run.status,
        started=_iso(start["time"]),
        stopped=None,
        recipe=recipe.name if recipe else None,
        shape=list(grid.shape) if grid else [],
        axes=[AxisInfo(a.name, a.units or run.units(a.name), a.start, a.stop, a.snaking) for a in grid.axes] if grid else [],
        channels=[
            ChannelInfo(c.name, c.label, c.units, c.colour, c.region.describe(frame_shape) if c.region else None)
            for c in (recipe.channels if recipe else ())
        ],
        arrays=[],
        points_expected=grid.size if grid else None,
        rows=0,
        metadata=without_large_values(start),
    )


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")
