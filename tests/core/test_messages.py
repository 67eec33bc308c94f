"""The protocol's messages: what clients may ask, and the layout of data, byte by byte."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wpb_stream.core.binary import ArrayHeader, PointsHeader, decode_binary, encode_points
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.messages import (
    AxisInfo,
    ChannelInfo,
    ErrorMessage,
    ListRuns,
    NoticeMessage,
    Ping,
    Pong,
    Reply,
    Revised,
    RunInfo,
    RunMessage,
    RunsMessage,
    RunStopped,
    Subscribe,
    Unsubscribe,
    Unsubscribed,
    Welcome,
    encode_reply,
    parse_reply,
    parse_request,
    without_large_values,
)
from wpb_stream.core.table import table_dtype

INFO = RunInfo(
    uid="u",
    scan_id=7,
    plan_name="grid_scan",
    status="running",
    started="2026-01-01T00:00:00Z",
    stopped=None,
    recipe="raster",
    shape=[7, 9],
    axes=[AxisInfo("y", "mm", 0.0, 6.0, False), AxisInfo("x", None, None, None, True)],
    channels=[ChannelInfo("red", "Red", "counts", "red", {"rows": [0, 10]}), ChannelInfo("total", "Total", "counts", None, None)],
    arrays=[],
    points_expected=63,
    rows=0,
    metadata={"sample": "leaf"},
)


def rows(count: int, channels: tuple[str, ...] = ("red", "total")) -> np.ndarray:
    table = np.zeros(count, table_dtype(channels))
    table["point"], table["cell"] = range(count), range(count, 0, -1)
    for column, name in enumerate(channels):
        table[name] = np.arange(count) + column / 8
    return table


def encoded(table: np.ndarray, **fields: Any) -> bytes:
    about = {"subscription": 1, "run": "u", "revision": "live", "first_row": 0, "points_expected": None}
    return encode_points(table, **{**about, "channels": (table.dtype.names or ())[2:], **fields})


# --- requests ---


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ('{"type":"subscribe","id":1,"run":"latest"}', Subscribe(1, "latest")),
        (
            '{"type":"subscribe","id":2,"run":"u","channels":["red"],"revision":"live.2","from_row":9,"max_rate":60}',
            Subscribe(2, "u", ["red"], "live.2", 9, 60.0),
        ),
        ('{"type":"unsubscribe","id":1}', Unsubscribe(1)),
        ('{"type":"list_runs","id":3}', ListRuns(3)),
        ('{"type":"list_runs","id":3,"limit":500,"before":"12","status":"fail"}', ListRuns(3, 500, "12", status="fail")),
        ('{"type":"ping","id":4,"unknown":{"fields":"are ignored"}}', Ping(4)),
    ],
)
def test_requests_are_read_with_the_protocols_defaults(text: str, request_: object) -> None:
    assert parse_request(text) == request_


@pytest.mark.parametrize(
    ("text", "code", "request_id"),
    [
        ("", "bad_message", None),
        ("{", "bad_message", None),
        ("[" * 100_000, "bad_message", None),
        ("5", "bad_message", None),
        ("[1]", "bad_message", None),
        ("NaN", "bad_message", None),
        ("{}", "bad_message", None),
        ('{"id":5}', "bad_message", 5),
        ('{"id":5,"type":7}', "bad_message", 5),
        ('{"id":5,"type":["subscribe"]}', "bad_message", 5),
        ('{"id":5,"type":""}', "unknown_type", 5),
        ('{"id":"5","type":"ping"}', "bad_message", None),
        ('{"id":true,"type":"ping"}', "bad_message", None),
        ('{"id":1.5,"type":"ping"}', "bad_message", None),
        ('{"type":"ping"}', "bad_message", None),
        ('{"id":5,"type":"subscribe"}', "bad_message", 5),
        ('{"id":5,"type":"subscribe","run":7}', "bad_message", 5),
        ('{"id":5,"type":"subscribe","run":"u","channels":"red"}', "bad_message", 5),
        ('{"id":5,"type":"subscribe","run":"u","channels":[1]}', "bad_message", 5),
        ('{"id":5,"type":"subscribe","run":"u","from_row":-1}', "bad_message", 5),
        ('{"id":5,"type":"subscribe","run":"u","from_row":0.5}', "bad_message", 5),
        ('{"id":5,"type":"subscribe","run":"u","max_rate":0}', "bad_message", 5),
        ('{"id":5,"type":"subscribe","run":"u","max_rate":61}', "bad_message", 5),
        ('{"id":5,"type":"list_runs","limit":0}', "bad_message", 5),
        ('{"id":5,"type":"list_runs","limit":501}', "bad_message", 5),
        ('{"id":5,"type":"list_runs","before":12}', "bad_message", 5),
        (b'{"id":5,"type":"ping"}', "bad_message", None),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_with_its_code_and_its_id(text: str | bytes, code: str, request_id: int | None) -> None:
    with pytest.raises(ProtocolError) as refused:
        parse_request(text)
    assert (refused.value.code, refused.value.request_id) == (code, request_id)
    assert str(refused.value)


@settings(deadline=None)
@given(st.text(max_size=40) | st.from_regex(r'\{"type":"(subscribe|list_runs|ping)","id":[0-9]{1,30},"run":"u","from_row":-?[0-9]{1,30}\}'))
def test_any_text_is_a_request_or_refused(text: str) -> None:
    with suppress(ProtocolError):
        parse_request(text)


# --- replies ---


@pytest.mark.parametrize(
    "reply",
    [
        Welcome("0.1.0", "s", "2026-01-01T00:00:00Z", None),
        RunMessage(1, INFO, "live", 0),
        RunsMessage(1, [INFO], "12"),
        RunStopped(1, "u", "success", "", 63),
        Revised(1, "u", "live.2", "wpb stream"),
        Unsubscribed(1),
        Pong(1, "2026-01-01T00:00:00Z"),
        ErrorMessage(None, "unknown_run", "There is no such run."),
        NoticeMessage(1, "frame_missing", "Frame 3 did not appear."),
    ],
    ids=lambda reply: type(reply).__name__,
)
def test_every_reply_is_read_as_it_was_written(reply: Reply) -> None:
    assert parse_reply(encode_reply(reply)) == reply


def test_a_run_object_has_the_fields_of_the_protocol() -> None:
    message = json.loads(encode_reply(RunMessage(1, INFO, "live", 0)))
    assert sorted(message) == ["from_row", "id", "revision", "run", "type"]
    assert " ".join(message["run"]) == (
        "uid scan_id plan_name status started stopped recipe shape axes channels arrays points_expected rows metadata"
    )
    assert message["run"]["axes"][0] == {"name": "y", "units": "mm", "start": 0.0, "stop": 6.0, "snaking": False}
    assert message["run"]["channels"][1] == {"name": "total", "label": "Total", "units": "counts", "colour": None, "region": None}


def test_nan_and_infinity_are_sent_as_null() -> None:
    info = msgspec.structs.replace(INFO, metadata={"energy": float("nan"), "list": [float("inf")]})
    assert json.loads(encode_reply(RunMessage(1, info, "live", 0)))["run"]["metadata"] == {"energy": None, "list": [None]}


def test_fields_of_a_later_version_are_ignored_by_clients() -> None:
    assert parse_reply('{"type":"pong","id":1,"time":"t","later":5}') == Pong(1, "t")


@pytest.mark.parametrize("text", ["", "{}", '{"type":"unheard_of"}', '{"type":"pong"}', "[]"])
def test_what_is_no_reply_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_reply(text)


def test_large_metadata_is_left_out_one_by_one_and_in_all() -> None:
    start = {"uid": "u", "large": "x" * 10_000, "small": 5} | {f"key{k}": "x" * 1000 for k in range(1000)}
    kept = without_large_values(start)
    assert kept["uid"] == "u"
    assert kept["small"] == 5
    assert "large" not in kept
    assert 60_000 < len(json.dumps(kept)) < 70_000


# --- binary ---


def test_a_slice_of_rows_has_exactly_these_bytes() -> None:
    table = np.array([(4, 5, 1.5, -2.0), (5, 3, 0.25, 7.0), (6, 9, 0.0, 1e300)], table_dtype(["red", "total"]))
    header = (
        b'{"type":"points","id":3,"run":"u","revision":"live","first_row":4,"rows":3,"points_expected":63,"columns":['
        b'{"name":"point","dtype":"<u4","offset":0},{"name":"cell","dtype":"<u4","offset":16},{"name":"total","dtype":"<f8","offset":32}]}'
    )
    length = -(-(4 + len(header)) // 8) * 8 - 4
    expected = length.to_bytes(4, "little") + header.ljust(length, b" ")
    expected += bytes.fromhex("04000000 05000000 06000000 00000000")
    expected += bytes.fromhex("05000000 03000000 09000000 00000000")
    expected += np.array([-2.0, 7.0, 1e300]).tobytes()
    assert encoded(table, subscription=3, first_row=4, points_expected=63, channels=["total"]) == expected


@given(st.integers(0, 40), st.text(max_size=20), st.lists(st.sampled_from("abcdefgh"), unique=True), st.none() | st.integers(0, 2**40))
def test_every_column_is_aligned_and_read_as_it_was_written(count: int, run: str, channels: list[str], expected: int | None) -> None:
    table = rows(count, tuple(channels))
    data = encoded(table, run=run, first_row=7, points_expected=expected)
    length = int.from_bytes(data[:4], "little")
    assert (4 + length) % 8 == 0
    assert all(column["offset"] % 8 == 0 for column in json.loads(data[4 : 4 + length])["columns"])
    header, columns = decode_binary(data)
    assert isinstance(header, PointsHeader)
    assert (header.run, header.first_row, header.rows, header.points_expected) == (run, 7, count, expected)
    assert list(columns) == ["point", "cell", *channels]
    assert all(columns[name].tobytes() == np.ascontiguousarray(table[name]).tobytes() for name in columns)


def test_columns_are_views_on_the_received_buffer() -> None:
    data = encoded(rows(3))
    assert not any(column.flags.owndata for column in decode_binary(data)[1].values())


def test_an_array_is_read_in_its_shape() -> None:
    header = msgspec.json.encode(ArrayHeader(1, "u", "live", "mean_frame", 7, "<f4", [2, 3], 0))
    header += b" " * (-(4 + len(header)) % 8)
    payload = np.arange(6, dtype="<f4").tobytes()
    read, arrays = decode_binary(len(header).to_bytes(4, "little") + header + payload)
    assert isinstance(read, ArrayHeader)
    assert arrays["mean_frame"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


@given(st.data())
def test_a_message_cut_anywhere_is_refused(data: st.DataObject) -> None:
    message = encoded(rows(3))
    with pytest.raises(ProtocolError):
        decode_binary(message[: data.draw(st.integers(0, len(message) - 1))])


@pytest.mark.parametrize(
    "change",
    [(b'"rows":3', b'"rows":9'), (b'"<f8"', b'"|O8"'), (b'"<f8"', b'"xyz"'), (b'"offset":16', b'"offset":99'), (b'"points"', b'"pointy"')],
)
def test_a_header_that_lies_is_refused(change: tuple[bytes, bytes]) -> None:
    with pytest.raises(ProtocolError):
        decode_binary(encoded(rows(3)).replace(*change))
