"""A board that grows from what another process tells of its own.

Whatever comes twice, or from a process that was stopped and replaced, changes nothing: rows, notices and versions are numbered. What is
missing in between is seen by the same numbers; what follows it is not taken, until all is told again from the first row.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from wpb_stream.core.binary import PointsHeader
from wpb_stream.core.board import Board, Reconstruction, Versioned
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable
from wpb_stream.core.topic import Described, Noticed, OnBoard, Whole, decode

log = logging.getLogger(__name__)

LATE = Notice(
    "rows_late",
    "Rows of this run did not reach this gateway: the topic between it and the streaming process lost them. It shows the run up to "
    "there, and goes on when they are told again.",
)


class Mirror:
    """Grows a board, which nobody else writes."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._growing: dict[str, _Growing] = {}
        """Of each run that is described the newest revision; those are on the board that the newest list has."""
        self._listed: set[str] = set()
        self._whole = Whole()
        self._told = (0, -1)
        """Epoch and number of the newest list of runs."""
        self._outdated: set[int] = set()
        """Epochs that were told after a later one."""
        self._unknown: set[str] = set()
        """Runs that are listed, and were never described."""

    def take(self, value: bytes, now: float) -> None:
        """Take the next message of the topic.

        :param now: when it came, by the clock of the feed
        :raises ProtocolError: it is damaged
        """
        whole = self._whole.take(value)
        if whole is None:
            return
        match decode(whole):
            case OnBoard() as told:
                self._show(told)
            case Described() as told:
                self._describe(told)
            case Noticed() as told:
                if (growing := self._of(told.run, told.revision)) is not None:
                    self._check(growing, growing.notice(told))
            case PointsHeader() as header, columns:
                if (growing := self._of(header.run, header.revision)) is not None:
                    before = growing.made.table.rows
                    self._check(growing, growing.append(header, columns, now))
                    self._board.counts.rows += growing.made.table.rows - before
            case header, arrays:
                if (growing := self._of(header.run, header.revision)) is not None:
                    growing.show(header.name, arrays[header.name], header.version)

    def _show(self, told: OnBoard) -> None:
        epoch, _ = self._told
        if (told.epoch, told.number) <= self._told:
            if told.epoch < epoch and told.epoch not in self._outdated:
                self._outdated.add(told.epoch)
                hint = "if the catalogue was made anew, give it a topic of its own"
                log.warning("a streaming process of epoch %d was replaced by one of epoch %d: it is ignored; %s", told.epoch, epoch, hint)
            return
        self._told, self._board.latest = (told.epoch, told.number), told.latest
        self._listed = set(told.runs)
        self._unknown &= self._listed
        for uid in self._growing.keys() - self._listed:
            del self._growing[uid]
            self._board.live.pop(uid, None)
        for uid in told.runs:
            if (growing := self._growing.get(uid)) is not None:
                self._board.live[uid] = growing.made
            else:
                self._miss(uid)

    def _describe(self, told: Described) -> None:
        uid = told.run.uid
        growing = self._growing.get(uid)
        if growing is None or _generation(told.revision) > _generation(growing.made.revision):
            growing = self._growing[uid] = _Growing(_begin(told))
            self._unknown.discard(uid)
            if uid in self._listed:
                self._board.live[uid] = growing.made
        if told.revision == growing.made.revision and not growing.made.ended:
            self._check(growing, growing.describe(told))
            if growing.made.ended and uid in self._listed:
                self._board.counts.ended[told.run.status] += 1

    def _of(self, uid: str, revision: str) -> _Growing | None:
        """The run, if it is that revision of it that is shown."""
        growing = self._growing.get(uid)
        if growing is None or _generation(revision) > _generation(growing.made.revision):
            self._miss(uid)
            return None
        return growing if growing.made.revision == revision else None

    def _miss(self, uid: str) -> None:
        """A run is told of whose description is missing; that matters if it is to be shown."""
        if uid in self._listed - self._unknown:
            self._unknown.add(uid)
            self._board.counts.gaps += 1
            log.warning("run %s: its beginning is not on the topic; it is shown when it is told again", uid)

    def _check(self, growing: _Growing, follows: bool) -> None:
        """Tell of a gap, once; it may close. What is not shown may be a repetition, of which the beginning does not come again."""
        made = growing.made
        if made.run.uid not in self._listed:
            return
        if not follows and not growing.lacks:
            self._board.counts.gaps += 1
            log.error("run %s, %s: what follows row %d is not on the topic; waiting for it", made.run.uid, made.revision, made.table.rows)
            if LATE not in growing.notices:
                growing.notices.append(LATE)
                self._board.counts.notices[LATE.code] += 1
        growing.lacks = not follows


@dataclass(slots=True)
class _Growing:
    """One revision of one run, as far as it was told."""

    made: Reconstruction
    notices: list[Notice] = field(init=False)
    lacks: bool = False
    """Whether something is missing before what was told last."""
    _noticed: int = 0
    """Notices that were told; there may be one of our own besides."""
    _described: int = -1

    def __post_init__(self) -> None:
        self.notices = []
        self.made.notices = self.notices

    def describe(self, told: Described) -> bool:
        """Take a description, if it is newer; gives whether all that it counts is there."""
        made = self.made
        if told.ended and told.run.rows != made.table.rows:
            return False
        if told.described < self._described and not told.ended:
            return True
        channels = tuple(channel.name for channel in told.run.channels)
        if channels != made.table.channels:
            if made.table.rows:
                return False
            made.table = PointTable(channels)
        if told.described != self._described:
            made.described += self._described >= 0
            self._described = told.described
        made.run, made.reason, made.ended = _with_rows(told.run, made.table), told.reason, told.ended
        return True

    def notice(self, told: Noticed) -> bool:
        """Take notices that are not held; gives whether they follow those that are."""
        if told.first > self._noticed:
            return False
        new = told.notices[self._noticed - told.first :]
        self.notices.extend(new)
        self._noticed += len(new)
        return True

    def append(self, header: PointsHeader, columns: Mapping[str, npt.NDArray[Any]], now: float) -> bool:
        """Take rows that are not held; gives whether they follow those that are."""
        made = self.made
        held = made.table.rows - header.first_row
        if held < 0 or set(columns) != {"point", "cell", *made.table.channels}:
            return False
        new = header.rows - held
        if new > 0:
            values = np.empty((new, len(made.table.channels)))
            for column, name in enumerate(made.table.channels):
                values[:, column] = columns[name][held:]
            made.table.append(columns["point"][held:], columns["cell"][held:], values)
            made.arrived.extend([now] * new)
            made.run = _with_rows(made.run, made.table)
        return True

    def show(self, name: str, values: npt.NDArray[Any], version: int) -> None:
        """Take an array, if it is newer than the one that is held."""
        held = self.made.arrays.get(name)
        if held is None or version > held.version:
            self.made.arrays[name] = Versioned(values, version)


def _begin(told: Described) -> Reconstruction:
    table = PointTable([channel.name for channel in told.run.channels])
    return Reconstruction(_with_rows(told.run, table), told.revision, table, told.produced_by, trailing=True)


def _with_rows(run: RunInfo, table: PointTable) -> RunInfo:
    return msgspec.structs.replace(run, rows=table.rows)


def _generation(revision: str) -> int:
    """How often a run had begun when this revision of it did: ``live``, then ``live.2`` and so on."""
    number = revision.partition(".")[2]
    return int(number) if number.isdecimal() else 1
