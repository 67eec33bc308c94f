"""A client that holds the feed to its promises: it notes every row, and objects to any that it was not owed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.helpers.rawfeed import WAIT_S, Array, Points, RawClient, understood

PASSING = ("internal", "rate_limited")
"""Codes of errors that are to be asked again after."""
AGAIN_S = 0.02
"""How soon it comes back: a server that is away would otherwise be asked for ever, and nobody else get to anything."""


@dataclass
class Held:
    """What a client has of one run."""

    revision: str
    points: list[Points] = field(default_factory=list[Points])
    rows: int = 0
    status: str | None = None
    """How it ended, once that was told."""

    def map(self, run: dict[str, Any], channel: str) -> npt.NDArray[np.float64]:
        """Its rows scattered over the scan's grid."""
        flat = np.full(int(np.prod(run["shape"])), np.nan)
        for each in self.points:
            flat[each.columns["cell"]] = each.columns[channel]
        return flat.reshape(run["shape"])


class Stranger:
    """One person's client, over all its connections.

    :param target: a run's uid, or ``latest``
    :param pinned: whether it resumes by revision alone, so that it stays with it; else it follows the newest
    """

    def __init__(self, target: str, *, pinned: bool) -> None:
        self.target, self._pinned = target, pinned
        self.runs: dict[str, dict[str, Any]] = {}
        self.held: dict[str, Held] = {}
        self._current: str | None = None
        self._wanted = target
        self._asked_from = 0
        self._revised: tuple[str, str] | None = None
        self._socket: ClientConnection | None = None
        self._left: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self._reading is not None and not self._reading.done()

    async def connect(self, url: str) -> None:
        """Come, or come back: with what is held, if that is still what is wanted."""
        with suppress(OSError, InvalidHandshake, ConnectionClosed):
            self._socket = await connect(url, subprotocols=[Subprotocol("wpb.v1")], compression=None, max_size=None, max_queue=1)
            client = RawClient(self._socket)
            welcome = await client.receive()
            assert isinstance(welcome, dict)
            self._wanted = welcome["latest"] if self.target == "latest" else self.target
            held = self.held.get(self._wanted)
            resumed = {"revision": held.revision, "from_row": held.rows} | ({} if self._pinned else {"follow": True}) if held else {}
            self._asked_from, self._revised = held.rows if held else 0, None
            await client.send("subscribe", run=self.target, max_rate=60, **resumed)
            self._reading = asyncio.ensure_future(self._read(self._socket))

    async def until_gone(self) -> None:
        """Wait until it has heard that its connection is gone."""
        self.stall(on=False)
        if self._reading is not None:
            await asyncio.wait([self._reading])
            self.check()

    def drop(self) -> None:
        """The cable is pulled."""
        self._left = self._socket
        if self._socket is not None:
            self._socket.transport.abort()

    def stall(self, *, on: bool) -> None:
        """Read nothing more, or go on."""
        if self._socket is not None and not self._socket.transport.is_closing():
            (self._socket.transport.pause_reading if on else self._socket.transport.resume_reading)()

    async def _read(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in socket:
                if socket is self._left:
                    return  # what had come by then is none of its any more
                self._take(understood(message))
                self._heard.set()

    def _take(self, message: dict[str, Any] | Points | Array) -> None:
        if isinstance(message, Points):
            return self._rows(message)
        assert isinstance(message, dict)
        match message["type"]:
            case "revised":
                self._revised = message["run"], message["revision"]
            case "run":
                self._run(message)
            case "run_stopped":
                assert self._current == message["run"]
                held = self.held[message["run"]]
                assert message["rows"] == held.rows, "it ended before all its rows were told"
                held.status = message["exit_status"]
            case "error":
                if message["code"] in PASSING:
                    return self.drop()
                if message["code"] == "unknown_run":
                    assert self.target not in self.held, message
                    return self.drop()  # its start document has not been taken in yet
                assert (message["code"], self.target, self._asked_from > 0) == ("bad_message", "latest", True), message
                self._overtaken()

    def _overtaken(self) -> None:
        """A newer run began between the welcome and the request: the rows that were asked for were those of another. Come back."""
        self._asked_from, self._current = 0, None
        self.drop()

    def _run(self, message: dict[str, Any]) -> None:
        uid, revision, from_row = message["run"]["uid"], message["revision"], message["from_row"]
        if self._asked_from and uid != self._wanted:
            return self._overtaken()
        self.runs[uid] = message["run"]
        held = self.held.get(uid)
        described_again = self._current == uid and held is not None and held.revision == revision and from_row == held.rows
        resumed = held is not None and held.revision == revision and from_row == held.rows == self._asked_from and from_row > 0
        if not (described_again or resumed):
            assert from_row == 0, f"rows begin at {from_row}, of which {held} are held"
            if held is not None and self._current == uid:
                assert self._revised == (uid, revision), "rows begin anew under another revision, and it was not said"
            self.held[uid] = Held(revision)
        self._current, self._asked_from, self._revised = uid, 0, None

    def _rows(self, points: Points) -> None:
        held = self.held[points.header["run"]]
        assert points.header["run"] == self._current
        assert points.header["revision"] == held.revision
        assert points.first == held.rows, "rows are missing or double"
        held.points.append(points)
        held.rows += points.rows

    def map(self, uid: str, channel: str) -> npt.NDArray[np.float64]:
        """What it has of a run."""
        return self.held[uid].map(self.runs[uid], channel)

    def check(self) -> None:
        """Raise what it objects to."""
        if self._reading is not None and self._reading.done():
            self._reading.result()

    async def until_ended(self, uid: str, url: str, within_s: float | None = WAIT_S) -> None:
        """Wait until that run is told to its end, and come back as often as that takes.

        :param within_s: seconds that it may take; None if somebody else sees to that
        """
        async with asyncio.timeout(within_s):
            while (held := self.held.get(uid)) is None or held.status is None:
                self.check()
                if self._reading is None or self._reading.done():
                    await asyncio.sleep(AGAIN_S)
                    await self.connect(url)
                    continue
                heard = asyncio.ensure_future(self._heard.wait())
                await asyncio.wait([heard, self._reading], return_when=asyncio.FIRST_COMPLETED)
                heard.cancel()
                self._heard.clear()
