"""Bytes to documents: what is understood, what is told apart, what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgpack
import msgpack_numpy  # noqa: TID251 - only its encoder, to be sure that what publishers write is understood
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.documents import Acquisition, as_json, as_msgpack, raster_run
from tests.helpers.hostile import DATUM, EVENT, MALFORMED, START, packed, pickle_bomb
from wpb_stream.core.documents import MAX_BYTES, MAX_DEPTH, Document, WorkerEvent, decode, identify, parse
from wpb_stream.core.exceptions import DocumentError

RECORDINGS = Path(__file__).parent.parent / "helpers" / "recordings"
WORKER = {"state": "RUNNING", "task_status": None, "errors": [], "warnings": []}
PROGRESS = {"task_id": "t", "statuses": {"s": {"display_name": "x", "current": 1.0}}}


def numpy_message(value: object) -> bytes:
    """As bluesky-kafka writes it."""
    return msgpack.packb(["start", {**START, "x": value}], default=msgpack_numpy.encode)


def decoded_x(message: bytes) -> Any:
    value: Any = decode(message)
    return value[1]["x"]


# --- decode ---


@pytest.mark.parametrize("encode", [as_msgpack, as_json, lambda name, doc: json.dumps([name, doc]).encode()])
def test_both_envelopes_are_read_from_json_and_from_msgpack(encode: Any) -> None:
    for document in raster_run():
        assert parse(encode(document.name, document.doc)) == document


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="<u2").reshape(2, 3),
        np.arange(6, dtype=">i4").reshape(3, 2)[:, ::-1],
        np.array([True, False]),
        np.array([1.5, np.inf, -0.0]),
        np.array([0.1], np.float32),
        np.array(5),
        np.array(["ab", "ü"]),
        np.zeros(0),
    ],
    ids=str,
)
def test_numpy_arrays_become_lists_of_the_same_values(array: np.ndarray) -> None:
    assert decoded_x(numpy_message(array)) == array.tolist()


@pytest.mark.parametrize("scalar", [np.float64(1.5), np.float32(0.1), np.int16(-3), np.uint64(2**64 - 1), np.bool_(True)])
def test_numpy_scalars_become_plain_numbers(scalar: np.generic) -> None:
    plain = decoded_x(numpy_message(scalar))
    assert plain == scalar.item()
    assert type(plain) is type(scalar.item())


def test_long_doubles_and_bytes_in_arrays_become_floats_and_text() -> None:
    assert decoded_x(numpy_message(np.array([1.5], np.longdouble))) == [1.5]
    assert decoded_x(numpy_message(np.array([b"abc", b"\xff"]))) == ["abc", "\ufffd"]


def test_complex_numbers_become_text() -> None:
    assert "1+2j" in decoded_x(numpy_message(1 + 2j))
    assert decoded_x(numpy_message(np.complex64(1 + 2j))) == "(1+2j)"
    assert decoded_x(numpy_message(np.array([[1 + 2j, 0]]))) == [["(1+2j)", "0j"]]


def test_structured_arrays_become_their_columns() -> None:
    table = np.array([(1, 0.5, "a"), (2, np.inf, "ü")], [("repeats", "<u2"), ("time", ">f8"), ("name", "<U1")])
    assert decoded_x(numpy_message(table)) == {"repeats": [1, 2], "time": [0.5, np.inf], "name": ["a", "ü"]}
    assert decoded_x(numpy_message(table.reshape(1, 2)))["repeats"] == [[1, 2]]


def test_a_document_without_its_name_is_told_to_be_one_and_never_guessed() -> None:
    for message in (msgspec.json.encode(START), msgspec.json.encode({**START, "state": "RUNNING"})):
        with pytest.raises(DocumentError, match="without its name"):
            parse(message)


def test_an_empty_message_is_told_to_be_one() -> None:
    for message in (b"", b" \n"):
        with pytest.raises(DocumentError, match="the message is empty"):
            parse(message)


def test_an_array_packed_with_text_keys_is_read_too() -> None:
    array = {key.decode(): value for key, value in packed("<f8", [2], np.array([1.0, 2.0]).tobytes()).items()}
    assert decoded_x(as_msgpack("start", {**START, "x": array})) == [1.0, 2.0]


def test_a_mapping_with_a_key_called_nd_stays_a_mapping() -> None:
    assert decoded_x(as_msgpack("start", {**START, "x": {"nd": {"source": "s"}}})) == {"nd": {"source": "s"}}


def test_bytes_become_base64_text_and_byte_keys_text() -> None:
    assert decoded_x(msgspec.msgpack.encode(["start", {**START, "x": {b"key": b"\x00\xff"}}])) == {"key": "AP8="}


def test_number_keys_become_text() -> None:
    assert decoded_x(msgspec.msgpack.encode(["start", {**START, "x": {1: "a", 2.5: "b"}}])) == {"1": "a", "2.5": "b"}


def test_nan_and_infinity_in_json_are_understood() -> None:
    x = decoded_x(b'["start", {"uid": "a", "time": 1, "x": [NaN, Infinity, -Infinity]}]')
    assert np.isnan(x[0])
    assert x[1:] == [np.inf, -np.inf]


def test_integers_of_64_bits_stay_exact_and_larger_ones_become_floats() -> None:
    x = decoded_x(b'["start", {"uid": "a", "time": 1, "x": [18446744073709551615, -9223372036854775808, 18446744073709551616]}]')
    assert x == [2**64 - 1, -(2**63), 2.0**64]
    assert [type(number) for number in x] == [int, int, float]


def test_lists_may_be_as_deep_as_the_bound_and_no_deeper() -> None:
    assert decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(DocumentError, match="deeper"):
        decode(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_a_message_above_the_bound_is_refused_before_it_is_read() -> None:
    with pytest.raises(DocumentError, match=str(MAX_BYTES)):
        decode(b"\xc1" * (MAX_BYTES + 1))


@pytest.mark.parametrize(("dtype", "kind"), [("|O", b"O"), ("|O", b""), ("O", b"V")])
def test_a_pickle_in_an_array_of_objects_is_never_run(dtype: str, kind: bytes, tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    message = as_msgpack("start", {**START, "x": packed(dtype, [1], pickle_bomb(str(sentinel)), kind=kind)})
    with pytest.raises(DocumentError):
        parse(message)
    assert not sentinel.exists()


def test_a_whole_message_that_is_a_pickle_is_never_run(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    with pytest.raises(DocumentError):
        parse(pickle_bomb(str(sentinel)))
    assert not sentinel.exists()


def test_an_array_without_elements_does_not_become_as_many_lists_as_its_shape_claims() -> None:
    assert decoded_x(as_msgpack("start", {**START, "x": packed("<f4", [10**9, 0], b"")})) == []


def test_a_time_of_msgpack_becomes_text() -> None:
    document = parse(msgspec.msgpack.encode(["start", {"uid": "a", "time": 1, "when": datetime(2026, 1, 2, tzinfo=UTC)}]))
    assert isinstance(document, Document)
    assert document.doc["when"] == "2026-01-02T00:00:00+00:00"


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_messages_are_refused_with_a_reason_a_person_can_read(message: bytes) -> None:
    with pytest.raises(DocumentError) as refused:
        parse(message)
    assert 0 < len(str(refused.value)) < 1000
    str(refused.value).encode()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.sampled_from(["nd", "data", "name"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.sampled_from(raster_run((2, 2))), st.data())
def test_a_document_with_any_field_replaced_is_read_or_refused_and_can_be_stored(document: Document, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from([*document.doc, "extra"]))
    doc = {**document.doc, field: data.draw(JSON_VALUES)}
    try:
        read = parse(msgpack.packb([document.name, doc], default=lambda value: float(value)))
    except DocumentError:
        return
    assert isinstance(read, Document)
    assert read.uid
    msgspec.msgpack.encode(read.doc)
    msgspec.json.encode(read.doc)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    try:
        parse(message)
    except DocumentError:
        pass


@settings(deadline=None, max_examples=100)
@given(
    st.text(max_size=8) | st.sampled_from(["<f8", "|u1", "<U1", "|S2"]),
    JSON_VALUES | st.lists(st.integers(-3, 5), max_size=3),
    st.binary(max_size=16),
)
def test_any_numpy_array_is_read_or_refused(dtype: str, shape: object, data: bytes) -> None:
    try:
        msgspec.json.encode(decode(msgpack.packb(packed(dtype, shape, data), default=float)))
    except (DocumentError, OverflowError):
        pass


# --- identify ---


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
@pytest.mark.parametrize(("body", "kind"), [(WORKER, "worker"), (PROGRESS, "progress"), ({"task_id": "t", "statuses": {}}, "progress")])
def test_the_events_of_blueapis_worker_are_told_apart(encode: Any, body: dict[str, Any], kind: str) -> None:
    assert parse(encode(body)) == WorkerEvent(kind, body)  # type: ignore[arg-type]


def test_what_blueapis_own_websocket_wraps_is_unwrapped() -> None:
    assert identify({"kind": "update", "data": {"name": "start", "doc": START}}) == Document("start", START)
    assert identify({"kind": "update", "data": WORKER}) == WorkerEvent("worker", WORKER)


def test_the_same_document_delivered_again_has_the_same_identity() -> None:
    page = {**EVENT, "uid": ["e"], "time": [1.0], "seq_num": [1], "filled": {}}
    for name, doc in (("start", START), ("stream_datum", DATUM), ("event_page", page)):
        first, second = parse(as_msgpack(name, doc)), parse(as_json(name, doc))
        assert isinstance(first, Document)
        assert isinstance(second, Document)
        assert first.uid == second.uid


def test_pages_of_events_are_documents_of_their_own() -> None:
    page = {**EVENT, "uid": ["e1", "e2"], "time": [1.0, 2.0], "seq_num": [1, 2], "filled": {}}
    assert parse(as_msgpack("event_page", page)) == Document("event_page", page)


# --- validate ---


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("indices", {"start": 0, "stop": 2**40 - 1}, True),
        ("indices", {"start": 0, "stop": 2**40}, False),
        ("indices", {"start": 3, "stop": 3}, True),
        ("seq_nums", {"start": 1, "stop": 1}, True),
        ("seq_nums", {"start": 0, "stop": 0}, True),
        ("seq_nums", {"start": 0, "stop": 1}, False),
        ("uid", "u" * 256, True),
        ("uid", "u" * 257, False),
        ("uid", "../../etc", True),
        ("uid", "tab\tseparated", False),
    ],
)
def test_numbers_and_uids_have_bounds(field: str, value: object, allowed: bool) -> None:
    message = as_msgpack("stream_datum", {**DATUM, field: value})
    if allowed:
        assert parse(message) == Document("stream_datum", {**DATUM, field: value})
    else:
        with pytest.raises(DocumentError, match=field):
            parse(message)


def test_the_reason_names_the_field_that_breaks_the_schema() -> None:
    document = raster_run()[1]
    broken = {**document.doc, "data_keys": {"camera": {**document.doc["data_keys"]["camera"], "shape": "30x40"}}}
    with pytest.raises(DocumentError, match=r"descriptor: data_keys\.camera\.shape"):
        parse(as_msgpack("descriptor", broken))


def test_a_stream_resource_need_not_name_its_run() -> None:
    run = Acquisition()
    run.file(names_run=False)
    doc = run.documents[-1].doc
    assert parse(as_json("stream_resource", doc)) == Document("stream_resource", doc)
    assert parse(as_json("stream_resource", {**doc, "run_start": ""}))


# --- recordings ---


def recorded_messages() -> list[tuple[str, bytes]]:
    """Every message of every recording, as it came off its bus."""
    messages: list[tuple[str, bytes]] = []
    for path in sorted(RECORDINGS.glob("*.json*")):
        text = path.read_text()
        values = json.loads(text)["events"] if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
        for value in values:
            if "command" in value:
                if value["command"] == "MESSAGE":
                    messages.append((path.name, value["body"].encode()))
            else:
                messages.append((path.name, json.dumps(value).encode()))
    return messages


def test_every_message_of_every_recording_is_understood() -> None:
    kinds: dict[str, set[str]] = {}
    for name, message in recorded_messages():
        match parse(message):
            case Document() as document:
                kinds.setdefault(name, set()).add(document.name)
            case WorkerEvent(kind, _):
                kinds.setdefault(name, set()).add(kind)
    run = {"start", "descriptor", "stream_resource", "stream_datum", "stop"}
    assert kinds["b01-1-demo-plan-2025-06.json"] == run | {"event", "worker"}
    assert kinds["sim-fly_scanspec_snake_7x9.jsonl"] == run
    assert kinds["stomp-blueapi-excerpt.jsonl"] == run | {"event", "worker", "progress"}


OLDER = {"uid": "a", "spec": "AD_HDF5_SWMR_SLICE", "root": "/x", "resource_path": "a.h5", "resource_kwargs": {}, "path_semantics": "posix"}


@pytest.mark.parametrize("more", [{}, {"data_key": "camera"}, {"stream_names": ["primary"]}, {"run_start": "b", "data_key": "camera"}])
def test_a_stream_resource_of_each_older_event_model_is_one(more: dict[str, Any]) -> None:
    document = parse(msgspec.msgpack.encode(["stream_resource", {**OLDER, **more}]))
    assert isinstance(document, Document)
    assert document.doc["spec"] == "AD_HDF5_SWMR_SLICE"


@pytest.mark.parametrize("more", [{"data_key": 5}, {"datakey": "camera"}])
def test_an_older_stream_resource_is_checked_all_the_same(more: dict[str, Any]) -> None:
    with pytest.raises(DocumentError, match="stream_resource"):
        parse(msgspec.msgpack.encode(["stream_resource", {**OLDER, **more}]))
