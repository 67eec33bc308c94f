"""The Python client of the feed: watch a run grow, as numpy arrays.

::

    async for update in watch("ws://127.0.0.1:8000/ws", run="latest"):
        print(update.rows, update.map("total"))
        if update.stopped:
            break

In ordinary code that is ``for update in watch_sync(...)``. Both reconnect by themselves and resume where they were; an update tells all
that is known, not only what is new.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
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
    Reprocess,
    Reprocessing,
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
from wpb_stream.update import Update as Update
from wpb_stream.watching import BlockingWatching, Watching

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


def watch(
    url: str,
    run: str = "latest",
    *,
    channels: Sequence[str] | None = None,
    revision: str = "newest",
    max_rate: float = 20.0,
    token: str | None = None,
) -> Watching:
    """Watch a run; never ends by itself, as ``latest`` moves on to the next run and a run may be revised.

    ``async for update in watch(...)``, or ``watch(...).show()`` for a picture in a notebook. A server that is away, restarts or has a
    difficulty of its own is asked again, at growing intervals.

    :param url: the feed, e.g. ``ws://127.0.0.1:8000/ws``
    :param run: a run's uid, or ``latest``
    :param channels: names of the channels to get, of which a later run that ``latest`` moves on to may lack some; all if None
    :param max_rate: updates a second at most
    :param token: sent as bearer token, if the server asks for one
    :raises ProtocolError: the server refuses what is asked, e.g. no such run
    :raises ServiceError: the server refuses the connection for good
    """
    return Watching(lambda rate: _updates(url, token, Follower(run, channels, revision, rate)), max_rate)


def watch_sync(
    url: str,
    run: str = "latest",
    *,
    channels: Sequence[str] | None = None,
    revision: str = "newest",
    max_rate: float = 20.0,
    token: str | None = None,
) -> BlockingWatching:
    """What :func:`watch` gives, for an ordinary ``for`` loop, also where an event loop runs already, as in a notebook."""
    return BlockingWatching(watch(url, run, channels=channels, revision=revision, max_rate=max_rate, token=token))


async def _updates(url: str, token: str | None, follower: Follower) -> AsyncGenerator[Update, None]:
    wait_s = FIRST_WAIT_S
    while True:
        try:
            async with _connected(url, token) as socket:
                try:
                    async for message in socket:
                        update = follower.receive(message)
                        for request in follower.to_send():
                            await socket.send(request)
                        if update is not None:
                            wait_s = FIRST_WAIT_S
                            yield update
                finally:
                    await socket.close()  # as planned, also when the one who iterates leaves
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code in FINAL_CODES:
                raise ServiceError(f"the feed at {url} closed for good: {error.rcvd.code} {error.rcvd.reason}") from error
            log.info("the feed at %s went away (%s); coming back", url, error)
        except ProtocolError as error:
            if error.code not in PASSING_CODES:
                raise
            log.warning("the feed at %s has a difficulty (%s); trying again", url, error)
        except InvalidStatus as error:
            if error.response.status_code < 500 and error.response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
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
    answer = await _answer(url, token, GetFrame(1, run, point, data_key, max_size))
    assert isinstance(answer, bytes), "an array, as the protocol says"
    _, arrays = decode_binary(answer)
    return next(iter(arrays.values()))


async def reprocess(url: str, run: str, recipe: Mapping[str, Any] | None = None, *, token: str | None = None) -> Reprocessing:
    """Have a run that is over made again, with other regions say; whoever watches it is shown the new revision once it is there.

    ::

        begun = await reprocess("ws://127.0.0.1:8000/ws", uid, {"regions": {"red": {"rows": [0, 400]}}})
        print(begun.link)

    :param url: the feed, e.g. ``ws://127.0.0.1:8000/ws``
    :param run: its uid, or ``latest``
    :param recipe: counts over the ``wpb`` entry of its start document, key by key
    :param token: with scope ``admin``, if the server asks for one
    :returns: which Dagster run does it, and where its page is
    :raises ProtocolError: it is not allowed, there is no such run, the recipe asks for the impossible, or Dagster is away (``internal``)
    :raises ServiceError: the server refuses the connection, or cannot be reached
    """
    answer = await _answer(url, token, Reprocess(1, run, dict(recipe or {})))
    assert isinstance(answer, Reprocessing), "as the protocol says"
    return answer


async def _answer(url: str, token: str | None, request: GetFrame | Reprocess) -> Reply | bytes:
    """The answer to one request, over a connection of its own.

    :raises ProtocolError: it is refused
    :raises ServiceError: the server refuses the connection, or cannot be reached
    """
    try:
        async with _connected(url, token, max_bytes=None) as socket:  # as large as a frame is
            await socket.send(msgspec.json.encode(request).decode())
            while True:
                message = await socket.recv()
                reply = message if isinstance(message, bytes) else parse_reply(message)
                if isinstance(reply, ErrorMessage):
                    raise ProtocolError(reply.code, reply.message, reply.id)
                if not isinstance(reply, Welcome):
                    return reply
    except ConnectionClosed as error:
        raise ServiceError(f"the feed at {url} closed before it answered ({error})") from error
    except InvalidStatus as error:
        raise ServiceError(f"the feed at {url} refused: HTTP {error.response.status_code}") from error
    except (InvalidHandshake, OSError, TimeoutError) as error:
        raise ServiceError(f"the feed at {url} cannot be reached ({error})") from error


def _connected(url: str, token: str | None, max_bytes: int | None = MAX_MESSAGE_BYTES) -> connect:
    headers = {"Authorization": f"Bearer {token}"} if token else None
    offered = [Subprotocol(SUBPROTOCOL)]
    return connect(url, subprotocols=offered, additional_headers=headers, compression=None, max_size=max_bytes, logger=_wire)
