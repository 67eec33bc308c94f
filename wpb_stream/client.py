"""The Python client of the feed: watch a run grow, as numpy arrays.

::

    async for update in watch("ws://127.0.0.1:8000/ws", run="latest"):
        print(update.rows, update.map("total"))
        if update.stopped:
            break

It reconnects by itself and resumes where it was; an update tells all that is known, not only what is new.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from wpb_stream.core.binary import PointsHeader, decode_binary
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.core.limits import Limits
from wpb_stream.core.messages import (
    SUBPROTOCOL,
    ErrorMessage,
    GetFrame,
    NoticeMessage,
    Reply,
    Revised,
    RunInfo,
    RunMessage,
    RunStopped,
    Subscribe,
    Unsubscribe,
    Welcome,
    parse_reply,
)
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable
from wpb_stream.publishing import Publisher as Publisher

log = logging.getLogger(__name__)
_wire = logging.getLogger(f"{__name__}.wire")
_wire.setLevel(logging.INFO)  # below, the library logs headers whole, and the token with them

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 10.0
"""Reconnecting is tried at growing, random intervals between these."""
FINAL_CODES = (4400, 4401, 4403)
"""Close codes after which coming back with the same request is pointless."""
PASSING_CODES = ("internal", "rate_limited")
"""Error codes of a difficulty of the server's own: the same request may be served later."""
MAX_MESSAGE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Update:
    """All that is known of the watched run at one moment."""

    run: RunInfo
    revision: str
    table: PointTable
    """Every row so far."""
    first_new: int
    """The first row that was not in the update before."""
    notices: tuple[Notice, ...] = ()
    stopped: RunStopped | None = None
    """How the run ended, once it has and all its rows are here."""
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict[str, npt.NDArray[Any]])
    """The latest version of each array that came: ``mean_frame``, ``sum_spectrum``, ...; ``run.arrays`` names those that may come."""
    limits: Mapping[str, Limits] = field(default_factory=dict[str, Limits])
    """Of each channel, as the server tells them with the rows: lowest and highest value, and percentiles."""

    @property
    def rows(self) -> int:
        """Rows so far."""
        return self.table.rows

    @property
    def new(self) -> npt.NDArray[np.void]:
        """The rows that came with this update, a structured array."""
        return self.table.data[self.first_new :]

    def map(self, channel: str) -> npt.NDArray[np.float64]:
        """One channel as a map of the run's shape; NaN where nothing has been measured."""
        return self.table.maps(self.run.shape)[channel]


@dataclass(slots=True)
class _Held:
    """What the client holds of the run it follows."""

    run: RunInfo
    revision: str
    table: PointTable
    notices: list[Notice] = field(default_factory=list[Notice])
    stopped: RunStopped | None = None
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict[str, npt.NDArray[Any]])
    limits: Mapping[str, Limits] = field(default_factory=dict[str, Limits])

    @classmethod
    def begin(cls, message: RunMessage, channels: Sequence[str] | None) -> _Held:
        names = [channel.name for channel in message.run.channels if channels is None or channel.name in channels]
        return cls(message.run, message.revision, PointTable(names))

    def describe(self, run: RunInfo, channels: Sequence[str] | None) -> None:
        """The run is described anew; while it has no rows, its channels may be others than before."""
        self.run = run
        if not self.table.rows:
            self.table = _Held.begin(RunMessage(0, run, self.revision, 0), channels).table

    def append(self, header: PointsHeader, columns: dict[str, npt.NDArray[np.generic]]) -> None:
        if header.first_row != self.table.rows:
            raise ProtocolError("bad_message", f"rows {header.first_row}... came while {self.table.rows} are held: a gap")
        values = np.empty((header.rows, len(self.table.channels)))
        for column, name in enumerate(self.table.channels):
            values[:, column] = columns[name]
        self.table.append(columns["point"], columns["cell"], values)

    def update(self, first_new: int) -> Update:
        # A view of the rows so far: an update that somebody keeps stays as it was.
        rows = PointTable.from_array(self.table.data)
        return Update(self.run, self.revision, rows, first_new, tuple(self.notices), self.stopped, dict(self.arrays), self.limits)


class Follower:
    """Follows one run, or the latest, through the messages of the feed: what to ask, and what is known. Does no IO.

    Give it every message of every connection, in order, and send what :meth:`to_send` gives after each.
    """

    def __init__(
        self, run: str = "latest", channels: Sequence[str] | None = None, revision: str = "newest", max_rate: float = 20.0
    ) -> None:
        self._wanted = Subscribe(0, run, None if channels is None else list(channels), revision, 0, max_rate)
        self._asked = self._wanted
        self._held: _Held | None = None
        self._to_send: list[str] = []

    def to_send(self) -> list[str]:
        """The requests to be sent now; each is given once."""
        requests, self._to_send = self._to_send, []
        return requests

    def receive(self, message: str | bytes) -> Update | None:
        """Take a message; gives all that is known if the message changed it.

        :raises ProtocolError: the server refuses what is asked (with its code), or sends what does not fit together
        """
        if isinstance(message, str):
            return self._control(parse_reply(message))
        header, columns = decode_binary(message)
        held = self._held
        if held is None or header.id != self._asked.id or (header.run, header.revision) != (held.run.uid, held.revision):
            return None
        first_new = held.table.rows
        if isinstance(header, PointsHeader):
            held.append(header, columns)
            held.limits = header.limits or {}
        else:
            held.arrays |= columns
        return held.update(first_new)

    def _ask(self, held: _Held | None) -> None:
        """Subscribe, from the row after the last one held."""
        self._held = held
        self._asked = msgspec.structs.replace(self._wanted, id=self._asked.id + 1)
        if held is not None:
            follow = self._wanted.revision == "newest"
            self._asked = msgspec.structs.replace(self._asked, revision=held.revision, from_row=held.table.rows, follow=follow)
        self._to_send.append(msgspec.json.encode(self._asked).decode())

    def _control(self, reply: Reply) -> Update | None:
        held = self._held
        match reply:
            case Welcome(latest=latest):
                # "latest" may be another run by now: rows of the old one must not count for it.
                same = held is not None and held.table.rows > 0 and (self._wanted.run != "latest" or latest == held.run.uid)
                self._ask(held if same else None)
                return None
            case ErrorMessage(id=None, code=code, message=text):
                raise ProtocolError(code, text, self._asked.id)
            case _ if reply.id != self._asked.id:
                return None  # of a subscription that was given up
            case ErrorMessage():
                return self._refused(reply)
            case RunMessage():
                return self._begin(reply)
            case Revised() if held is not None and reply.run == held.run.uid:
                self._held = held = _Held(held.run, reply.revision, PointTable(held.table.channels))
            case NoticeMessage(code=code, message=text) if held is not None:
                notice = Notice(code, text)
                if notice in held.notices:
                    return None
                held.notices.append(notice)
            case RunStopped() if held is not None:
                held.stopped = reply
                held.run = msgspec.structs.replace(held.run, status=reply.exit_status, rows=reply.rows)
            case _:
                return None
        return held.update(held.table.rows)

    def _refused(self, error: ErrorMessage) -> None:
        if not self._asked.from_row or error.code not in ("unknown_revision", "bad_message"):
            raise ProtocolError(error.code, error.message, error.id)
        self._ask(None)  # what is held here is not there any more

    def _begin(self, message: RunMessage) -> Update | None:
        held = self._held
        if held is not None and (message.run.uid, message.revision, message.from_row) == (held.run.uid, held.revision, held.table.rows):
            held.describe(message.run, self._wanted.channels)
        elif not message.from_row:
            self._held = held = _Held.begin(message, self._wanted.channels)
        elif self._asked.from_row:
            # A newer run began between the welcome and the request: the row to go on from was the older run's.
            self._to_send.append(msgspec.json.encode(Unsubscribe(self._asked.id)).decode())
            self._ask(None)
            return None
        else:
            raise ProtocolError("bad_message", f"the server began at row {message.from_row} of a run that is not held", message.id)
        return held.update(held.table.rows)


async def watch(
    url: str,
    run: str = "latest",
    *,
    channels: Sequence[str] | None = None,
    revision: str = "newest",
    max_rate: float = 20.0,
    token: str | None = None,
) -> AsyncGenerator[Update, None]:
    """Watch a run; never ends by itself, as ``latest`` moves on to the next run and a run may be revised.

    A server that is away, restarts or has a difficulty of its own is asked again, at growing intervals.

    :param url: the feed, e.g. ``ws://127.0.0.1:8000/ws``
    :param run: a run's uid, or ``latest``
    :param channels: names of the channels to get, of which a later run that ``latest`` moves on to may lack some; all if None
    :param max_rate: updates a second at most
    :param token: sent as bearer token, if the server asks for one
    :raises ProtocolError: the server refuses what is asked, e.g. no such run
    :raises ServiceError: the server refuses the connection for good
    """
    follower = Follower(run, channels, revision, max_rate)
    wait_s = FIRST_WAIT_S
    while True:
        try:
            async with _connected(url, token) as socket:
                async for message in socket:
                    update = follower.receive(message)
                    for request in follower.to_send():
                        await socket.send(request)
                    if update is not None:
                        wait_s = FIRST_WAIT_S
                        yield update
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code in FINAL_CODES:
                raise ServiceError(f"the feed at {url} closed for good: {error.rcvd.code} {error.rcvd.reason}") from error
            log.info("the feed at %s went away (%s); coming back", url, error)
        except ProtocolError as error:
            if error.code not in PASSING_CODES:
                raise
            log.warning("the feed at %s has a difficulty (%s); trying again", url, error)
        except InvalidStatus as error:
            if error.response.status_code < 500:
                raise ServiceError(f"the feed at {url} refused: HTTP {error.response.status_code}") from error
        except (InvalidHandshake, OSError, TimeoutError) as error:
            # A server that ends in the middle of the handshake leaves half an answer behind.
            log.info("the feed at %s cannot be reached (%s); trying again", url, error)
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


async def frame(
    url: str, run: str, point: int, *, data_key: str | None = None, max_size: tuple[int, int] | None = None, token: str | None = None
) -> npt.NDArray[Any]:
    """The detector's frame of one point of a run, shape (rows, columns).

    :param url: the feed, e.g. ``ws://127.0.0.1:8000/ws``
    :param point: its number in the scan, from 0
    :param data_key: of the detector; the one that is reconstructed if None
    :param max_size: rows, columns: a larger frame is made smaller by the means of whole blocks of pixels; as it is if None
    :raises ProtocolError: there is no such frame, or it cannot be read
    """
    async with _connected(url, token, max_bytes=None) as socket:  # as large as it is
        await socket.send(msgspec.json.encode(GetFrame(1, run, point, data_key, max_size)).decode())
        async for message in socket:
            if isinstance(message, bytes):
                _, arrays = decode_binary(message)
                return next(iter(arrays.values()))
            reply = parse_reply(message)
            if isinstance(reply, ErrorMessage):
                raise ProtocolError(reply.code, reply.message, reply.id)
    raise ServiceError(f"the feed at {url} closed before the frame came")


def _connected(url: str, token: str | None, max_bytes: int | None = MAX_MESSAGE_BYTES) -> connect:
    headers = {"Authorization": f"Bearer {token}"} if token else None
    offered = [Subprotocol(SUBPROTOCOL)]
    return connect(url, subprotocols=offered, additional_headers=headers, compression=None, max_size=max_bytes, logger=_wire)
