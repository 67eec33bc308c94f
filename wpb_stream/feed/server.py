"""The websocket server of the feed: ``wpb.v1`` at ``/ws``, the viewer at ``/``.

Each client has a task that reads its requests and one task a subscription. A client that does not take what it is sent within a bound is
cut off.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from ssl import SSLContext
from time import monotonic, time
from uuid import uuid4

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from wpb_stream.catalogue.results import Results
from wpb_stream.changes import Changes
from wpb_stream.core.access import EVERYTHING, Access, Grant
from wpb_stream.core.binary import encode_array
from wpb_stream.core.board import Board
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.core.messages import (
    CLOSE_NOT_ALLOWED,
    CLOSE_NOT_AUTHENTICATED,
    CLOSE_RESTART,
    Authenticate,
    GetFrame,
    ListRuns,
    Ping,
    Pong,
    Reprocess,
    RunAgain,
    RunsMessage,
    Subscribe,
    Unsubscribe,
    Unsubscribed,
    Welcome,
    encode_reply,
    parse_request,
)
from wpb_stream.feed import asyncapi, openapi
from wpb_stream.feed.again import Again
from wpb_stream.feed.api import Api
from wpb_stream.feed.connection import SEND_TIMEOUT_S, Connection
from wpb_stream.feed.door import Door, select_subprotocol
from wpb_stream.feed.errands import Errand, Errands, error_of
from wpb_stream.feed.finder import Finder, conditions_of
from wpb_stream.feed.following import Following
from wpb_stream.feed.frames import Frames
from wpb_stream.feed.http import plain
from wpb_stream.feed.limits import Allowance, FeedLimits, Seats
from wpb_stream.feed.metrics import Metrics
from wpb_stream.feed.pages import viewer_files
from wpb_stream.feed.places import Places
from wpb_stream.feed.provider import Provider
from wpb_stream.feed.remaking import Remaking
from wpb_stream.feed.sent import Sent
from wpb_stream.feed.sight import Sight
from wpb_stream.feed.socket import Socket

log = logging.getLogger(__name__)
wire = logging.getLogger(f"{__name__}.wire")
wire.setLevel(logging.INFO)  # below, the library logs headers and messages whole, and tokens with them

FRAME = "frame"
"""Name of the array that is a frame."""
ANSWER_TIMEOUT_S = 60.0
"""From a connection to its upgrade, or to the answer of a plain request: a catalogue that is away takes 10 s, a large map more."""
CLOCK_S = 60.0
"""How often the clock is looked at for what expires: it may be set meanwhile."""


class Feed:
    """Serves the board and the catalogue to any number of clients.

    :param origins: other web origins whose pages may open the feed
    :param embed_origins: other web origins whose pages may show the viewer in a frame
    :param access: whom tokens of the settings let in; anybody, to watch, by default
    :param provider: knows tokens that others signed
    :param hosts: names that are served here; any by default
    :param limits: what clients may ask for at most
    :param hindrance: gives why clients are better served elsewhere, if they are: a sentence
    :param remaking: has runs made again; none can be by default
    :param again: has their plans run again; none can be by default
    :param dagster: Dagster's web server, as browsers reach it, for links to its pages; None where there is none
    :param compression: whether messages are compressed for clients that offer it
    """

    def __init__(
        self,
        board: Board,
        finder: Finder,
        results: Results,
        frames: Frames,
        version: str,
        origins: Sequence[str] = (),
        access: Access | None = None,
        provider: Provider | None = None,
        hosts: Collection[str] | None = None,
        limits: FeedLimits | None = None,
        hindrance: Callable[[], str | None] = lambda: None,
        remaking: Remaking | None = None,
        again: Again | None = None,
        *,
        embed_origins: Sequence[str] = (),
        dagster: str | None = None,
        compression: bool = False,
    ) -> None:
        self._board, self._finder, self._frames, self._remaking, self._version = board, finder, frames, remaking, version
        self._places, self._sent, self._changes = Places(), Sent(), Changes()
        self._following = Following(board, self._changes, self._places, self._sent)
        self._again, self._dagster, self._compression = again, dagster, compression
        self._limits = limits or FeedLimits()
        published = {"/asyncapi.json": asyncapi.document(version), "/openapi.json": openapi.document(version)}
        answers = {path: plain(200, "application/json", msgspec.json.encode(document)) for path, document in published.items()}
        self._door = Door(
            access or Access(anonymous=EVERYTHING),
            provider,
            self._limits,
            origins,
            hosts,
            {**viewer_files(embed_origins), **answers},
            Api(Metrics(board, self._sent, self._places, version), results, hindrance, frames.detectors, remaking),
            self._sight,
            self._sent,
        )
        self._sockets = set[Socket]()
        """Of the clients that were let in."""
        board.watch(self._changes.tell)

    async def admit(self, access: Access) -> None:
        """From now on these tokens let in; whoever was let in by others goes, and may come back if the token is to let in otherwise."""
        self._door.access = access
        async with asyncio.TaskGroup() as tasks:
            for socket in self._sockets:
                grant = socket.grant
                if grant is not None and not access.stands(grant):
                    known = access.knows(grant)
                    code, why = (CLOSE_RESTART, "the token was changed") if known else (CLOSE_NOT_AUTHENTICATED, "the token was taken back")
                    log.info("client %s, let in as %s, is closed: %s", socket.remote_address, grant.name, why)
                    tasks.create_task(socket.close(code, why))

    def _sight(self, grant: Grant) -> Sight:
        return Sight(grant, self._board, self._finder)

    def revised(self, runs: Collection[str]) -> None:
        """These runs have new revisions in the catalogue: whoever follows the newest of one of them is moved to it."""
        if self._places.revised(runs):
            self._changes.tell()

    @asynccontextmanager
    async def serve(self, host: str, port: int, tls: SSLContext | None = None) -> AsyncIterator[Server]:
        """Serve on that address while the context lasts; clients are then told to come back.

        :param tls: to serve https and wss
        :raises ServiceError: the address cannot be listened on
        """
        try:
            server = await serve(
                self._client,
                host,
                port,
                select_subprotocol=select_subprotocol,
                process_request=self._door.request,
                # A function serves as the class it is asked for.
                create_connection=partial(Socket, Seats(self._limits), self._sent, tls),  # pyright: ignore[reportArgumentType]
                logger=wire,
                compression="deflate" if self._compression else None,
                max_size=self._limits.max_message_bytes,
                server_header=None,
                open_timeout=ANSWER_TIMEOUT_S,
            )
        except OSError as error:
            raise ServiceError(f"cannot listen on {host}:{port} ({error.strerror or error}); give another address with --listen") from error
        try:
            yield server
        finally:
            server.close(code=CLOSE_RESTART, reason="the server restarts")
            await server.wait_closed()

    async def _client(self, socket: ServerConnection) -> None:
        assert isinstance(socket, Socket), "as serve was told"
        self._sent.clients += 1
        try:
            grant = await self._door.admit(socket)
            if grant is None:
                return await self._turn_away(socket, CLOSE_NOT_AUTHENTICATED, "a token is needed")
            if not grant.may("watch"):
                return await self._turn_away(socket, CLOSE_NOT_ALLOWED, "this token does not let its owner watch")
            log.debug("client %s is let in as %s", socket.remote_address, grant.name)
            self._sockets.add(socket)
            await self._attend(socket, grant)
        except* ConnectionClosed:
            pass
        except* TimeoutError:
            self._sent.cut_off += 1
            log.info("client %s takes nothing for %g s: cut off", socket.remote_address, SEND_TIMEOUT_S)
        finally:
            self._sockets.discard(socket)
            self._sent.clients -= 1

    async def _turn_away(self, socket: Socket, code: int, told: str) -> None:
        self._door.count(socket, str(code), told)
        await socket.close(code, told)

    async def _attend(self, socket: Socket, grant: Grant) -> None:
        """Serve a client that was let in, until it goes or what it was let in for expires."""
        client, following, sight = Connection(socket, self._sent), dict[int, asyncio.Task[None]](), self._sight(grant)
        allowance = Allowance(self._limits.max_requests_per_s, monotonic())
        async with asyncio.TaskGroup() as tasks:
            errands = Errands(client, tasks)
            expiring = None if grant.expires is None else tasks.create_task(_close_at(socket, grant.expires))
            may = [scope for scope in ("watch", "admin") if grant.may(scope)]
            about = {"scopes": may, "dagster": self._dagster, "blueapi": self._again is not None}
            await client.tell(Welcome(self._version, uuid4().hex, _now(), await self._latest(sight), **about))
            async for text in socket:
                await self._serve_request(client, sight, text, following, errands, tasks, allowance)
            for task in (*following.values(), *filter(None, [expiring])):
                task.cancel()

    async def _latest(self, sight: Sight) -> str | None:
        """The latest run, as the welcome tells it: it is a hint, and no reason to keep anybody waiting for the catalogue to come back."""
        try:
            return await sight.latest()
        except ServiceError as error:
            log.warning("%s", error)
            return None

    async def _serve_request(
        self,
        client: Connection,
        sight: Sight,
        text: str | bytes,
        following: dict[int, asyncio.Task[None]],
        errands: Errands,
        tasks: asyncio.TaskGroup,
        allowance: Allowance,
    ) -> None:
        request_id = None
        try:
            allowed = allowance.take(monotonic())
            request = parse_request(text)
            request_id = request.id
            if not allowed:
                told = f"At most {self._limits.max_requests_per_s:g} requests a second; ask again a little later."
                raise ProtocolError("rate_limited", told)
            match request:
                case Authenticate():
                    pass  # whoever is let in already need not show a token
                case Subscribe():
                    _drop_ended(following)
                    if request.id in following:
                        raise ProtocolError(
                            "bad_message", f"Subscription {request.id} is still open; unsubscribe it first, or take another id."
                        )
                    if len(following) >= self._limits.max_subscriptions:
                        raise ProtocolError(
                            "too_many_subscriptions", f"At most {self._limits.max_subscriptions} subscriptions a connection."
                        )
                    following[request.id] = tasks.create_task(self._following.follow(client, sight, request))
                case Unsubscribe(wanted):
                    task = following.pop(wanted, None)
                    if task is not None:
                        task.cancel()
                    await client.tell(Unsubscribed(wanted))
                case ListRuns() | GetFrame() | Reprocess() | RunAgain():
                    errands.begin(request, partial(self._answer, sight, request))
                case Ping(wanted):
                    await client.tell(Pong(wanted, _now()))
        except (ProtocolError, ServiceError) as error:
            await client.tell(error_of(error, request_id))

    async def _answer(self, sight: Sight, request: Errand) -> str | bytes:
        match request:
            case ListRuns():
                return encode_reply(await self._runs(sight, request))
            case GetFrame():
                return await self._look(sight, request)
            case Reprocess():
                if self._remaking is None:
                    raise ProtocolError("internal", "No Dagster is known here that could make runs again.")
                return encode_reply(await self._remaking.begin(request, sight))
            case RunAgain():
                if self._again is None:
                    raise ProtocolError("internal", "No blueapi is known here that could run plans again: set WPB_BLUEAPI_URL.")
                return encode_reply(await self._again.answer(request, sight))

    async def _runs(self, sight: Sight, request: ListRuns) -> RunsMessage:
        found = await sight.runs(**conditions_of(request))
        before = str(found[-1][0]) if len(found) == request.limit else None
        return RunsMessage(request.id, [run for _, run in found], before)

    async def _look(self, sight: Sight, request: GetFrame) -> bytes:
        if request.run == "latest" and (latest := await sight.latest()) is not None:
            request = msgspec.structs.replace(request, run=latest)
        await sight.check(request.run)
        looked = await self._frames.of(request)
        live = self._board.live.get(request.run)
        about = {"run": request.run, "revision": live.revision if live else "", "name": FRAME, "version": 1}
        full_shape = None if looked.values.shape == looked.shape else looked.shape
        return encode_array(looked.values, subscription=request.id, **about, full_shape=full_shape)


async def _close_at(socket: Socket, expires: float) -> None:
    """Close a connection at that time, in seconds since 1970."""
    while (left_s := expires - time()) > 0:
        await asyncio.sleep(min(left_s, CLOCK_S))
    await socket.close(CLOSE_NOT_AUTHENTICATED, "the token has expired")


def _drop_ended(following: dict[int, asyncio.Task[None]]) -> None:
    for subscription in [number for number, task in following.items() if task.done()]:
        del following[subscription]


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
