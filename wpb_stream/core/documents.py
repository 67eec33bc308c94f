"""Bytes from a bus to a validated Bluesky document.

Two envelopes are understood: ``[name, doc]`` and ``{"name": ..., "doc": ...}``, each as msgpack (with msgpack-numpy's arrays) or JSON.
blueapi publishes its own worker and progress events on the same destination; those are told apart here and are no errors.
Documents are hostile input: nothing is ever unpickled, and depth, size and numbers are bounded before anyone acts on them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeGuard, cast

import jsonschema_rs
import msgspec
from event_model import DocumentNames
from event_model import schemas as _schemas  # pyright: ignore[reportUnknownVariableType]

from wpb_stream.core.arrays import unpack_array
from wpb_stream.core.envelope import is_pickle
from wpb_stream.core.exceptions import DocumentError
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.tolerance import as_schema_wants

MAX_BYTES = 16 * 2**20
"""Messages above this many bytes are refused unread."""
MAX_DEPTH = 64
"""Lists and mappings nested deeper than this are refused."""
MAX_INDEX = 2**40
"""Frame indices and sequence numbers at or above this are refused."""
MAX_UID = 256
"""Characters in a uid."""
END_OF_TIME = 253_402_300_800
"""Seconds since 1970 at the year 10000, where calendars of Python and PostgreSQL end."""

PICKLED = (
    "the message is pickled, and reading a pickle can run any code: give the publisher another serializer, as in "
    "bluesky.callbacks.zmq.Publisher(address, serializer=partial(msgpack.packb, default=msgpack_numpy.encode)), or, if it comes over ZMQ, "
    "have pickles read all the same with WPB_ZMQ_PICKLE; docs/how-to/zmq.md says how to do either"
)

_VALIDATORS = {
    name.name: jsonschema_rs.validator_for(cast(dict[str, Any], _schemas[name]))
    for name in DocumentNames
    if not name.name.startswith("bulk_")
}
NAMES = tuple(_VALIDATORS)
"""What documents are called."""


_ONLY_OLDER = ("data_key", "stream_names")
"""What a stream resource of event-model 1.20, and of 1.18 and 1.19, had to have beyond a resource."""


@dataclass(frozen=True, slots=True)
class Message:
    """What came off a bus, not yet looked at."""

    source: str
    """The source's identity, e.g. the Kafka cluster; positions are kept for each."""
    partition: str
    """Which of the source's ordered streams, e.g. ``topic/0``."""
    position: int
    """Where in that stream; the next one to ask for is ``position + 1``."""
    value: bytes


@dataclass(frozen=True, slots=True)
class Loss:
    """What a bus had let go of before it was read: a gap between two messages."""

    source: str
    partition: str
    resumes_at: int
    """The position that is gone on from."""
    messages: int | None
    """How many; None where nobody can know."""
    reason: str
    """What happened, in a sentence."""


Arrival = Message | Loss
"""What a source gives."""


@dataclass(frozen=True, slots=True)
class Document:
    """One Bluesky document."""

    name: str
    doc: dict[str, Any]
    task: str | None = field(default=None, compare=False)
    """Id of blueapi's task that the document comes from, if its envelope says so. Not stored."""
    size: int = field(default=0, compare=False)
    """Bytes of the message it came in: what it costs, about, to hold it."""

    @property
    def uid(self) -> str:
        """What makes it the same document when a bus delivers it again, together with its name."""
        if self.name in ("datum", "datum_page", "event_page"):
            return hashlib.sha256(msgspec.msgpack.encode(self.doc)).hexdigest()
        return self.doc["uid"]


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """One of blueapi's own events: the state of its worker, or the progress of what it runs."""

    kind: Literal["worker", "progress"]
    body: dict[str, Any]


def parse(value: bytes) -> Document | WorkerEvent:
    """Decode, identify and validate one message.

    :raises DocumentError: it is neither a usable document nor a worker event; the text says why
    """
    found = identify(decode(value))
    return replace(found, size=len(value)) if isinstance(found, Document) else found


def decode(value: bytes) -> object:
    """The message as plain Python values: numpy arrays become lists, bytes base64 text, keys strings.

    :raises DocumentError: neither JSON nor msgpack, or too large, too deep, or with parts that only pickle could read
    """
    if len(value) > MAX_BYTES:
        raise DocumentError(f"the message has {len(value)} bytes, more than the {MAX_BYTES} allowed")
    if not value.strip():
        raise DocumentError("the message is empty")
    try:
        if is_pickle(value):
            raise DocumentError(PICKLED)
        # No msgpack document begins with these: as msgpack they are bare small integers.
        if value.lstrip()[:1] in (b"{", b"["):
            return _plain(_decode_json(value), MAX_DEPTH)
        unpacked = msgspec.msgpack.decode(value)
        match unpacked:
            case [str(), bytes() as payload] if is_pickle(payload):
                raise DocumentError(PICKLED)
            case _:
                pass
        return _plain(unpacked, MAX_DEPTH)
    except DocumentError:
        raise
    except RecursionError:
        raise DocumentError(f"the message is nested deeper than {MAX_DEPTH} levels") from None
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError) as error:
        raise DocumentError(f"the message is neither JSON nor msgpack: {str(error)[:300]}") from error


def _decode_json(value: bytes) -> object:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return json.loads(value)  # NaN and Infinity, which Python's own writer emits and strict JSON refuses


def _plain(value: Any, depth: int) -> object:
    """``value`` with msgpack-numpy's mappings turned into lists and numbers, its depth checked."""
    if isinstance(value, (dict, list)) and depth == 0:
        raise DocumentError(f"the message is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        mapping = cast(dict[Any, Any], value)
        if isinstance(mapping.get(b"nd", mapping.get("nd")), bool) and (b"data" in mapping or "data" in mapping):
            return unpack_array({_key(key): item for key, item in mapping.items()}, depth)
        if b"complex" in mapping:
            return str(mapping.get(b"data"))
        return {_key(key): _plain(item, depth - 1) for key, item in mapping.items()}
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in cast(list[Any], value)]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)  # beyond what msgpack, and so the catalogue, can hold
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, datetime):
        return value.isoformat()  # msgpack has a type for times
    raise DocumentError(f"the message holds a {type(value).__name__}; only JSON's types, bytes and numpy arrays are read")


def _text(value: str) -> str:
    if not value.isascii():
        value.encode()  # Python's JSON reader lets lone surrogates through, which nothing after it could write
    return value


def _key(key: Any) -> str:
    if isinstance(key, bytes):
        return key.decode()
    if isinstance(key, str):
        return _text(key)
    if isinstance(key, (int, float)):
        return str(key)
    raise DocumentError(f"a mapping has the key {key!r}; only strings and numbers are allowed")


def identify(value: object) -> Document | WorkerEvent:
    """Tell what a decoded message is, and check it.

    :raises DocumentError: no envelope that is known, an unknown document name, or a document that breaks its schema
    """
    pair, body = as_list(value), as_mapping(value)
    name, doc = pair if pair and len(pair) == 2 else (body.get("name"), body.get("doc"))
    if isinstance(name, str) and isinstance(doc, dict):
        task = body.get("task_id")
        document = Document(name, dict(as_mapping(doc)), task if isinstance(task, str) else None)  # pyright: ignore[reportUnknownArgumentType]
        validate(document)
        return document
    if body.get("kind") == "update":  # blueapi's own websocket wraps the same body
        return identify(body.get("data"))
    if "uid" in body or "datum_id" in body:
        raise DocumentError("the message is a document without its name, which is never guessed: publish [name, doc] or {name, doc}")
    if isinstance(body.get("state"), str):
        return WorkerEvent("worker", dict(body))
    if isinstance(body.get("statuses"), dict):
        return WorkerEvent("progress", dict(body))
    raise DocumentError("the message is no [name, doc] pair, no {name, doc} mapping and no worker event")


def validate(document: Document) -> None:
    """Check a document against event-model's schema, and for what the schemas let through.

    :raises DocumentError: naming the field
    """
    if document.name in ("bulk_events", "bulk_datum"):
        raise DocumentError(f"{document.name} documents are long out of use and are not read: publish event_page and datum_page instead")
    # Until event-model 1.20 a stream resource was described as a resource.
    older = document.name == "stream_resource" and "mimetype" not in document.doc and "spec" in document.doc
    validator = _VALIDATORS.get("resource" if older else document.name)
    if validator is None:
        raise DocumentError(f"unknown document name {document.name[:80]!r}")
    doc = as_schema_wants(document.name, document.doc)
    if older:
        doc = {key: value for key, value in doc.items() if key not in _ONLY_OLDER}
    try:
        validator.validate(doc)
    except jsonschema_rs.ValidationError as error:
        where = ".".join(str(part) for part in error.instance_path) or "the document"
        raise DocumentError(f"{document.name}: {where[:200]}: {error.message[:300]}") from None
    except ValueError as error:
        raise DocumentError(f"{document.name}: {error}") from None
    if older and not isinstance(document.doc.get("data_key", ""), str):
        raise DocumentError("stream_resource: data_key is not of type string")
    for key in ("uid", "run_start", "descriptor", "stream_resource", "resource"):
        if key in document.doc and not _sane_uid(document.doc[key]):
            if (key, document.name) == ("uid", "event_page"):
                continue  # one for each of its events
            if key == "run_start" and document.name in ("stream_resource", "resource") and document.doc[key] in ("", None):
                continue  # it names no run
            raise DocumentError(f"{document.name}: {key} must be 1 to {MAX_UID} printable characters")
    _check_time(document.name, document.doc.get("time"))
    if document.name == "stream_datum":
        for key, least in (("indices", 0), ("seq_nums", 1)):
            _check_range(key, document.doc[key], least)
    elif document.name == "event" and not _whole(document.doc["seq_num"], 0):
        raise DocumentError(f"event: seq_num is {document.doc['seq_num']}")
    elif document.name in ("event_page", "datum_page"):
        _check_page(document)


def _sane_uid(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= MAX_UID and value.isprintable()


def _whole(value: object, least: int) -> bool:
    """Whether it is a usable index; 1.0, which is an integer to JSON schemas, is none."""
    return type(value) is int and least <= value < MAX_INDEX


def _check_page(page: Document) -> None:
    """Whether all columns of a page are as long as each other, and its sequence numbers usable."""
    key = "seq_num" if page.name == "event_page" else "datum_id"
    rows = len(page.doc[key])
    columns = {name: page.doc[name] for name in ("seq_num", "uid", "time") if name in page.doc}
    for part in ("data", "timestamps", "filled", "datum_kwargs"):
        columns.update({f"{part}.{name}": column for name, column in as_mapping(page.doc.get(part)).items()})
    for name, column in columns.items():
        if not isinstance(column, list) or len(cast(list[Any], column)) != rows:
            raise DocumentError(f"{page.name}: {name[:80]} is not a column of {rows} values, as {key} is")
    for seq_num in page.doc.get("seq_num", ()):
        if not _whole(seq_num, 0):
            raise DocumentError(f"event_page: seq_num is {seq_num}")
    for time in page.doc.get("time", ()):
        _check_time("event_page", time)


def _check_time(name: str, time: object) -> None:
    if isinstance(time, (int, float)) and not 0 <= time < END_OF_TIME:
        raise DocumentError(f"{name}: time is {time}")


def _check_range(key: str, bounds: Mapping[str, int], least: int) -> None:
    start, stop = bounds["start"], bounds["stop"]
    least_start = 0 if start == stop else least
    if not _whole(start, least_start) or not _whole(stop, start):
        raise DocumentError(f"stream_datum: {key} {start}..{stop} is no half-open range from {least}")
