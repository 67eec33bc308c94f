"""What differs from event-model's schemas and costs no run: and what does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.documents import CAMERA, MOTOR, as_json, as_msgpack
from tests.helpers.hostile import EVENT, RESOURCE, START
from wpb_stream.core.documents import Document, parse
from wpb_stream.core.exceptions import DocumentError

STOP = {"uid": "stop", "time": 1.0, "run_start": "a", "exit_status": "success"}
OLDER = {"uid": "r", "spec": "AD_HDF5", "root": "/data", "resource_path": "x.h5", "resource_kwargs": {}}
DESCRIPTOR = {"uid": "d", "time": 1.0, "run_start": "a", "name": "primary", "data_keys": {"camera": CAMERA}}


@pytest.mark.parametrize(
    ("name", "doc", "field"),
    [
        *(("start", START, field) for field in ("scan_id", "sample", "group", "hints", "projections")),
        *(("stop", STOP, field) for field in ("reason", "num_events")),
        *(("descriptor", DESCRIPTOR, field) for field in ("name", "hints", "configuration", "object_keys")),
        *(("stream_resource", RESOURCE, field) for field in ("run_start",)),
        *(("stream_resource", OLDER, field) for field in ("run_start", "path_semantics")),
        *(("resource", OLDER, field) for field in ("run_start", "path_semantics")),
        ("event", EVENT, "filled"),
        ("event_page", {**EVENT, "uid": ["e"], "time": [1.0], "seq_num": [1]}, "filled"),
    ],
)
def test_an_optional_field_that_is_null_counts_as_left_out_and_the_document_is_kept_as_it_came(
    name: str, doc: dict[str, Any], field: str
) -> None:
    with_null = {**doc, field: None}
    assert parse(as_json(name, with_null)) == Document(name, with_null)


@pytest.mark.parametrize(("name", "doc", "field"), [("start", START, "uid"), ("stop", STOP, "run_start"), ("event", EVENT, "seq_num")])
def test_a_field_that_must_be_there_must_not_be_null(name: str, doc: dict[str, Any], field: str) -> None:
    with pytest.raises(DocumentError, match=field):
        parse(as_json(name, {**doc, field: None}))


ODD_DATA_KEYS: dict[str, dict[str, Any]] = {
    "a shape that is null": {"shape": None},
    "a shape with a null": {"shape": [None, 30, 40]},
    "no shape worth the name": {"shape": []},
    "external that is null": {"external": None},
    "external that is empty": {"external": ""},
    "a structured dtype": {"dtype_numpy": [["a", "<u2"], ["b", "<f8"]]},
    "a dtype within a dtype": {"dtype_numpy": [["a", [["b", "<u2"]]]]},
    "a dtype of objects": {"dtype_numpy": "|O"},
    "a dtype that is null": {"dtype_numpy": None},
    "the dtype of two generations ago": {"dtype_str": "|u1", "dtype_descr": [["", "|u1"]]},
    "limits that are NaN": {"limits": {"control": {"low": float("nan"), "high": float("inf")}}},
    "dims that are null": {"dims": None},
    "units that are null": {"units": None, "precision": None},
}


@pytest.mark.parametrize("odd", ODD_DATA_KEYS.values(), ids=ODD_DATA_KEYS)
def test_what_a_data_key_says_oddly_loses_no_descriptor(odd: dict[str, Any]) -> None:
    configured = {"data": {}, "timestamps": {}, "data_keys": {"gain": {**MOTOR, **odd}}}
    doc = {**DESCRIPTOR, "data_keys": {"camera": {**CAMERA, **odd}, "x": MOTOR}, "configuration": {"camera": configured}}
    document = parse(as_msgpack("descriptor", doc))
    assert isinstance(document, Document)
    assert document.doc["data_keys"].keys() == {"camera", "x"}


@pytest.mark.parametrize("broken", [{"shape": "30x40"}, {"shape": [1, 30.5, 40]}, {"dtype": "uint8"}, {"source": None}, {"external": 5}])
def test_what_a_data_key_says_wrongly_is_named(broken: dict[str, Any]) -> None:
    (field,) = broken
    with pytest.raises(DocumentError, match=rf"descriptor: data_keys\.camera.*{field}"):
        parse(as_msgpack("descriptor", {**DESCRIPTOR, "data_keys": {"camera": {**CAMERA, **broken}}}))
