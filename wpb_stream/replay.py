"""Recorded runs: reading them, and playing them onto a bus again.

A recording is a JSON file (``{"events": [...]}`` or an array), JSON Lines with one ``{"name", "doc"}`` or, as suitcase-jsonl writes them,
one ``[name, doc]`` a line, or JSON Lines of STOMP frames as blueapi sends them. What is not a Bluesky document in it (blueapi's worker and
progress events) is passed on as it is, with None for a name.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from wpb_stream.core.envelope import encode
from wpb_stream.core.exceptions import DocumentError, ServiceError
from wpb_stream.core.keys import RunKeys

logger = logging.getLogger(__name__)

IN_FLIGHT = 1000
"""Messages sent before their delivery is waited for."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of a recording."""

    name: str | None
    """Kind of document; None for a message that is none."""
    doc: dict[str, Any]
    """The document, or the whole message if it is none."""
    at: float | None = None
    """When it was published, in seconds since 1970, or by the document's own time; None if neither is known."""


def read_recording(path: Path) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """The messages of a recording as pairs of name and document; see :func:`read_timed`."""
    return ((message.name, message.doc) for message in read_timed(path))


def read_timed(path: Path) -> Iterator[Recorded]:
    """The messages of a recording, in its order.

    A recording that was cut off in the middle of its last message ends before it, with a warning in the log.

    :raises DocumentError: the file is no recording; the text says where and why
    :raises OSError: the file cannot be read
    """
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    if _is_one_message(first):
        values = _json_lines(path)
    elif first.lstrip().startswith("["):
        values = _json_array(path)
    else:
        values = _json_events(path)
    for value in values:
        message = _message(value, path)
        if message is not None:
            yield message


def with_new_uids(messages: Iterable[Recorded], new_uid: Callable[[], str] = lambda: str(uuid.uuid4())) -> Iterator[Recorded]:
    """The same messages with every uid replaced, consistently, so that the recording plays as a new run.

    :param new_uid: makes one uid
    """
    known: dict[str, str] = {}

    def renew(uid: Any) -> Any:
        if isinstance(uid, list):
            return [renew(one) for one in uid]  # pyright: ignore[reportUnknownVariableType]
        # A datum's uid is its resource's, a slash, and a number: the part before the slash is what other documents refer to.
        owner, slash, rest = str(uid).partition("/")
        if owner not in known:
            known[owner] = new_uid()
        return known[owner] + slash + rest

    for message in messages:
        if message.name is None:
            yield message
            continue
        doc = {key: renew(value) if key in _UID_KEYS else value for key, value in message.doc.items()}
        if isinstance(doc.get("data"), dict):
            # Events of the older kind hold datum ids among their values.
            doc["data"] = {key: _renew_datum_ids(value, known) for key, value in doc["data"].items()}
        yield replace(message, doc=doc)


async def publish(
    recording: Path | Iterable[Recorded], url: str, speed: float | None = 1.0, on_progress: Callable[[int], None] | None = None
) -> int:
    """Publish a recording to Kafka as bluesky-kafka does: msgpack of ``[name, document]``, the run's uid as the key.

    Messages that are no documents go as JSON, without a key. Cancelling leaves what was sent so far on the bus.

    :param recording: a file, or its messages
    :param url: ``kafka://host:port/topic``, several brokers separated by commas
    :param speed: 1 as recorded, 10 ten times as fast, 0 or None without waiting
    :param on_progress: told the number of messages published so far
    :returns: number of messages published
    :raises DocumentError: the file is no recording
    :raises ServiceError: the broker cannot be reached, or refuses a message
    :raises ValueError: the URL is of another form
    """
    brokers, topic = parse_kafka_url(url)
    messages = read_timed(recording) if isinstance(recording, Path) else recording
    producer = AIOKafkaProducer(bootstrap_servers=brokers, linger_ms=0)
    published = 0
    in_flight: list[asyncio.Future[Any]] = []
    try:
        await producer.start()
        async for key, payload in _paced(_payloads(messages), speed or 0.0):
            in_flight.append(await producer.send(topic, payload, key=key))
            published += 1
            if len(in_flight) >= IN_FLIGHT:
                await asyncio.gather(*in_flight)
                in_flight.clear()
            if on_progress is not None:
                on_progress(published)
        await asyncio.gather(*in_flight)
    except KafkaError as error:
        raise ServiceError(f"cannot publish to {url}: {error}") from error
    finally:
        await producer.stop()
    return published


def parse_kafka_url(url: str) -> tuple[str, str]:
    """Brokers (``host:port,host:port``) and topic of ``kafka://host:port,host:port/topic``.

    :raises ValueError: the URL is of another form
    """
    parts = urlsplit(url)
    topic = parts.path.strip("/")
    if parts.scheme != "kafka" or not parts.netloc or not topic or "/" in topic:
        raise ValueError(f"{url!r} is not of the form kafka://host:port/topic")
    return parts.netloc, topic


_UID_KEYS = frozenset({"uid", "run_start", "descriptor", "resource", "stream_resource", "datum_id"})


def _renew_datum_ids(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_renew_datum_ids(one, known) for one in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, str):
        owner, slash, rest = value.partition("/")
        return known[owner] + slash + rest if owner in known else value
    return value


def _is_one_message(line: str) -> bool:
    try:
        value = json.loads(line)
    except ValueError:
        return False
    return (isinstance(value, dict) and "events" not in value) or _is_pair(value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and [type(part) for part in value] == [str, dict]  # pyright: ignore[reportUnknownVariableType]


def _json_lines(path: Path) -> Iterator[Any]:
    broken: str | None = None
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if broken is not None:
                raise DocumentError(broken)
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                broken = f"{path}, line {number} is not JSON: {error}"
                continue
            yield value
    if broken is not None:
        logger.warning("the recording was cut off: %s", broken)


def _json_array(path: Path) -> Iterator[Any]:
    """Elements one by one: bluesky's JSONWriter leaves the array open when a run dies."""
    text = path.read_text(encoding="utf-8-sig")
    decoder = json.JSONDecoder()
    place = text.index("[") + 1
    while True:
        rest = text[place : place + 1]
        if rest.isspace() or rest == ",":
            place += 1
        elif rest == "]":
            return
        else:
            try:
                value, place = decoder.raw_decode(text, place)
            except ValueError as error:
                logger.warning("the recording was cut off: %s, character %d: %s", path, place, error)
                return
            yield value


def _json_events(path: Path) -> Iterator[Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise DocumentError(f"{path} is neither JSON nor JSON Lines: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("events"), list):
        raise DocumentError(f"{path} is JSON but no recording: expected an array, or an object with a list of events")
    yield from value["events"]


def _message(value: Any, path: Path) -> Recorded | None:
    """What one entry of a recording says; None for a STOMP frame that carries no message."""
    if _is_pair(value):
        value = {"name": value[0], "doc": value[1]}
    if not isinstance(value, dict):
        raise DocumentError(f"{path} holds an entry that is no JSON object: {str(value)[:80]!r}")
    at = _number(value.get("t_wall")) or _number(value.get("t"))
    if "command" in value and "body" in value:
        if value["command"] != "MESSAGE":
            return None
        try:
            value = json.loads(value["body"])
        except ValueError as error:
            raise DocumentError(f"{path} holds a STOMP frame whose body is not JSON: {error}") from error
    if isinstance(value.get("name"), str) and isinstance(value.get("doc"), dict):
        return Recorded(value["name"], value["doc"], at or _own_time(value["doc"]))
    return Recorded(None, value, at)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _own_time(doc: dict[str, Any]) -> float | None:
    time = doc.get("time")
    # A page is published when its last event has happened.
    return _number(time[-1]) if isinstance(time, list) and time else _number(time)


def _payloads(messages: Iterable[Recorded]) -> Iterator[tuple[float | None, bytes | None, bytes]]:
    """Time, key and value of each message."""
    keys = RunKeys()
    for message in messages:
        if message.name is None:
            yield message.at, None, msgspec.json.encode(message.doc)
            continue
        run = keys.run_of(message.name, message.doc)
        yield message.at, run.encode() if run is not None else None, encode(message.name, message.doc)


async def _paced(payloads: Iterator[tuple[float | None, bytes | None, bytes]], speed: float) -> AsyncIterator[tuple[bytes | None, bytes]]:
    """Key and value of each message, when it is due. One without a time goes with the next that has one: a StreamDatum with its event."""
    waiting: list[tuple[bytes | None, bytes]] = []
    loop = asyncio.get_running_loop()
    began = first = None
    for at, key, payload in payloads:
        waiting.append((key, payload))
        if speed > 0:
            if at is None:
                continue
            if began is None or first is None:
                began, first = loop.time(), at
            await asyncio.sleep(max(0.0, began + (at - first) / speed - loop.time()))
        for one in waiting:
            yield one
        waiting.clear()
    for one in waiting:
        yield one
