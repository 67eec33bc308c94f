"""What a gateway's board becomes of what the streaming process publishes, in whatever order of repetitions and restarts it comes."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import count
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wpb_stream.core.board import Board, Reconstruction
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.messages import ChannelInfo, RunInfo
from wpb_stream.core.mirror import LATE, Mirror
from wpb_stream.core.owed import Owed
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable
from wpb_stream.core.topic import MAX_MESSAGE_BYTES, Record, records


def begin(
    board: Board, uid: str = "u", revision: str = "live", channels: tuple[str, ...] = ("red", "total"), **metadata: Any
) -> Reconstruction:
    """A run begins on a board, or begins again."""
    shown = [ChannelInfo(name, name, "counts", None, None) for name in channels]
    info = RunInfo(uid, 1, "grid_scan", "running", None, None, "raster", [10, 10], [], shown, ["mean_frame"], 100, 0, metadata)
    made = board.live[uid] = Reconstruction(info, revision, PointTable(channels), "wpb stream", [])
    board.latest = uid
    return made


def grow(made: Reconstruction, rows: int) -> None:
    points = np.arange(made.table.rows, made.table.rows + rows)
    made.table.append(points, 7 * points, points[:, np.newaxis] + np.arange(len(made.table.channels)) / 8)
    made.run = msgspec.structs.replace(made.run, rows=made.table.rows)


def end(made: Reconstruction, status: str = "success") -> None:
    made.run = msgspec.structs.replace(made.run, status=status, stopped="2026-03-01T09:00:00Z")
    made.reason, made.ended = "as planned", True


def due(owed: Owed) -> list[Record]:
    """All that is owed, until nothing is."""
    told: list[Record] = []
    while batch := [record for several in owed.due() for record in several]:
        told += batch
    return told


def mirrored(*told: list[Record]) -> Board:
    board = Board()
    mirror = Mirror(board)
    for batch in told:
        for record in batch:
            mirror.take(record.value, 5.0)
    return board


def assert_same(board: Board, shown: Board) -> None:
    assert board.latest == shown.latest
    assert board.live.keys() == shown.live.keys()
    for uid, made in shown.live.items():
        held = board.live[uid]
        assert held.table.data.tobytes() == made.table.data.tobytes()
        assert (held.run, held.revision, held.produced_by) == (made.run, made.revision, made.produced_by)
        assert (held.ended, held.reason, list(held.notices)) == (made.ended, made.reason, list(made.notices))
        assert {name: (each.version, each.values.tolist()) for name, each in held.arrays.items()} == {
            name: (each.version, each.values.tolist()) for name, each in made.arrays.items()
        }


def test_a_gateway_shows_what_the_streaming_process_shows() -> None:
    board = Board()
    made, other = begin(board), begin(board, "v", channels=("total",))
    grow(made, 5)
    made.show({"mean_frame": np.arange(6.0).reshape(2, 3)})
    made.notices.append(Notice("file_late", "why"))  # type: ignore[attr-defined]
    end(other, "abort")
    owed = Owed(board, 1)
    held = mirrored(due(owed))
    assert list(held.live) == ["u"], "the catalogue has the other one"
    del board.live["v"]
    assert_same(held, board)
    assert held.live["u"].trailing
    assert held.live["u"].arrived.tolist() == [5.0] * 5


def test_nothing_is_owed_once_all_was_told() -> None:
    board = Board()
    grow(begin(board), 5)
    owed = Owed(board, 1)
    assert owed.rows == 5
    assert due(owed)
    assert owed.rows == 0
    assert due(owed) == []


def test_a_run_that_ended_is_told_to_its_end_and_goes_when_it_goes_from_the_board() -> None:
    board, held = Board(), Board()
    mirror, owed = Mirror(held), Owed(board, 1)

    def tell() -> None:
        for record in due(owed):
            mirror.take(record.value, 0.0)

    made = begin(board)
    tell()
    grow(made, 3)
    end(made)
    tell()
    assert_same(held, board)
    assert held.counts.ended["success"] == 1
    del board.live["u"]
    tell()
    assert held.live == {}


def test_a_run_is_described_before_anybody_hears_that_it_is_the_latest() -> None:
    board = Board()
    begin(board)
    held = Board()
    mirror = Mirror(held)
    for record in due(Owed(board, 1)):
        mirror.take(record.value, 0.0)
        assert held.latest is None or held.latest in held.live


def test_a_description_that_grows_is_told_again_and_channels_may_change_while_there_are_no_rows() -> None:
    board, held = Board(), Board()
    mirror, owed = Mirror(held), Owed(board, 1)
    made = begin(board, channels=())
    for record in due(owed):
        mirror.take(record.value, 0.0)
    shown = [ChannelInfo("total", "total", "mV", None, None)]
    made.table, made.run = PointTable(["total"]), msgspec.structs.replace(made.run, channels=shown)
    made.described += 1
    grow(made, 2)
    for record in due(owed):
        mirror.take(record.value, 0.0)
    assert_same(held, board)
    assert held.live["u"].described == 1


def test_a_message_that_is_larger_than_brokers_take_comes_in_parts() -> None:
    board = Board()
    made = begin(board)
    made.show({"mean_frame": np.random.default_rng(0).random((512, 512))})
    grow(made, 100_000)
    told = due(Owed(board, 1))
    assert max(len(record.value) for record in told) <= MAX_MESSAGE_BYTES + 100
    assert_same(mirrored(told), board)


def test_parts_of_two_processes_that_come_between_each_other_are_not_mixed() -> None:
    board = Board()
    made = begin(board)
    told = due(Owed(board, 1))
    made.show({"mean_frame": np.zeros(1000)})
    first = list(records("u", _array(board), 3000))
    made.show({"mean_frame": np.ones(1000)})
    second = list(records("u", _array(board), 3000))
    assert len(first) == len(second) == 3
    assert mirrored(told, [first[0], second[0], *first[1:]]).live["u"].arrays == {}
    held = mirrored(told, [part for pair in zip(first, second, strict=True) for part in pair])
    assert held.live["u"].arrays["mean_frame"].values.tolist() == [1.0] * 1000


def _array(board: Board) -> bytes:
    return due(Owed(board, 1))[-1].value


def test_what_is_damaged_is_refused() -> None:
    for value in (b"", b"{", b"{}", b'{"type":"board"}', b"\x04\0\0\0null", bytes(range(256))):
        with pytest.raises(ProtocolError):
            Mirror(Board()).take(value, 0.0)


@given(st.data())
def test_what_somebody_else_writes_to_the_topic_is_refused_or_does_nothing_worse(data: st.DataObject) -> None:
    board = Board()
    made = begin(board)
    grow(made, 3)
    made.show({"mean_frame": np.zeros(3)})
    made.notices.append(Notice("file_late", "why"))  # type: ignore[attr-defined]
    mirror = Mirror(Board())
    for record in due(Owed(board, 1)):
        value = bytearray(record.value)
        for _ in range(data.draw(st.integers(0, 3))):
            value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
        with suppress(ProtocolError):
            mirror.take(bytes(value[: data.draw(st.integers(0, len(value)))]) if data.draw(st.booleans()) else bytes(value), 0.0)


def test_rows_after_a_gap_are_not_shown_and_the_gap_is_told_until_all_is_told_again() -> None:
    board = Board()
    made = begin(board)
    owed = Owed(board, 1)
    told = due(owed)
    grow(made, 3)
    due(owed)  # lost
    grow(made, 2)
    told += due(owed)
    end(made)
    told += due(owed)
    held = mirrored(told)
    assert (held.live["u"].table.rows, held.live["u"].ended, held.counts.gaps) == (0, False, 1)
    assert list(held.live["u"].notices) == [LATE]
    assert held.counts.notices == {"rows_late": 1}
    made.ended = False
    held = mirrored(told, due(Owed(board, 1)))
    assert held.live["u"].table.data.tobytes() == made.table.data.tobytes()


def test_a_run_whose_beginning_is_lost_is_not_shown_before_it_is_told_again() -> None:
    board = Board()
    grow(begin(board), 3)
    told = due(Owed(board, 1))
    assert told[0].run == "u"
    held = mirrored(told[1:], told[1:])
    assert (held.live, held.counts.gaps, held.latest) == ({}, 1, "u")
    assert_same(mirrored(told[1:], told), board)


def test_a_process_that_was_replaced_and_wakes_up_changes_nothing() -> None:
    old, new = Board(), Board()
    grow(begin(old), 4)
    before = due(Owed(old, 1))
    grow(begin(new, revision="live.2"), 2)
    begin(new, "v")
    after = due(Owed(new, 2))
    grow(old.live["u"], 4)
    begin(old, "w")
    del old.live["w"]
    held = mirrored(before, after, due(Owed(old, 1)))
    assert_same(held, new)


def test_a_list_of_runs_that_comes_late_takes_no_run_away() -> None:
    board, numbers = Board(), count()
    begin(board)
    late = due(Owed(board, 1, numbers))
    grow(begin(board, "v"), 2)
    assert_same(mirrored(late, due(Owed(board, 1, numbers)), late), board)


def test_messages_that_come_again_after_their_run_went_from_the_board_bring_nothing_back() -> None:
    board = Board()
    made, owed = begin(board), Owed(board, 1)
    grow(made, 3)
    told = [due(owed)]
    grow(made, 2)
    end(made)
    last = due(owed)
    del board.live["u"]
    last += due(owed)
    held = mirrored(*told, last, last)
    assert (held.live, held.counts.gaps) == ({}, 0)


class Restarts(RuleBasedStateMachine):
    """Runs grow, processes are killed and their publisher's connections break, and each gateway is at another place of the topic."""

    def __init__(self) -> None:
        super().__init__()
        self.topic: list[Record] = []
        self.epoch, self.numbers = 1, count()
        self.board = Board()
        self.owed = Owed(self.board, self.epoch, self.numbers)
        self.generations = Counter[str]()
        self.early = Board()
        self.mirror, self.read = Mirror(self.early), 0

    def running(self) -> list[Reconstruction]:
        return [made for made in self.board.live.values() if not made.ended]

    def begin(self, uid: str) -> None:
        self.generations[uid] += 1
        begin(self.board, uid, "live" if self.generations[uid] == 1 else f"live.{self.generations[uid]}")

    @rule(uid=st.sampled_from("abc"))
    def begins(self, uid: str) -> None:
        made = self.board.live.get(uid)
        if made is None or made.ended:  # documents came late, and it is made anew
            self.begin(uid)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), rows=st.integers(1, 5))
    def grows(self, data: st.DataObject, rows: int) -> None:
        made = data.draw(st.sampled_from(self.running()))
        grow(made, rows)
        made.show({"mean_frame": np.array([made.table.rows])})
        made.notices.append(Notice("file_late", str(made.table.rows)))  # type: ignore[attr-defined]

    @precondition(lambda self: self.running())
    @rule(data=st.data())
    def ends(self, data: st.DataObject) -> None:
        end(data.draw(st.sampled_from(self.running())))

    @rule(some=st.integers(0, 4))
    def publishes(self, some: int) -> None:
        for several in self.owed.due():
            self.topic += several
            some -= 1
            if some < 0:
                return self.connects_anew()  # in the middle of it
        return None

    @rule()
    def connects_anew(self) -> None:
        self.owed = Owed(self.board, self.epoch, self.numbers)

    @rule(data=st.data())
    def comes_twice(self, data: st.DataObject) -> None:
        """A broker that took a batch, and did not say so, has it again: in the same order."""
        self.topic += self.topic[-data.draw(st.integers(1, 10)) :]

    @rule()
    def is_killed(self) -> None:
        unfinished = [made.run.uid for made in self.running()]
        self.board, self.epoch, self.numbers = Board(latest=self.board.latest), self.epoch + 1, count()
        latest = self.board.latest
        for uid in unfinished:
            self.begin(uid)
        self.board.latest = latest
        self.connects_anew()

    @rule(data=st.data())
    def a_gateway_reads(self, data: st.DataObject) -> None:
        upto = data.draw(st.integers(self.read, len(self.topic)))
        for record in self.topic[self.read : upto]:
            self.mirror.take(record.value, 0.0)
        self.read = upto

    @invariant()
    def what_is_shown_has_no_gap(self) -> None:
        for made in self.early.live.values():
            rows = made.table.data
            assert rows["point"].tolist() == list(range(made.table.rows))
            assert rows["cell"].tolist() == [7 * row for row in range(made.table.rows)]
            assert LATE not in made.notices

    def teardown(self) -> None:
        self.topic += due(self.owed)
        for record in self.topic[self.read :]:
            self.mirror.take(record.value, 0.0)
        shown = Board(live=self.owed._shown(), latest=self.board.latest)
        assert_same(self.early, shown)
        assert_same(mirrored(self.topic), shown)
        assert_same(mirrored(due(Owed(self.board, self.epoch))), Board({made.run.uid: made for made in self.running()}, self.board.latest))


TestRestarts = Restarts.TestCase
TestRestarts.settings = settings(max_examples=60, stateful_step_count=30)


@given(st.data())
@settings(max_examples=60)
def test_no_loss_on_the_topic_makes_a_gap_in_what_is_shown_and_all_is_shown_when_it_is_told_again(data: st.DataObject) -> None:
    board = Board()
    made, owed, topic = begin(board), Owed(board, 1), list[Record]()
    for rows in data.draw(st.lists(st.integers(1, 4), max_size=10)):
        grow(made, rows)
        topic += due(owed)
    kept = [record for record in topic if data.draw(st.booleans())]
    for held in mirrored(kept).live.values():
        assert held.table.data.tobytes() == made.table.data[: held.table.rows].tobytes()
    again = mirrored(kept, due(Owed(board, 1))).live["u"]
    assert (again.table.data.tobytes(), again.run) == (made.table.data.tobytes(), made.run)
