"""What a topic is owed of a board: as a client's subscription, but to all runs. Holds positions, no queue, and does no IO."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from wpb_stream.core.binary import encode_array, encode_points
from wpb_stream.core.board import Board, Reconstruction
from wpb_stream.core.topic import MAX_MESSAGE_BYTES, Described, Noticed, OnBoard, Record, encode, records

HEADER_BYTES = 64 * 1024
"""Left for the header of a slice, which names its channels."""


class Owed:
    """Where a topic stands that knows nothing yet.

    Of a run that is over already the catalogue can be asked, and nothing is owed.

    :param epoch: of this process, see :class:`OnBoard`
    :param numbers: of the lists of runs that this process tells
    """

    def __init__(self, board: Board, epoch: int, numbers: Iterator[int] | None = None) -> None:
        self._board, self._epoch, self._numbers = board, epoch, count() if numbers is None else numbers
        self._over = {uid: made for uid, made in board.live.items() if made.ended}
        self._places: dict[str, _Place] = {}
        self._told: tuple[str | None, list[str]] | None = None

    @property
    def rows(self) -> int:
        """Rows that are owed."""
        held = {uid: place.next_row if place.made is self._board.live.get(uid) else 0 for uid, place in self._places.items()}
        return sum(made.table.rows - held.get(uid, 0) for uid, made in self._shown().items())

    def due(self) -> Iterator[list[Record]]:
        """What is owed now, of each run at most one slice of rows; a list is what was so at one moment."""
        yield self._announcements()
        for place in list(self._places.values()):
            yield place.due()

    def _shown(self) -> dict[str, Reconstruction]:
        return {uid: made for uid, made in self._board.live.items() if self._over.get(uid) is not made}

    def _announcements(self) -> list[Record]:
        """New runs, and then which there are: nobody is to hear of a run as the latest that is not described."""
        shown, announced = self._shown(), list[Record]()
        for uid, made in shown.items():
            if uid not in self._places or self._places[uid].made is not made:
                self._places[uid] = _Place(made)
                announced += self._places[uid].description()
        for uid in self._places.keys() - shown.keys():
            del self._places[uid]
        now = (self._board.latest, list(shown))
        if now != self._told:
            self._told = now
            announced += records("", encode(OnBoard(self._epoch, next(self._numbers), *now)))
        return announced


@dataclass(slots=True)
class _Place:
    """Where the topic stands in one reconstruction."""

    made: Reconstruction
    next_row: int = 0
    _next_notice: int = 0
    _described: int = -1
    _end_told: bool = False
    _versions: dict[str, int] = field(default_factory=dict[str, int])
    """Of each array, the one told last."""

    def description(self) -> list[Record]:
        """What is said of the run now."""
        made = self.made
        self._described = made.described
        self._end_told = made.ended and self.next_row == made.table.rows
        told = Described(made.run, made.revision, made.produced_by, made.described, self._end_told, made.reason)
        return list(records(made.run.uid, encode(told)))

    def due(self) -> list[Record]:
        """What is owed now."""
        made, due = self.made, list[Record]()
        uid, revision = made.run.uid, made.revision
        if self._described != made.described:
            due += self.description()
        if self._next_notice < len(made.notices):
            told = Noticed(uid, revision, self._next_notice, list(made.notices[self._next_notice :]))
            due += records(uid, encode(told))
            self._next_notice = len(made.notices)
        rows, most = made.table.rows, max(1, (MAX_MESSAGE_BYTES - HEADER_BYTES) // made.table.data.itemsize)
        if self.next_row < rows:
            first, self.next_row = self.next_row, min(rows, self.next_row + most)
            message = encode_points(
                made.table.data[first : self.next_row],
                subscription=0,
                run=uid,
                revision=revision,
                first_row=first,
                points_expected=made.run.points_expected,
                channels=made.table.channels,
            )
            due += records(uid, message)
        for name, each in made.arrays.items():
            if self._versions.get(name) != each.version:
                self._versions[name] = each.version
                message = encode_array(each.values, subscription=0, run=uid, revision=revision, name=name, version=each.version)
                due += records(uid, message)
        if made.ended and not self._end_told and self.next_row == made.table.rows:
            due += self.description()
        return due
