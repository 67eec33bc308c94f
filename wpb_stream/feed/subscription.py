"""One subscription: what it is owed next. Holds positions, no queue, and does no IO."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from wpb_stream.core.binary import encode_points
from wpb_stream.core.board import Reconstruction
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.messages import NoticeMessage, Revised, RunMessage, RunStopped, Subscribe, encode_reply

MAX_SLICE_BYTES = 1_000_000
"""Rows in one message fill at most this, so that what waits for a slow client is bounded: with its header it is below 1 MiB."""


@lru_cache(maxsize=64)
def _slice(made: Reconstruction, subscription: int, channels: tuple[str, ...], first: int, last: int) -> bytes:
    """Rows ``first`` to ``last`` encoded; clients that stand at the same row share the bytes."""
    return encode_points(
        made.table.data[first:last],
        subscription=subscription,
        run=made.run.uid,
        revision=made.revision,
        first_row=first,
        points_expected=made.run.points_expected,
        channels=channels,
    )


class Subscription:
    """Where one client stands in one reconstruction."""

    def __init__(self, request: Subscribe) -> None:
        self.id = request.id
        self.interval_s = 1.0 / request.max_rate
        self._channels = request.channels
        self.made: Reconstruction | None = None
        self._next_row = self._next_notice = self._described = 0
        self._stop_told = False

    @property
    def complete(self) -> bool:
        """Whether all that the reconstruction will ever have was handed out."""
        return self._stop_told

    @property
    def behind(self) -> bool:
        """Whether rows are waiting."""
        return self.made is not None and self._next_row < self.made.table.rows

    def attach(self, made: Reconstruction, from_row: int = 0, *, instead: bool = False) -> Iterator[str]:
        """Begin to follow a reconstruction; yields what announces it.

        :param from_row: rows the client already holds
        :param instead: it is not the one that was asked for, as that is gone: rows start at 0
        :raises ProtocolError: ``unknown_channel``, or ``bad_message`` if the client holds rows that do not exist
        """
        known = [channel.name for channel in made.run.channels]
        unknown = sorted(set(self._channels or ()) - set(known))
        if unknown:
            raise ProtocolError(
                "unknown_channel", f"Run {made.run.uid} has no channel {unknown[0][:80]!r}; it has {', '.join(known)}.", self.id
            )
        if from_row > made.table.rows and not instead:
            raise ProtocolError("bad_message", f"subscribe: from_row {from_row} is beyond the {made.table.rows} rows there are.", self.id)
        self.made, self._described, self._stop_told = made, made.described, False
        self._next_row, self._next_notice = 0 if instead else from_row, 0
        self._shown = tuple(name for name in known if self._channels is None or name in self._channels)
        if instead:
            yield encode_reply(Revised(self.id, made.run.uid, made.revision, made.produced_by))
        yield self._run_message(made)

    def _run_message(self, made: Reconstruction) -> str:
        return encode_reply(RunMessage(self.id, made.run, made.revision, self._next_row))

    def due(self) -> Iterator[str | bytes]:
        """What the client is owed now: at most one slice of rows, then whatever else there is to say."""
        made = self.made
        if made is None:
            return
        if self._described != made.described:
            self._described = made.described
            yield self._run_message(made)
        while self._next_notice < len(made.notices):
            notice = made.notices[self._next_notice]
            self._next_notice += 1
            yield encode_reply(NoticeMessage(self.id, notice.code, notice.message))
        rows = made.table.rows
        if self._next_row < rows:
            first, self._next_row = self._next_row, min(rows, self._next_row + MAX_SLICE_BYTES // made.table.data.itemsize)
            yield _slice(made, self.id, self._shown, first, self._next_row)
        if made.ended and not self._stop_told and self._next_row == made.table.rows:
            self._stop_told = True
            yield encode_reply(RunStopped(self.id, made.run.uid, made.run.status, made.reason, made.table.rows))
