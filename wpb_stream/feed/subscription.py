"""One subscription: what it is owed next. Holds positions, no queue, and does no IO."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from time import monotonic, time
from weakref import WeakKeyDictionary, ref

from wpb_stream.core.binary import encode_array, encode_points
from wpb_stream.core.board import Reconstruction, Versioned
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.limits import Limits, RunningLimits
from wpb_stream.core.messages import NoticeMessage, Revised, RunMessage, RunStopped, Subscribe, encode_reply
from wpb_stream.core.table import PointTable
from wpb_stream.feed.rhythm import Rhythm

MAX_SLICE_BYTES = 1_000_000
"""Rows in one message fill at most this, so that what waits for a slow client is bounded: with its header it is below 1 MiB."""


MAX_KEPT_BYTES = 16 * 2**20
"""Encoded slices are kept for other clients up to this, over all runs."""
_ARRAY = -1
"""Where the last row of a slice stands in what it is found by."""
SWEEP_SLICES = 100
"""Slices that have to come before those of tables that are gone are looked for again; and as many again as there are."""


class Slices:
    """Encoded slices of rows, those used last: clients that stand at the same row share the bytes."""

    def __init__(self, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        # By weak reference, so that slices do not keep the table of a run alive that everybody else has let go.
        self._kept: OrderedDict[tuple[ref[PointTable], int, tuple[str, ...], int, int], bytes] = OrderedDict()
        self._limits = WeakKeyDictionary[PointTable, dict[str, RunningLimits]]()
        self._swept = 0
        """Slices that were left when those of tables that are gone were last looked for."""

    def encoded(self, made: Reconstruction, subscription: int, channels: tuple[str, ...], first: int, last: int) -> bytes:
        """Rows ``first`` to ``last`` (exclusive) as a message of the protocol."""

        def encode() -> bytes:
            return encode_points(
                made.table.data[first:last],
                subscription=subscription,
                run=made.run.uid,
                revision=made.revision,
                first_row=first,
                points_expected=made.run.points_expected,
                channels=channels,
                limits=self._limits_of(made.table, channels),
                # The walk's clock tells durations only; clients compare with the server's time of day.
                arrived=time() - (monotonic() - made.arrived[last - 1]) if len(made.arrived) >= last else None,
            )

        return self._shared((ref(made.table), subscription, channels, first, last), encode)

    def array(self, made: Reconstruction, subscription: int, name: str, each: Versioned) -> bytes:
        """An array as a message of the protocol."""

        def encode() -> bytes:
            about = {"subscription": subscription, "run": made.run.uid, "revision": made.revision, "name": name, "version": each.version}
            return encode_array(each.values, **about)

        return self._shared((ref(made.table), subscription, (name,), each.version, _ARRAY), encode)

    def _limits_of(self, table: PointTable, channels: Sequence[str]) -> dict[str, Limits]:
        running = self._limits.setdefault(table, {})
        found = {name: running.setdefault(name, RunningLimits()).of(table.data[name]) for name in channels}
        return {name: limits for name, limits in found.items() if limits is not None}

    def _shared(self, key: tuple[ref[PointTable], int, tuple[str, ...], int, int], encode: Callable[[], bytes]) -> bytes:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        message = self._kept[key] = encode()
        self._bytes += len(message)
        if len(self._kept) > 2 * self._swept + SWEEP_SLICES:
            self._sweep()
        while self._bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest)
        return message

    def _sweep(self) -> None:
        """Let go of the slices of tables that everybody else has let go: nobody can ask for them any more."""
        for key in [key for key in self._kept if key[0]() is None]:
            self._bytes -= len(self._kept.pop(key))
        self._swept = len(self._kept)


class Subscription:
    """Where one client stands in one reconstruction.

    :param slices: shared with other subscriptions, so that rows are encoded once
    """

    def __init__(self, request: Subscribe, slices: Slices | None = None) -> None:
        self.id = request.id
        self._slices = Slices() if slices is None else slices
        self.rhythm = Rhythm(request.max_rate)
        self._channels = request.channels
        self.made: Reconstruction | None = None
        self.next_row = 0
        """The row owed next."""
        self._next_notice = self._described = 0
        self._stop_told = False
        self._sent = dict[str, int]()
        """Of each array, the version sent last."""

    @property
    def complete(self) -> bool:
        """Whether all that the reconstruction will ever have was handed out."""
        return self._stop_told

    @property
    def behind(self) -> bool:
        """Whether rows are waiting."""
        return self.made is not None and self.next_row < self.made.table.rows

    def goes_on_in(self, made: Reconstruction) -> bool:
        """Whether the rows that were sent are the first ones of this, too: another copy of what is followed."""
        revision = None if self.made is None else self.made.revision
        return revision == made.revision and (made.trailing or self.next_row <= made.table.rows)

    def attach(self, made: Reconstruction, from_row: int = 0, *, instead: bool = False) -> Iterator[str]:
        """Begin to follow a reconstruction; yields what announces it.

        A later run than the one that was asked for, which ``latest`` moves on to, may lack channels: those it has are sent.

        :param from_row: rows the client already holds
        :param instead: it is not the one that was asked for, as that is gone: rows start at 0
        :raises ProtocolError: ``unknown_channel``, or ``bad_message`` if the client holds rows that do not exist
        """
        known = [*(channel.name for channel in made.run.channels), *made.run.arrays]
        unknown = sorted(set(self._channels or ()) - set(known))
        moves_on = self.made is not None and self.made.run.uid != made.run.uid
        if unknown and not moves_on:
            raise ProtocolError(
                "unknown_channel", f"Run {made.run.uid} has no channel {unknown[0][:80]!r}; it has {', '.join(known)}.", self.id
            )
        if not (instead or (made.trailing and not made.ended)):
            self._check_row(made, from_row)
        self.made, self._described, self._stop_told = made, made.described, False
        self.next_row, self._next_notice = 0 if instead else from_row, 0
        self._sent.clear()
        self._shown = self._columns(made)
        if instead:
            yield encode_reply(Revised(self.id, made.run.uid, made.revision, made.produced_by))
        yield self._run_message(made)

    def _check_row(self, made: Reconstruction, row: int) -> None:
        if row > made.table.rows:
            raise ProtocolError("bad_message", f"subscribe: from_row {row} is beyond the {made.table.rows} rows there are.", self.id)

    def _columns(self, made: Reconstruction) -> tuple[str, ...]:
        return tuple(channel.name for channel in made.run.channels if self._channels is None or channel.name in self._channels)

    def _run_message(self, made: Reconstruction) -> str:
        return encode_reply(RunMessage(self.id, made.run, made.revision, self.next_row))

    def due(self) -> Iterator[str | bytes]:
        """What the client is owed now: at most one slice of rows, then whatever else there is to say.

        :raises ProtocolError: ``bad_message``, as the run has ended with fewer rows than the client holds
        """
        made = self.made
        if made is None:
            return
        if self._described != made.described:
            self._described = made.described
            self._shown = self._columns(made)
            yield self._run_message(made)
        while self._next_notice < len(made.notices):
            notice = made.notices[self._next_notice]
            self._next_notice += 1
            yield encode_reply(NoticeMessage(self.id, notice.code, notice.message))
        rows = made.table.rows
        if made.ended:
            self._check_row(made, self.next_row)
        if self._described != made.described:
            return  # described anew while the above was sent: rows may have other channels, and it is told first
        if self.next_row < rows:
            first, self.next_row = self.next_row, min(rows, self.next_row + MAX_SLICE_BYTES // made.table.data.itemsize)
            yield self._slices.encoded(made, self.id, self._shown, first, self.next_row)
        for name, each in list(made.arrays.items()):
            if self._sent.get(name) != each.version and (self._channels is None or name in self._channels):
                self._sent[name] = each.version
                yield self._slices.array(made, self.id, name, each)
        if made.ended and not self._stop_told and self.next_row == made.table.rows:
            self._stop_told = True
            yield encode_reply(RunStopped(self.id, made.run.uid, made.run.status, made.reason, made.table.rows))
