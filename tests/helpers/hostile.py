"""Messages that nobody should send and somebody will.

``MALFORMED`` must be refused, each with a :class:`DocumentError`. ``INSANE`` are runs of well-formed documents that say what cannot be
true; they must be taken in without an error and without spoiling other runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from tests.helpers.documents import CAMERA, Acquisition, as_json, as_msgpack
from wpb_stream.core.documents import MAX_BYTES

START = {"uid": "hostile", "time": 1.0}
RESOURCE = {"uid": "r", "data_key": "camera", "mimetype": "m", "uri": "file://localhost/x.h5", "parameters": {}, "run_start": "hostile"}
DATUM = {
    "uid": "r/0",
    "stream_resource": "r",
    "descriptor": "d",
    "indices": {"start": 0, "stop": 1},
    "seq_nums": {"start": 1, "stop": 2},
}
EVENT = {"uid": "e", "descriptor": "d", "time": 1.0, "seq_num": 1, "data": {}, "timestamps": {}}


def packed(dtype: object, shape: object, data: object, *, nd: bool = True, kind: bytes = b"") -> dict[bytes, object]:
    """A numpy array as msgpack-numpy packs it, or what claims to be one."""
    return {b"nd": nd, b"type": dtype, b"kind": kind, b"shape": shape, b"data": data}


def pickle_bomb(path: str) -> bytes:
    """A pickle that creates a file when it is read."""
    return f"cos\nsystem\n(S'touch {path}'\ntR.".encode()


def _start(**fields: Any) -> bytes:
    return as_msgpack("start", {**START, **fields})


def _python_json(value: object) -> bytes:
    return json.dumps(value).encode()  # writes NaN, huge integers and lone surrogates


def _nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def _lying_page() -> bytes:
    return as_json("event_page", {**EVENT, "uid": "not a list"})


def _ragged_page() -> bytes:
    page = {"uid": ["e1", "e2"], "descriptor": "d", "time": [1.0], "seq_num": [1, 1, 5]}
    return as_msgpack("event_page", page | {"data": {"temperature": []}, "timestamps": {}, "filled": {}})


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "spaces": b"   ",
    "noise": bytes(range(128, 256)),
    "text": b"hello",
    "truncated JSON": b'{"name": "start", "doc": {"uid"',
    "truncated msgpack": as_msgpack("start", START)[:-3],
    "two messages in one": as_msgpack("start", START) * 2,
    "JSON null": b"null",
    "a number": b"5",
    "empty list": b"[]",
    "a document without its name": b'{"uid": "a", "time": 1.0}',
    "a document without its name that looks like a worker's event": b'{"uid": "a", "time": 1.0, "state": "RUNNING", "statuses": {}}',
    "empty mapping": b"{}",
    "list of three": b'["start", {}, 3]',
    "name is no text": b'[1, {"uid": "a", "time": 1}]',
    "document is no mapping": b'["start", [1]]',
    "document is null": b'{"name": "start", "doc": null}',
    "unknown name": b'["begin", {"uid": "a", "time": 1}]',
    "a name of a megabyte": msgspec.json.encode(["x" * 2**20, {}]),
    "bulk events": b'["bulk_events", {}]',
    "not UTF-8": b'["start", {"uid": "\xff", "time": 1}]',
    "lone surrogate": _python_json(["start", {**START, "x": "\ud800"}]),
    "lone surrogate in a key": _python_json(["start", {**START, "\ud800": 1}]),
    "an integer of 400 digits": _python_json(["start", {**START, "x": 10**400}]),
    "an integer of 5000 digits": b'["start", {"uid": "a", "time": 1, "x": ' + b"1" * 5000 + b"}]",
    "JSON nested 65 deep": _python_json(_nested(65)),
    "JSON nested 900 deep": _python_json(["start", {**START, "x": _nested(900)}]),
    "JSON nested 100,000 deep": b"[" * 100_000,
    "JSON with NaN nested 100,000 deep": b"[NaN," * 100_000,
    "msgpack nested 100,000 deep": b"\x91" * 100_000 + b"\xc0",
    "msgpack claiming four billion items": b"\xdd\xff\xff\xff\xff",
    "too large": b"[" + b" " * MAX_BYTES,
    "mapping with a list as key": b"\x81\x91\x01\x01",
    "mapping with nil as key": b"\x92\xa5start\x81\xc0\x01",
    "bytes that are no text as key": b"\x92\xa5start\x81\xc4\x01\xff\x01",
    "extension type": msgspec.msgpack.encode(["start", {**START, "x": msgspec.msgpack.Ext(5, b"abc")}]),
    "array of objects": _start(x=packed("|O", [1], pickle_bomb("/nowhere"), kind=b"O")),
    "array of objects, unsaid": _start(x=packed("|O", [1], pickle_bomb("/nowhere"))),
    "structured array of objects": _start(x=packed([["a", "|O"]], [1], b"abcdefgh", kind=b"V")),
    "structured array of nothing": _start(x=packed([], [1], b"abcd", kind=b"V")),
    "structured array of arrays": _start(x=packed([["a", "<f4", [2]]], [1], b"abcdefgh", kind=b"V")),
    "structured array of one name twice": _start(x=packed([["a", "<f4"], ["a", "<f4"]], [1], b"abcdefgh", kind=b"V")),
    "structured array of a thousand columns": _start(x=packed([[f"{k}", "|u1"] for k in range(1000)], [1], bytes(1000), kind=b"V")),
    "structured array within a structured array": _start(x=packed([["a", [["b", "<f4"]]]], [1], b"abcd", kind=b"V")),
    "array of dates": _start(x=packed("<M8[ns]", [1], b"abcdefgh")),
    "array whose dtype is code": _start(x=packed("i4, (1,f4", [1], b"abcd")),
    "array whose dtype is a comma": _start(x=packed(",", [1], b"abcd")),
    "array whose dtype is a number": _start(x=packed(5, [1], b"abcd")),
    "array of no such width": _start(x=packed("<f3", [1], b"abc")),
    "array of text of no width": _start(x=packed("<U0", [1], b"")),
    "array of what is no Unicode": _start(x=packed("<U1", [1], b"\xff\xff\xff\xff")),
    "array of lone surrogates": _start(x=packed("<U1", [1], b"\x00\xd8\x00\x00")),
    "array shorter than its shape": _start(x=packed("<f8", [1000], bytes(8))),
    "array of a negative shape": _start(x=packed("<f8", [-2, -3], bytes(48))),
    "array whose shape is text": _start(x=packed("<f8", "four", bytes(8))),
    "array of 70 dimensions": _start(x=packed("<f8", [1] * 70, bytes(8))),
    "array nested deeper than lists may be": as_msgpack("start", {**START, "x": {"y": {"z": packed("<f8", [1] * 64, bytes(8))}}}),
    "array whose data is text": _start(x=packed("<f8", [1], "abcdefgh")),
    "array without elements as a scalar": _start(x=packed("<f8", [], b"", nd=False)),
    "array without a type": as_msgpack("start", {**START, "x": {b"nd": True, b"data": b""}}),
    "start without uid": b'["start", {"time": 1}]',
    "start without time": b'["start", {"uid": "a"}]',
    "uid is a number": _start(uid=5),
    "uid is empty": _start(uid=""),
    "uid with NUL": _start(uid="a\0b"),
    "uid with a line feed": _start(uid="a\nb"),
    "uid with a right-to-left override": _start(uid="a\u202eb"),
    "uid of 257 characters": _start(uid="u" * 257),
    "uid of a megabyte": _start(uid="u" * 2**20),
    "time is NaN": _python_json(["start", {**START, "time": float("nan")}]),
    "time is infinite": _python_json(["start", {**START, "time": float("inf")}]),
    "time before 1970": _start(time=-1.0),
    "time after calendars end": _start(time=1e300),
    "time is a whole number after calendars end": _start(time=2**63),
    "metadata with an empty key": _start(regions={"": [0, 0, 5, 5]}),
    "metadata with a path for a key": _start(regions={"../../etc": [0, 0, 5, 5]}),
    "time is text": _start(time="now"),
    "scan_id is text": _start(scan_id="seven"),
    "stop of no kind": as_msgpack("stop", {"uid": "s", "time": 1.0, "run_start": "a", "exit_status": "great"}),
    "stop after calendars end": as_msgpack("stop", {"uid": "s", "time": 1e12, "run_start": "a", "exit_status": "success"}),
    "stop of a run without name": as_msgpack("stop", {"uid": "s", "time": 1.0, "run_start": "", "exit_status": "success"}),
    "descriptor whose shape is text": as_msgpack(
        "descriptor", {"uid": "d", "time": 1.0, "run_start": "a", "data_keys": {"camera": {**CAMERA, "shape": "30x40"}}}
    ),
    "descriptor whose shape is fractions": as_msgpack(
        "descriptor", {"uid": "d", "time": 1.0, "run_start": "a", "data_keys": {"camera": {**CAMERA, "shape": [1, 30.5, 40]}}}
    ),
    "resource whose parameters are a list": as_msgpack("stream_resource", {**RESOURCE, "parameters": [1]}),
    "resource whose uri is a list": as_msgpack("stream_resource", {**RESOURCE, "uri": ["file://localhost/x"]}),
    "datum with a negative index": as_msgpack("stream_datum", {**DATUM, "indices": {"start": -5, "stop": 1}}),
    "datum that ends before it starts": as_msgpack("stream_datum", {**DATUM, "indices": {"start": 5, "stop": 1}}),
    "datum with an index of 10**15": as_msgpack("stream_datum", {**DATUM, "indices": {"start": 0, "stop": 10**15}}),
    "datum with floats for indices": as_msgpack("stream_datum", {**DATUM, "indices": {"start": 0.0, "stop": 1.0}}),
    "datum with text for indices": as_msgpack("stream_datum", {**DATUM, "indices": {"start": "0", "stop": "1"}}),
    "datum of point 0": as_msgpack("stream_datum", {**DATUM, "seq_nums": {"start": 0, "stop": 1}}),
    "datum of a nameless descriptor": as_msgpack("stream_datum", {**DATUM, "descriptor": ""}),
    "event of a negative number": as_msgpack("event", {**EVENT, "seq_num": -1}),
    "event of number 1.0": as_msgpack("event", {**EVENT, "seq_num": 1.0}),
    "event of number 2**50": as_msgpack("event", {**EVENT, "seq_num": 2**50}),
    "event page with one uid": _lying_page(),
    "event page of unequal columns": _ragged_page(),
    "event page after calendars end": as_msgpack("event_page", {**EVENT, "uid": ["e"], "time": [1e300], "seq_num": [1]}),
}

_Change = Callable[[dict[str, Any]], dict[str, Any]]
_INSANE: dict[str, tuple[str, _Change]] = {
    "plan name is a list": ("start", lambda d: {**d, "plan_name": ["grid", 5]}),
    "plan name with NUL": ("start", lambda d: {**d, "plan_name": "a\0b"}),
    "plan name of a megabyte": ("start", lambda d: {**d, "plan_name": "x" * 2**20}),
    "scan_id is 7.0": ("start", lambda d: {**d, "scan_id": 7.0}),
    "a hundred thousand metadata values": ("start", lambda d: {**d, **{f"key{k}": k for k in range(100_000)}}),
    "NaN in metadata": ("start", lambda d: {**d, "energy": float("nan"), "nested": [float("inf")]}),
    "markup in metadata": ("start", lambda d: {**d, "title": "<img src=x onerror=alert(1)>"}),
    "shape is text": ("start", lambda d: {**d, "shape": "3x4"}),
    "shape is negative": ("start", lambda d: {**d, "shape": [-3, 4]}),
    "shape is nested": ("start", lambda d: {**d, "shape": [[3], [4]]}),
    "shape is huge": ("start", lambda d: {**d, "shape": [10**6, 10**6]}),
    "shape has a thousand dimensions": ("start", lambda d: {**d, "shape": [1] * 1000}),
    "shape of booleans": ("start", lambda d: {**d, "shape": [True, True]}),
    "shape is one point": ("start", lambda d: {**d, "shape": [1]}),
    "num_points is huge": ("start", lambda d: {**d, "shape": None, "num_points": 2**60}),
    "snaking is too short": ("start", lambda d: {**d, "snaking": [True]}),
    "snaking is text": ("start", lambda d: {**d, "snaking": "True"}),
    "snake_axes is a list": ("start", lambda d: {**d, "snaking": None, "snake_axes": [{"a": 1}]}),
    "extents are text": ("start", lambda d: {**d, "extents": "0 to 5"}),
    "extents are infinite": ("start", lambda d: {**d, "extents": [[0, float("inf")], [float("nan"), 1]]}),
    "extents are mixed": ("start", lambda d: {**d, "extents": [[0, "1"], {"start": 0}]}),
    "motors are numbers": ("start", lambda d: {**d, "motors": [1, 2]}),
    "motors are mappings": ("start", lambda d: {**d, "motors": [{"name": "x"}, None]}),
    "motors of a megabyte": ("start", lambda d: {**d, "motors": ["x" * 2**20, "y\0"]}),
    "hints are lies": ("start", lambda d: {**d, "hints": {"dimensions": [[["x"], "primary"]], "gridding": "rectilinear"}}),
    "plan_args is text": ("start", lambda d: {**d, "plan_args": "none"}),
    "regions in stage units": ("start", lambda d: {**d, "color_rois": {"red": [0.5, 0.7]}}),
    "regions of one name": ("start", lambda d: {**d, "colour_rois": {"R": [0, 0, 5, 5], "red": [0, 0, 6, 6]}}),
    "region called total": ("start", lambda d: {**d, "colour_rois": {"total": [0, 0, 5, 5]}}),
    "region called point": ("start", lambda d: {**d, "colour_rois": {"point": [0, 0, 5, 5]}}),
    "region of a name of a megabyte": ("start", lambda d: {**d, "colour_rois": {"r" * 2**20: [0, 0, 5, 5]}}),
    "region of a name with control characters": ("start", lambda d: {**d, "colour_rois": {"r\0\n": [0, 0, 5, 5]}}),
    "a thousand regions": ("start", lambda d: {**d, "colour_rois": {f"r{k}": [0, 0, 5, 5] for k in range(1000)}}),
    "regions are text": ("start", lambda d: {**d, "colour_rois": "red"}),
    "regions outside the frame": ("start", lambda d: {**d, "colour_rois": {"R": [1000, 1000, 2**60, 2**60]}}),
    "wpb is text": ("start", lambda d: {**d, "wpb": "raster"}),
    "wpb.recipe is a list": ("start", lambda d: {**d, "wpb": {"recipe": ["raster"]}}),
    "wpb.data_key is a list": ("start", lambda d: {**d, "wpb": {"data_key": ["camera"]}}),
    "wpb.data_key does not exist": ("start", lambda d: {**d, "wpb": {"data_key": "other"}}),
    "wpb.shape is text": ("start", lambda d: {**d, "wpb": {"shape": "3x4"}}),
    "wpb.shape is huge": ("start", lambda d: {**d, "wpb": {"shape": [10**5, 10**5]}}),
    "wpb.regions is a list": ("start", lambda d: {**d, "wpb": {"regions": [1, 2]}}),
    "wpb.regions is empty": ("start", lambda d: {**d, "wpb": {"regions": {}}}),
    "wpb.regions backwards": ("start", lambda d: {**d, "wpb": {"regions": {"a": {"rows": [5, 2]}}}}),
    "wpb.regions without sides": ("start", lambda d: {**d, "wpb": {"regions": {"a": {}}}}),
    "wpb.regions called cell": ("start", lambda d: {**d, "wpb": {"regions": {"cell": {"rows": [0, 5]}}}}),
    "wpb.regions a thousand": ("start", lambda d: {**d, "wpb": {"regions": {f"r{k}": {"rows": [0, 5]} for k in range(1000)}}}),
    "frames without a shape": ("descriptor", lambda d: _camera(d, shape=[])),
    "frames of unknown shape": ("descriptor", lambda d: _camera(d, shape=[None, None, None])),
    "frames of no size": ("descriptor", lambda d: _camera(d, shape=[1, 0, 0])),
    "frames of a negative shape": ("descriptor", lambda d: _camera(d, shape=[-1, -30, -40])),
    "a billion frames a point": ("descriptor", lambda d: _camera(d, shape=[10**9, 30, 40])),
    "frames of ten dimensions": ("descriptor", lambda d: _camera(d, shape=[1] * 10)),
    "descriptor without a name": ("descriptor", lambda d: {key: value for key, value in d.items() if key != "name"}),
    "descriptor without data keys": ("descriptor", lambda d: {**d, "data_keys": {}}),
    "units of a megabyte": ("descriptor", lambda d: _camera(d, units="m" * 2**20)),
    "hints of the wrong kind": ("descriptor", lambda d: {**d, "hints": {"camera": {"fields": ["nothing"]}}}),
    "resource of another detector": ("stream_resource", lambda d: {**d, "data_key": "other"}),
    "resource of no run": ("stream_resource", lambda d: {key: value for key, value in d.items() if key != "run_start"}),
    "resource of the empty run": ("stream_resource", lambda d: {**d, "run_start": ""}),
    "resource elsewhere": ("stream_resource", lambda d: {**d, "uri": "http://169.254.169.254/../../etc/passwd"}),
    "multiplier is text": ("stream_resource", lambda d: {**d, "parameters": {"multiplier": "many"}}),
    "multiplier is a list": ("stream_resource", lambda d: {**d, "parameters": {"multiplier": [2]}}),
    "multiplier is infinite": ("stream_resource", lambda d: {**d, "parameters": {"multiplier": float("inf")}}),
    "multiplier is negative": ("stream_resource", lambda d: {**d, "parameters": {"multiplier": -1}}),
    "multiplier is huge": ("stream_resource", lambda d: {**d, "parameters": {"multiplier": 2**60}}),
    "datum without width": ("stream_datum", lambda d: {**d, "indices": {"start": 0, "stop": 0}, "seq_nums": {"start": 0, "stop": 0}}),
    "datum wider in points than in frames": ("stream_datum", lambda d: {**d, "seq_nums": {"start": 1, "stop": 2**39}}),
    "datum beyond the grid": ("stream_datum", lambda d: {**d, "seq_nums": {"start": 2**39, "stop": 2**39 + 1}}),
    "datum far down the file": ("stream_datum", lambda d: {**d, "indices": {"start": 2**39, "stop": 2**39 + 1}}),
    "datum whose resource is a descriptor": ("stream_datum", lambda d: {**d, "stream_resource": d["descriptor"]}),
    "datum whose descriptor is a resource": ("stream_datum", lambda d: {**d, "descriptor": d["stream_resource"]}),
    "datum of unknown parents": ("stream_datum", lambda d: {**d, "descriptor": "nobody", "stream_resource": "nothing"}),
    "stop before the start": ("stop", lambda d: {**d, "time": 0.0}),
    "stop with NUL": ("stop", lambda d: {**d, "reason": "a\0b" * 1000}),
    "stop of another run": ("stop", lambda d: {**d, "run_start": "nobody"}),
    "stop counts other events": ("stop", lambda d: {**d, "num_events": {"primary": 10**9, "other": -5}}),
}


def _camera(descriptor: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**descriptor, "data_keys": {"camera": {**CAMERA, **fields}}}


def _insane_run(kind: str, change: _Change) -> list[bytes]:
    run = Acquisition(uid="hostile", extents=[[0, 1], [0, 2]], motors=["y", "x"])
    stream, file = run.stream(), run.file()
    run.frames(stream, file, 0, 1)
    run.frames(stream, file, 1, 2)
    run.stop()
    return [
        msgspec.msgpack.encode([document.name, change(document.doc) if document.name == kind else document.doc])
        for document in run.documents
    ]


def _stranger() -> list[bytes]:
    """A datum whose descriptor belongs to one run and whose resource to another."""
    ours, other = Acquisition(uid="hostile"), Acquisition(uid="other")
    stream, file = ours.stream(), other.file()
    ours.frames(stream, file, 0, 1)
    return [as_msgpack(document.name, document.doc) for document in (*other.documents, *ours.documents)]


def _second_configuration() -> list[bytes]:
    """The stream is described again, without the camera whose frames it then announces."""
    run = Acquisition(uid="hostile")
    run.stream()
    file = run.file()
    run.frames(run.stream(motor={"source": "sim", "shape": [], "dtype": "number"}), file, 0, 1)
    return [as_msgpack(document.name, document.doc) for document in run.documents]


INSANE: dict[str, list[bytes]] = {
    **{name: _insane_run(kind, change) for name, (kind, change) in _INSANE.items()},
    "datum between two runs": _stranger(),
    "stream described again without its camera": _second_configuration(),
    "two starts of one uid": [_start(shape=[3, 4]), _start(shape=[5, 5])],
    "empty array with a shape of a billion": [_start(shape=[3, 4], x=packed("<f4", [10**9, 0], b""))],
    "a data key called nd": [
        as_msgpack("start", START),
        as_msgpack("descriptor", {"uid": "d", "time": 1.0, "run_start": "hostile", "data_keys": {"nd": CAMERA}}),
    ],
    "a large array": [_start(x=packed("<u2", [512, 512], np.zeros((512, 512), np.uint16).tobytes()))],
}
