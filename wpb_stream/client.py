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
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from wpb_stream.core.binary import PointsHeader, decode_binary
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.core.messages import (
    SUBPROTOCOL,
    ErrorMessage,
    NoticeMessage,
    Reply,
    Revised,
    RunInfo,
    RunMessage,
    RunStopped,
    Subscribe,
    Welcome,
    parse_reply,
)
from wpb_stream.core.recipe import Notice
from wpb_stream.core.table import PointTable

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 10.0
"""Reconnecting is tried at growing, random intervals up to this."""
FINAL_CODES = (4400, 4401, 4403)
"""Close codes after which coming back with the same request is pointless."""
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

    @classmethod
    def begin(cls, message: RunMessage, channels: Sequence[str] | None) -> _Held:
        names = [channel.name for channel in message.run.channels if channels is None or channel.name in channels]
        return cls(message.run, message.revision, PointTable(names))

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
        return Update(self.run, self.revision, rows, first_new, tuple(self.notices), self.stopped)


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

    :param url: the feed, e.g. ``ws://127.0.0.1:8000/ws``
    :param run: a run's uid, or ``latest``
    :param channels: names of the channels to get; all if None
    :param max_rate: updates a second at most
    :param token: sent as bearer token, if the server asks for one
    :raises ProtocolError: the server refuses what is asked, e.g. no such run
    :raises ServiceError: the server refuses the connection for good
    """
    held: _Held | None = None
    wait_s = 0.1
    while True:
        try:
            async with connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Authorization": f"Bearer {token}"} if token else None,
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
            ) as socket:
                request = await _subscribe(socket, Subscribe(1, run, list(channels) if channels else None, revision, 0, max_rate), held)
                wait_s = 0.1
                if request.from_row == 0:
                    held = None
                async with aclosing(_updates(socket, request, held, channels)) as updates:
                    async for now_held, first_new in updates:
                        held = now_held
                        yield held.update(first_new)
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code in FINAL_CODES:
                raise ServiceError(f"the feed at {url} closed for good: {error.rcvd.code} {error.rcvd.reason}") from error
            log.info("the feed at %s went away (%s); coming back", url, error)
        except InvalidStatus as error:
            if error.response.status_code < 500:
                raise ServiceError(f"the feed at {url} refused: HTTP {error.response.status_code}") from error
        except (OSError, TimeoutError) as error:
            log.info("the feed at %s cannot be reached (%s); trying again", url, error)
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)


async def _subscribe(socket: ClientConnection, request: Subscribe, held: _Held | None) -> Subscribe:
    """Ask for the run, from the row after the last one held."""
    welcome = parse_reply(str(await socket.recv()))
    # "latest" may be another run by now: rows of the old one must not count for it.
    same = isinstance(welcome, Welcome) and (request.run != "latest" or held is None or welcome.latest == held.run.uid)
    if held is not None and same:
        request = msgspec.structs.replace(request, revision=held.revision, from_row=held.table.rows)
    await socket.send(msgspec.json.encode(request).decode())
    return request


async def _updates(
    socket: ClientConnection, request: Subscribe, held: _Held | None, channels: Sequence[str] | None
) -> AsyncGenerator[tuple[_Held, int], None]:
    """What the server sends on one connection: the state held, and the first row that is new in it."""
    async for message in socket:
        if isinstance(message, str):
            held = _told(parse_reply(message), held, channels, request)
            if held is not None:
                yield held, held.table.rows
        elif held is not None:
            header, columns = decode_binary(message)
            if isinstance(header, PointsHeader) and header.run == held.run.uid and header.revision == held.revision:
                first_new = held.table.rows
                held.append(header, columns)
                yield held, first_new


def _told(reply: Reply, held: _Held | None, channels: Sequence[str] | None, request: Subscribe) -> _Held | None:
    """The state after a control message."""
    match reply:
        case ErrorMessage(code=code, message=text):
            raise ProtocolError(code, text, request.id)
        case RunMessage(run=run) if held is not None and (run.uid, reply.revision, reply.from_row) == (
            held.run.uid,
            held.revision,
            held.table.rows,
        ):
            held.run = run
        case RunMessage():
            if reply.from_row:
                raise ProtocolError("bad_message", f"the server goes on at row {reply.from_row} of a run that is not held")
            return _Held.begin(reply, channels)
        case Revised(revision=name) if held is not None:
            return _Held(held.run, name, PointTable(held.table.channels))
        case NoticeMessage(code=code, message=text) if held is not None:
            notice = Notice(code, text)
            if notice not in held.notices:
                held.notices.append(notice)
        case RunStopped() if held is not None:
            held.stopped = reply
            held.run = msgspec.structs.replace(held.run, status=reply.exit_status, rows=reply.rows)
        case _:
            pass
    return held
