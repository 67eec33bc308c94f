"""The feed as protocol.md describes it, spoken without any code of ours: what a stranger's client would do."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from jsonschema_rs import Draft202012Validator
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from wpb_stream.feed.asyncapi import document

WAIT_S = 30.0
"""Bound of every wait, so that a silent server fails a test instead of hanging it."""


@dataclass(frozen=True)
class Points:
    """A binary message of rows."""

    header: dict[str, Any]
    columns: dict[str, npt.NDArray[Any]]

    @property
    def first(self) -> int:
        return self.header["first_row"]

    @property
    def rows(self) -> int:
        return self.header["rows"]


@dataclass(frozen=True)
class Array:
    """A binary message of one array."""

    header: dict[str, Any]
    values: npt.NDArray[Any]


def decode(data: bytes) -> Points | Array:
    """Split a binary message as the page says."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length].decode("utf-8"))
    payload = data[4 + length :]
    if header["type"] == "array":
        count = int(np.prod(header["shape"], dtype=int))
        return Array(header, np.frombuffer(payload, header["dtype"], count, header["offset"]).reshape(header["shape"]))
    assert header["type"] == "points"
    columns = {c["name"]: np.frombuffer(payload, c["dtype"], header["rows"], c["offset"]) for c in header["columns"]}
    return Points(header, columns)


@cache
def _validator() -> Draft202012Validator:
    """Of all that clients are told, as the server publishes it at /asyncapi.json."""
    published = document("0")
    told = [f"#/components/schemas/{message['payload']['$ref'].rpartition('/')[2]}" for message in _told(published)]
    return Draft202012Validator({"oneOf": [{"$ref": ref} for ref in told], "components": published["components"]})


def _told(published: dict[str, Any]) -> list[dict[str, Any]]:
    names = [ref["$ref"].rpartition("/")[2] for ref in published["operations"]["tell"]["messages"]]
    return [published["components"]["messages"][name] for name in names]


def assert_told(message: dict[str, Any]) -> None:
    """The message is one that the published protocol has."""
    errors = [error.message for error in _validator().iter_errors(message)]
    assert not errors, (message, errors)


def understood(message: str | bytes) -> dict[str, Any] | Points | Array:
    """A message, which must be one that the published protocol has."""
    if isinstance(message, str):
        told = json.loads(message)
        assert_told(told)
        return told
    found = decode(message)
    assert_told(found.header)
    return found


class RawClient:
    """One connection: JSON goes out, messages come in."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}
        self._ids = itertools.count(1)

    async def send(self, kind: str, **fields: Any) -> int:
        """Send a request; its id is chosen here unless given."""
        fields = {"id": next(self._ids)} | fields
        await self.socket.send(json.dumps({"type": kind, **fields}))
        return fields["id"]

    async def receive(self) -> dict[str, Any] | Points | Array:
        """The next message, whatever it is."""
        async with asyncio.timeout(WAIT_S):
            return understood(await self.socket.recv())

    async def until(self, kind: str, **fields: Any) -> list[Any]:
        """All messages up to the first of that type with these fields, which is the last of them."""
        messages: list[Any] = []
        while True:
            message = await self.receive()
            messages.append(message)
            if isinstance(message, dict) and message["type"] == kind and fields.items() <= message.items():
                return messages

    async def answer(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a request and take the one message that answers it, passing over what belongs to subscriptions."""
        number = await self.send(kind, **fields)
        while True:
            message = await self.receive()
            if isinstance(message, dict) and message["id"] == number:
                return message

    async def frame(self, **fields: Any) -> Array:
        """Ask for a frame, and take it."""
        number = await self.send("get_frame", **fields)
        while True:
            message = await self.receive()
            if isinstance(message, Array) and message.header["id"] == number:
                return message
            assert not (isinstance(message, dict) and message["id"] == number), message

    async def rows(self, wanted: int) -> list[Points]:
        """Slices up to the one that ends at that row, passing over control messages."""
        slices: list[Points] = []
        while not slices or slices[-1].first + slices[-1].rows < wanted:
            message = await self.receive()
            if isinstance(message, Points):
                slices.append(message)
        return slices


@asynccontextmanager
async def raw_client(url: str, **options: Any) -> AsyncIterator[RawClient]:
    """Connect and take the welcome."""
    # A client that leaves without having read all does not see that the server closes, either: it need not wait for that.
    waits = {"open_timeout": WAIT_S, "close_timeout": 0.5}
    options = {"subprotocols": [Subprotocol("wpb.v1")], "compression": None, "max_size": None, **waits, **options}
    async with connect(url, **options) as socket:
        client = RawClient(socket)
        welcome = await client.receive()
        assert isinstance(welcome, dict)
        client.welcome = welcome
        yield client


def joined(messages: list[Any], name: str) -> npt.NDArray[Any]:
    """One column of all slices among messages, whose rows must follow each other without a gap."""
    slices = [message for message in messages if isinstance(message, Points)]
    for before, after in itertools.pairwise(slices):
        assert after.first == before.first + before.rows, "rows are missing or double"
    return np.concatenate([piece.columns[name] for piece in slices])
