"""What a client is owed: every row once and in order, whenever it asks."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any
from weakref import ref

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wpb_stream.core.binary import ArrayHeader, PointsHeader, decode_binary, encode_array
from wpb_stream.core.board import Reconstruction
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.messages import ChannelInfo, NoticeMessage, Reply, Revised, RunInfo, RunMessage, RunStopped, Subscribe, parse_reply
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable
from wpb_stream.feed.subscription import Slices, Subscription


def reconstruction(channels: Iterable[str] = ("red", "total"), revision: str = "live", rows: int = 0, uid: str = "u") -> Reconstruction:
    names = list(channels)
    shown = [ChannelInfo(name, name, "counts", None, None) for name in names]
    info = RunInfo(uid, 1, "grid_scan", "running", None, None, "raster", [100, 100], [], shown, [], 10_000, 0, {})
    made = Reconstruction(info, revision, PointTable(names), "wpb stream", [])
    grow(made, rows)
    return made


def grow(made: Reconstruction, count: int) -> None:
    points = np.arange(made.table.rows, made.table.rows + count)
    values = points[:, np.newaxis] + np.arange(len(made.table.channels)) / 8
    made.table.append(points, points[::-1], values)
    made.run = msgspec.structs.replace(made.run, rows=made.table.rows)


def notice(made: Reconstruction, message: str) -> None:
    made.notices.append(Notice("file_late", message))  # type: ignore[attr-defined]


def end(made: Reconstruction, status: str = "success") -> None:
    made.run = msgspec.structs.replace(made.run, status=status)
    made.ended = True


def read(messages: Iterable[str | bytes]) -> list[Reply | tuple[PointsHeader, dict[str, Any]]]:
    return [decode_binary(message) if isinstance(message, bytes) else parse_reply(message) for message in messages]  # type: ignore[misc]


def follow(made: Reconstruction, from_row: int = 0, *, slices: Slices | None = None, **request: Any) -> Subscription:
    subscription = Subscription(Subscribe(1, "u", **request), slices)
    list(subscription.attach(made, from_row))
    return subscription


def rows_of(messages: Iterable[Any]) -> list[tuple[int, int]]:
    """First row and number of rows of each slice."""
    return [(message[0].first_row, message[0].rows) for message in messages if isinstance(message, tuple)]


def test_the_run_is_told_first() -> None:
    made = reconstruction(rows=3)
    subscription = Subscription(Subscribe(5, "u"))
    (message,) = read(subscription.attach(made))
    assert message == RunMessage(5, made.run, "live", 0)


def test_nothing_is_owed_before_a_run_is_followed_or_when_all_was_handed_out() -> None:
    subscription = Subscription(Subscribe(1, "latest"))
    assert list(subscription.due()) == []
    assert not subscription.behind
    subscription = follow(reconstruction(rows=3))
    assert subscription.behind
    assert len(list(subscription.due())) == 1
    assert not subscription.behind
    assert list(subscription.due()) == []


ACTIONS = st.lists(
    st.one_of(st.tuples(st.just("grow"), st.integers(0, 30)), st.just(("pull", 0)), st.just(("notice", 0)), st.just(("describe", 0))),
    max_size=30,
)


@settings(deadline=None)
@given(ACTIONS, st.integers(0, 20), st.integers(0, 20))
def test_rows_come_in_order_exactly_once_and_the_end_comes_last_however_growth_and_pulls_interleave(
    actions: list[tuple[str, int]], rows: int, from_row: int
) -> None:
    made = reconstruction(rows=max(rows, from_row))
    subscription = follow(made, from_row)
    got: list[Any] = []
    for count, (action, amount) in enumerate(actions):
        match action:
            case "grow":
                grow(made, amount)
            case "notice":
                notice(made, f"Notice {count}.")
            case "describe":
                made.described += 1
            case _:
                got += read(subscription.due())
    end(made)
    while not subscription.complete:
        got += read(subscription.due())
    slices = [message for message in got if isinstance(message, tuple)]
    expected = from_row
    for header, _ in slices:
        assert header.first_row == expected
        expected += header.rows
    assert expected == made.table.rows
    for name in ("point", "cell", "red", "total"):
        received = np.concatenate([columns[name] for _, columns in slices] or [made.table.data[name][:0]])
        assert received.tobytes() == np.ascontiguousarray(made.table.data[name][from_row:]).tobytes()
    assert [NoticeMessage(1, told.code, told.message) for told in made.notices] == [m for m in got if isinstance(m, NoticeMessage)]
    assert [message for message in got if isinstance(message, RunStopped)] == [RunStopped(1, "u", "success", "", made.table.rows)]
    assert isinstance(got[-1], RunStopped)
    assert list(subscription.due()) == []


def test_a_slow_client_gets_fewer_and_larger_slices() -> None:
    made = reconstruction(rows=1)
    subscription = follow(made)
    for _ in range(50):
        grow(made, 2)
    assert rows_of(read(subscription.due())) == [(0, 101)]


@pytest.mark.parametrize("channels", [("total",), tuple(f"c{k}" for k in range(33))])
def test_a_big_table_comes_in_slices_of_bounded_size(channels: tuple[str, ...]) -> None:
    made = reconstruction(channels, rows=100_000)
    subscription = follow(made)
    messages: list[Any] = []
    while subscription.behind:
        due = list(subscription.due())
        assert len(due) == 1
        assert len(due[0]) < 2**20
        messages += read(due)
    assert sum(rows for _, rows in rows_of(messages)) == 100_000


def test_a_client_resumes_where_it_left_off() -> None:
    made = reconstruction(rows=10)
    first = follow(made)
    (held,) = rows_of(read(first.due()))
    grow(made, 5)
    again = Subscription(Subscribe(1, "u", revision="live", from_row=10))
    assert read(again.attach(made, 10)) == [RunMessage(1, made.run, "live", 10)]
    assert [held, *rows_of(read(again.due()))] == [(0, 10), (10, 5)]


def test_a_client_that_holds_all_rows_may_resume_and_is_owed_nothing() -> None:
    made = reconstruction(rows=10)
    assert list(follow(made, 10).due()) == []


def test_a_client_that_holds_rows_that_do_not_exist_is_refused() -> None:
    with pytest.raises(ProtocolError) as refused:
        follow(reconstruction(rows=10), 11)
    assert (refused.value.code, refused.value.request_id) == ("bad_message", 1)


def test_another_revision_than_was_asked_for_is_announced_and_starts_at_row_0() -> None:
    made = reconstruction(revision="live.2", rows=4)
    subscription = Subscription(Subscribe(1, "u", revision="live", from_row=100))
    assert read(subscription.attach(made, 100, instead=True)) == [
        Revised(1, "u", "live.2", "wpb stream"),
        RunMessage(1, made.run, "live.2", 0),
    ]
    assert rows_of(read(subscription.due())) == [(0, 4)]


def test_only_the_channels_that_were_asked_for_are_sent_in_the_order_of_the_run() -> None:
    made = reconstruction(["red", "green", "total"], rows=2)
    ((header, columns),) = read(follow(made, channels=["total", "red", "red"]).due())  # type: ignore[misc]
    assert list(columns) == ["point", "cell", "red", "total"]
    assert header.points_expected == 10_000


def test_a_channel_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"'blue'.*red, total") as refused:
        follow(reconstruction(), channels=["red", "blue"])
    assert (refused.value.code, refused.value.request_id) == ("unknown_channel", 1)


def test_notices_are_told_once_also_those_from_before() -> None:
    made = reconstruction()
    notice(made, "Early.")
    subscription = follow(made)
    assert read(subscription.due()) == [NoticeMessage(1, "file_late", "Early.")]
    notice(made, "Late.")
    assert read(subscription.due()) == [NoticeMessage(1, "file_late", "Late.")]
    assert list(subscription.due()) == []


def test_the_end_waits_for_the_last_row_and_says_how_the_run_ended() -> None:
    made = reconstruction(rows=60_000)
    made.reason = "the beam went away"
    subscription = follow(made)
    end(made, "abort")
    assert rows_of(read(subscription.due()))[0][0] == 0
    assert not subscription.complete
    *_, last = read(subscription.due())
    assert last == RunStopped(1, "u", "abort", "the beam went away", 60_000)
    assert subscription.complete


def test_the_run_is_told_again_when_its_description_grew() -> None:
    made = reconstruction()
    subscription = follow(made)
    grow(made, 2)
    list(subscription.due())
    made.described += 1
    grow(made, 1)
    first, second = read(subscription.due())
    assert first == RunMessage(1, made.run, "live", 2)
    assert rows_of([second]) == [(2, 1)]


def test_rows_of_other_channels_wait_until_these_are_told_also_if_they_come_while_something_else_is_sent() -> None:
    made = reconstruction()
    subscription = follow(made)
    notice(made, "Early.")
    due = subscription.due()
    assert read([next(due)]) == [NoticeMessage(1, "file_late", "Early.")]
    other = reconstruction(["bright"], rows=2)
    made.run, made.table, made.described = other.run, other.table, 1
    assert list(due) == []
    assert subscription.behind
    first, second = read(subscription.due())
    assert first == RunMessage(1, made.run, "live", 0)
    assert list(second[1]) == ["point", "cell", "bright"]  # type: ignore[index]


def test_of_the_channels_asked_for_a_later_run_sends_those_it_has() -> None:
    subscription = follow(reconstruction(rows=3), channels=["red"])
    other, third = reconstruction(["total"], rows=2, uid="v"), reconstruction(rows=1, uid="w")
    assert read(subscription.attach(other)) == [RunMessage(1, other.run, "live", 0)]
    assert list(read(subscription.due())[0][1]) == ["point", "cell"]  # type: ignore[index]
    list(subscription.attach(third))
    assert list(read(subscription.due())[0][1]) == ["point", "cell", "red"]  # type: ignore[index]


def test_a_subscription_moves_on_to_the_next_run() -> None:
    first, second = reconstruction(rows=3), reconstruction(rows=2, uid="v")
    end(first)
    subscription = follow(first)
    list(subscription.due())
    assert subscription.complete
    assert read(subscription.attach(second)) == [RunMessage(1, second.run, "live", 0)]
    assert not subscription.complete
    assert rows_of(read(subscription.due())) == [(0, 2)]


def test_clients_that_stand_at_the_same_row_share_the_same_bytes() -> None:
    made, slices = reconstruction(rows=10), Slices()
    first, second = follow(made, slices=slices), follow(made, slices=slices)
    assert next(first.due()) is next(second.due())


def test_the_slices_kept_for_others_hold_no_table_that_was_let_go() -> None:
    made, slices = reconstruction(rows=10), Slices()
    list(follow(made, slices=slices).due())
    table = ref(made.table)
    del made
    gc.collect()
    assert table() is None


def test_the_slices_kept_for_others_are_those_used_last_within_a_bound_of_bytes() -> None:
    made = reconstruction(rows=30)
    size = len(Slices().encoded(made, 1, ("total",), 0, 10))
    slices = Slices(max_bytes=2 * size + size // 2)
    kept = [slices.encoded(made, 1, ("total",), first, first + 10) for first in (0, 10)]
    assert slices.encoded(made, 1, ("total",), 0, 10) is kept[0]
    slices.encoded(made, 1, ("total",), 20, 30)
    assert slices.encoded(made, 1, ("total",), 0, 10) is kept[0]
    assert slices.encoded(made, 1, ("total",), 10, 20) is not kept[1], "it was used least lately"


def arrays_of(messages: Iterable[Any]) -> list[tuple[str, int, Any]]:
    return [
        (header.name, header.version, columns[header.name].tolist())
        for header, columns in (message for message in read(messages) if isinstance(message, tuple))
        if isinstance(header, ArrayHeader)
    ]


def accumulating(**arrays: list[float]) -> Reconstruction:
    made = reconstruction(rows=1)
    made.run = msgspec.structs.replace(made.run, arrays=["mean_frame", "last_frame"])
    made.show({name: np.array(values) for name, values in arrays.items()})
    return made


def test_each_version_of_an_array_is_sent_once_after_the_rows_and_before_the_end() -> None:
    made = accumulating(mean_frame=[1.0])
    subscription = follow(made)
    first = list(subscription.due())
    assert arrays_of(first) == [("mean_frame", 1, [1.0])]
    assert [type(header).__name__ for header, _ in read(first)] == ["PointsHeader", "ArrayHeader"]  # type: ignore[misc]
    assert list(subscription.due()) == []
    made.show({"mean_frame": np.array([2.0]), "last_frame": np.array([7.0])})
    made.show({"mean_frame": np.array([3.0]), "last_frame": np.array([7.0])})  # versions may be skipped
    end(made)
    last = list(subscription.due())
    assert arrays_of(last) == [("mean_frame", 3, [3.0]), ("last_frame", 1, [7.0])]
    assert isinstance(read(last)[-1], RunStopped)


def test_an_array_that_is_gone_before_it_is_sent_is_sent_all_the_same() -> None:
    made = accumulating(mean_frame=[1.0], last_frame=[2.0])
    due = follow(made, from_row=1).due()
    first = next(due)
    made.show({})  # its frames turned out to have different shapes
    assert arrays_of([first, *due]) == [("mean_frame", 1, [1.0]), ("last_frame", 1, [2.0])]


def test_a_client_that_comes_back_is_told_the_arrays_again_whatever_rows_it_holds() -> None:
    made = accumulating(mean_frame=[1.0])
    assert arrays_of(follow(made, from_row=1).due()) == [("mean_frame", 1, [1.0])]
    again = follow(made)
    list(again.due())
    list(again.attach(made))
    assert arrays_of(again.due()) == [("mean_frame", 1, [1.0])]


def test_who_names_channels_gets_those_arrays_alone_that_are_named() -> None:
    made = accumulating(mean_frame=[1.0], last_frame=[2.0])
    assert arrays_of(follow(made, channels=["total"]).due()) == []
    assert arrays_of(follow(made, channels=["total", "last_frame"]).due()) == [("last_frame", 1, [2.0])]


def test_clients_share_the_bytes_of_an_array() -> None:
    made, slices = accumulating(mean_frame=[1.0]), Slices()
    one, other = (list(follow(made, slices=slices).due())[-1] for _ in range(2))
    assert one is other
    made.show({"mean_frame": np.array([2.0])})
    assert arrays_of(follow(made, slices=slices).due()) == [("mean_frame", 2, [2.0])]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<u2", "|u1"])
@pytest.mark.parametrize("shape", [(2, 3), (5,), ()])
def test_an_array_arrives_as_it_was(dtype: str, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    message = encode_array(values, subscription=3, run="u", revision="live", name="mean_frame", version=7)
    header, arrays = decode_binary(message)
    assert isinstance(header, ArrayHeader)
    assert (header.id, header.run, header.revision, header.name, header.version) == (3, "u", "live", "mean_frame", 7)
    assert header.dtype == values.dtype.newbyteorder("<").str
    assert arrays["mean_frame"].shape == shape
    assert (arrays["mean_frame"] == values).all()
    assert len(message) % 8 == 0


def test_limits_come_with_the_rows_and_are_those_of_all_rows_so_far() -> None:
    made = reconstruction(rows=3)
    subscription = follow(made, channels=["total"])
    headers = [header for message in subscription.due() if isinstance(message, bytes) for header, _ in [decode_binary(message)]]
    grow(made, 2)
    headers += [header for message in subscription.due() if isinstance(message, bytes) for header, _ in [decode_binary(message)]]
    limits = [header.limits for header in headers if isinstance(header, PointsHeader)]
    assert [list(each or ()) for each in limits] == [["total"], ["total"]]
    assert [(each["total"].minimum, each["total"].maximum) for each in limits if each] == [(0.125, 2.125), (0.125, 4.125)]
