"""A run being reconstructed: which frames to read next, and what becomes of the values.

Holds no clock and does no IO; the streaming process and Dagster drive the same code, which is why their maps are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from wpb_stream.core.binning import Binned, Bins, Rows
from wpb_stream.core.board import Reconstruction
from wpb_stream.core.counts import Counts
from wpb_stream.core.description import beyond, describe, hollow, iso
from wpb_stream.core.gathered import Gathered
from wpb_stream.core.geometry import Grid
from wpb_stream.core.late import LateFrames
from wpb_stream.core.moment import Made, Moment
from wpb_stream.core.reading import Reduce, read_now, steps
from wpb_stream.core.run import Run
from wpb_stream.core.table import PointTable
from wpb_stream.core.window import FrameRef, FrameStatus, Window, WindowResult

FIRST_ROWS = 2**20
"""Rows a table has room for at first, at most: what a start document announces is not believed before it comes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How frames are gathered and how long they are waited for."""

    window_frames: int = 64
    """A window is closed when it holds this many frames …"""
    window_seconds: float = 0.05
    """… or when its first frame has waited this long."""
    frame_deadline_s: float = 30.0
    """A frame that does not appear in its file for this long is marked missing."""
    stop_grace_s: float = 5.0
    """Documents that the stop document overtook are waited for this long."""
    idle_s: float = 900.0
    """A run without any document for this long, and without a stop document, is lost."""


@dataclass(slots=True, eq=False)
class LiveRun:
    """One revision of one run, growing."""

    run: Run
    reconstruction: Reconstruction
    pace: Pace
    last_document_at: float
    missing: set[int] = field(default_factory=set[int])
    """Points whose frame could not be had."""
    last_look: bool = False
    """Whether what is read now is looked for a last time: the run is over, and all that was late has had its time."""
    counts: Counts = field(default_factory=Counts)
    """Of all that this process reconstructs."""
    _frame_shape: tuple[int, int] | None = None
    _described: int = 0
    """Descriptors that the run's description takes account of."""
    _window: Window = field(init=False)
    _late: LateFrames = field(init=False)
    _filled: int = 0
    """Points that were marked missing and came after all."""
    _bins: Bins | None = None
    """Where points are put that are where they were measured."""
    _placed: dict[int, FrameRef] = field(default_factory=dict[int, FrameRef])
    """The newest frame of each point that has a row."""
    _arrived: dict[int, float] = field(default_factory=dict[int, float])
    """Of each point, when the last document that announced it came."""
    _gathered: Gathered = field(default_factory=Gathered)
    _grown: bool = False
    """Whether there is more than the arrays show."""
    _show_at: float = 0.0
    """Not before then are arrays to be made again."""

    def __post_init__(self) -> None:
        self._window = Window(self.pace.window_frames, self.pace.window_seconds)
        self._late = LateFrames(self.pace.frame_deadline_s)
        self.reconstruction.frames = self._placed

    @classmethod
    def begin(
        cls, run: Run, revision: str, pace: Pace, now: float, produced_by: str = "wpb stream", counts: Counts | None = None
    ) -> LiveRun:
        """A reconstruction without rows yet."""
        info = describe(run)
        table = PointTable([channel.name for channel in info.channels], capacity=min(info.points_expected or 1, FIRST_ROWS))
        return cls(run, Reconstruction(info, revision, table, produced_by, run.notices), pace, now, counts=counts or Counts())

    def add(self, frames: Sequence[FrameRef], now: float, arrived_at: float | None = None) -> None:
        """A document of the run came, and asked for these frames.

        :param arrived_at: when it came into this process, if it had to wait
        """
        self.last_document_at = now
        self._arrived.update(dict.fromkeys([ref.point for ref in frames], now if arrived_at is None else arrived_at))
        self.last_look = False  # not over after all, perhaps
        self._take_channels()
        if self.run.descriptors != self._described and not self.reconstruction.table.rows:
            self._described = self.run.descriptors
            self.describe_again()  # a descriptor tells the units
        self._window.add([] if self.run.superseded else frames, now)

    def _take_channels(self) -> None:
        """Only the descriptor of a run without frames tells what its channels are."""
        recipe, made = self.run.recipe, self.reconstruction
        names = tuple(channel.name for channel in recipe.channels) if recipe else ()
        if names != made.table.channels and not made.table.rows:
            made.table = PointTable(names, capacity=min(made.run.points_expected or 1, FIRST_ROWS))
            self.describe_again()

    def due_in(self, now: float) -> float:
        """Seconds until :meth:`take` has something to give, or :attr:`finished` may have changed."""
        waits = [] if self._late.retry_at is None else [self._late.retry_at - now]
        if self._to_show:
            waits.append(self._show_at - now)
        if self.run.stop is not None:
            overdue = self._late.overdue(now)
            if len(self._window) or (overdue and self._over(now)):
                return 0.0
            if overdue:
                waits.append(self.last_document_at + self.pace.stop_grace_s - now)
            return max(0.0, min(waits))
        waits.append(self.last_document_at + self.pace.idle_s - now)
        closes_in = self._window.closes_in(now)
        return max(0.0, min(waits if closes_in is None else [*waits, closes_in]))

    def take(self, now: float) -> list[FrameRef]:
        """The frames to read now: a closed window, and late ones whose time has come, as many as a window holds."""
        if self._over(now):
            released = self.run.join.release()
            self._arrived.update(dict.fromkeys([ref.point for ref in released], now))
            self._window.add(released, now)
        if not (self.last_look or len(self._window) or self._late.being_read) and self._over(now) and self._late.overdue(now):
            self.last_look = True
            self._late.look_for_all(now)
        due = self._late.due(now, self.pace.window_frames)
        self.counts.retries += len(due)
        closed = self._window.closes_in(now) == 0.0 or self.run.stop is not None
        taken = due + (self._window.take(now) if closed else [])
        if not taken and self._settled(now):
            return self._gathered.take_again(self._placed.values(), self.pace.window_frames)
        return taken

    def place(self, frames: Sequence[FrameRef], result: WindowResult, now: float) -> None:
        """Append a row for each frame that was read; late ones are asked for again, broken ones are given up."""
        recipe = self.run.recipe
        assert recipe is not None, "frames are only asked for where there is a recipe"
        if result.unjoined:
            self.run.notice("companion_missing", result.unjoined)
        read: list[int] = []
        spoiled = False
        for position, (ref, status) in enumerate(zip(frames, result.status, strict=True)):
            late = self._late.answered(ref)
            before = self._placed.get(ref.point)
            if status == FrameStatus.READ:
                if before is None or before.version < ref.version:
                    self._placed[ref.point] = ref
                    self._filled += ref.point in self.missing
                    self.missing.discard(ref.point)
                    read.append(position)
                spoiled |= before is not None and before.version != ref.version
            elif before is not None and before.version == ref.version:
                # Read when its row was made, and asked for once more to be accumulated.
                told = "Frames on the map could not be read once more, and what is made of all frames lacks them"
                self.run.notice("arrays_incomplete", f"{told}: {result.reason}" if result.reason else f"{told}.")
            elif status == FrameStatus.NOT_YET:
                if self._late.again(ref, late, now, last=self.last_look):
                    self._give_up(ref, result.reason)
            else:
                self._give_up(ref, result.reason)
        if self._frame_shape is None and result.frame_shape is not None and not self.reconstruction.table.rows:
            self._frame_shape = result.frame_shape
            self.describe_again()  # regions in pixels of the real frame
            if told := beyond(recipe, result.frame_shape):
                self.run.notice("regions_beyond", told)
        elif result.frame_shape is not None and self._frame_shape not in (None, result.frame_shape):
            self.run.notice("frames_differ", _differ(self._frame_shape, result.frame_shape))
        self._gathered.add(result.tally, spoiled=spoiled)
        if self._gathered.differing:
            self.run.notice("frames_differ", "The frames have different shapes or types: nothing is accumulated of them.")
        points = [frames[position].point for position in read]
        assert self.run.grid is not None, "with a recipe there is a grid"
        if list(self.run.grid.shape) != self.reconstruction.run.shape:
            self.describe_again()
        if read and not self.reconstruction.table.rows and (told := hollow(recipe, result.values[read])):
            self.run.notice("regions_beyond", told)
        rows = self._rows(self.run.grid, points, result.values[read])
        self.reconstruction.table.append(*rows)
        self.reconstruction.arrived.extend(map(self._arrived.__getitem__, rows[0].tolist()))
        if frames[0].values is None:  # else there was nothing to read
            self.counts.frames += int(np.count_nonzero(result.status == FrameStatus.READ))
        self.counts.rows += len(rows[0])
        self._grown |= bool(recipe.arrays) and (bool(read) or (result.tally is not None and result.tally.frames > 0))
        self.reconstruction.run = msgspec.structs.replace(self.reconstruction.run, rows=self.reconstruction.table.rows)

    def _rows(self, grid: Grid, points: list[int], values: npt.NDArray[np.float64]) -> Rows:
        """Point, cell and values of the rows that points make."""
        if not isinstance(grid, Binned):
            return np.array(points, np.int64), grid.cells(points).astype(np.int64), values
        if self._bins is None:
            assert self.run.recipe is not None, "with a grid there is a recipe"
            data_keys = [channel.data_key for channel in self.run.recipe.channels]
            self._bins = Bins(grid, tuple(data_keys.index(data_key) for data_key in grid.data_keys))
        return self._bins.rows(points, values)

    def shows(self, now: float) -> bool:
        """Whether the arrays are to be made anew."""
        return self._to_show and now >= self._show_at

    @property
    def _to_show(self) -> bool:
        return self._grown and not self._gathered.anew

    def moment(self) -> Moment:
        """What arrays are made of, as it is now."""
        recipe, table = self.run.recipe, self.reconstruction.table
        derived = recipe.derived if recipe else ()
        return Moment(self._gathered.tally, derived, self.reconstruction.run, self.run.grid, PointTable.from_array(table.data))

    def show(self, made: Made, not_before: float) -> None:
        """Put arrays on the board, and leave them so until then."""
        self._grown, self._show_at = False, not_before
        for told in made.notices:
            self.run.notice(told.code, told.message)
        self.reconstruction.show(made.arrays)

    def describe_again(self) -> None:
        """Have the run described anew, if there is anything new to say."""
        held = self.reconstruction.run
        info = describe(self.run, self._frame_shape)
        info = msgspec.structs.replace(info, rows=self.reconstruction.table.rows, status=held.status, stopped=held.stopped)
        if info != held:
            self.reconstruction.run = info
            self.reconstruction.described += 1

    def _give_up(self, ref: FrameRef, reason: str | None) -> None:
        if ref.point not in self._placed and ref.point not in self.missing:
            self.missing.add(ref.point)
            self.counts.missing += 1
        self.run.notice("frame_missing", reason or f"Frame {ref.index} of {ref.file.uri} did not appear.")

    def finished(self, now: float) -> bool:
        """Whether the run is over and nothing more can come of it."""
        return self._settled(now) and self._gathered.complete

    def _settled(self, now: float) -> bool:
        return self._over(now) and self._late.none and not (len(self._window) or self.run.join.releasable())

    def _over(self, now: float) -> bool:
        """Whether no document is expected any more."""
        # Reckoned as in due_in: by the difference of the two times, rounding could have it woken a moment before there is anything to do.
        if self.run.stop is None:
            return now >= self.last_document_at + self.pace.idle_s
        return self.run.complete or now >= self.last_document_at + self.pace.stop_grace_s

    @property
    def outdated(self) -> bool:
        """Whether it is to be made anew: frames or the stop document came after :meth:`end`, or it shows another detector than is meant."""
        if not self.reconstruction.ended:
            return self.run.superseded and not self.run.over  # what is ending is looked at again when it has ended
        found_lost = self.reconstruction.run.status == "lost" and self.run.stop is not None
        return len(self._window) > 0 or found_lost or self.run.superseded

    def end(self) -> float:
        """Conclude how the run ended. Once that is stored, ``reconstruction.ended`` may be set for all to see.

        :returns: when the run ended, seconds since 1970; the time of its last known document if it was lost
        """
        stop = self.run.stop
        if stop is None:
            self.run.notice("run_lost", f"No document came for {self.pace.idle_s:g} s and no stop document: the run is taken as lost.")
        if lacks := self.run.lacks:
            self.run.notice("documents_missing", lacks)
        self._tell_of_companions()
        if self._bins is not None and self._bins.outside:
            self.run.notice("points_outside", f"{len(self._bins.outside)} points were measured outside all bins: they are not on the map.")
        if self._filled:
            self.run.notice("frames_filled", f"{self._filled} points that had been given up are on the map after all.")
        if self.run.recipe is not None and not self.run.measures:
            named = f" called {self.run.recipe.data_key!r}" if self.run.recipe.data_key else ""
            told = f"No detector{named} of this run wrote frames to files: there is nothing to reconstruct. It is kept."
            self.run.notice("no_frames", told)
        ended_at = float(stop["time"]) if stop else self.run.last_time
        reconstruction = self.reconstruction
        self.run.conclude()
        self.describe_again()
        reconstruction.reason = (stop or {}).get("reason") or ""
        reconstruction.run = msgspec.structs.replace(
            reconstruction.run, status="lost" if stop is None else self.run.status, stopped=iso(ended_at)
        )
        return ended_at

    def _tell_of_companions(self) -> None:
        """What did not come of the numbers that belong to the frames' points."""
        join = self.run.join
        for data_key, points in join.lacking().items():
            told = f"For {len(points)} points there is no number {data_key!r}"
            if join.stream_of(data_key) is None:
                told = f"No descriptor of this run tells of a number a point called {data_key!r}"
            if data_key in join.companions.required:
                self.counts.missing += len(self.missing.union(points)) - len(self.missing)
                self.missing.update(points)
                told += ", without which they are not shown: they are missing."
            self.run.notice("companion_missing", told if told.endswith(".") else f"{told}: its map is empty there.")


def reconstruct(live: LiveRun, frames: Sequence[FrameRef], reduce: Reduce) -> None:
    """Reconstruct all of a finished run at once: what Dagster does with the documents and files of a scan.

    Frames that are not there are not waited for.

    :param reduce: reads and reduces one window of frames
    """
    live.add(frames, 0.0)
    live.last_look = True
    while window := live.take(float("inf")):
        assert live.run.recipe is not None, "frames are only asked for where there is a recipe"
        live.place(window, read_now(steps(window, live.run.recipe, last=True), reduce), float("inf"))


def _differ(first: tuple[int, int] | None, later: tuple[int, int]) -> str:
    return f"The first frames have {first} rows and columns, later ones {later}: the regions are taken in each frame as they fit."
