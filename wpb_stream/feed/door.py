"""Who is let in, and what for: handshakes of websockets, tokens, seats; and plain HTTP beside the feed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response
from websockets.typing import Subprotocol

from wpb_stream.catalogue.results import Results
from wpb_stream.core.access import EVERYTHING, Access, Grant
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.core.messages import SUBPROTOCOL, Authenticate, parse_request
from wpb_stream.feed.api import Api
from wpb_stream.feed.finder import AWAY
from wpb_stream.feed.http import Answer, answer, is_public, plain, preview_of, same_origin, unauthorized
from wpb_stream.feed.limits import Seats
from wpb_stream.feed.sight import Sight

log = logging.getLogger(__name__)

RETRY_AFTER_S = 10
"""When a client may come back that found no seat."""
AUTHENTICATE_TIMEOUT_S = 5.0
"""From the upgrade to the message that shows a token, where one is needed and none came with the handshake."""
SINGLE_HEADERS = ("Host", "Origin", "Upgrade", "Authorization")
"""Headers that are looked at here, which a request has once or not at all."""


class Socket(ServerConnection):
    """A client's websocket, which knows what it was let in for."""

    grant: Grant | None = None
    """None while no token was shown that is needed."""
    leave: Callable[[], None] | None = None
    """Called once it is gone."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whether it was ever opened or not."""
        super().connection_lost(exc)
        if self.leave is not None:
            self.leave()


class Door:
    """Stands between a request and the feed.

    :param access: whom tokens let in
    :param origins: other web origins whose pages may open the feed
    :param static: what is answered to anybody, by path
    :param sight: the runs that may be seen by whoever has a grant
    """

    def __init__(
        self,
        access: Access,
        seats: Seats,
        origins: Sequence[str],
        static: Mapping[str, Answer],
        results: Results,
        api: Api,
        sight: Callable[[Grant], Sight],
    ) -> None:
        self._access, self._seats, self._origins = access, seats, tuple(origins)
        self._static, self._results, self._api, self._sight = static, results, api, sight

    async def request(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        """The answer to a request over HTTP; None lets a websocket in."""
        assert isinstance(connection, Socket), "as serve was told"
        if twice := next((name for name in SINGLE_HEADERS if len(request.headers.get_all(name)) > 1), None):
            return connection.respond(HTTPStatus.BAD_REQUEST, f"There is more than one header {twice}.\n")
        shown = request.headers.get("Authorization")
        grant = self._access.bearer(shown)
        if request.path.partition("?")[0] == "/ws" and request.headers.get("Upgrade", "").lower() == "websocket":
            if not same_origin(request.headers.get("Origin"), request.headers.get("Host"), self._origins):
                return connection.respond(HTTPStatus.FORBIDDEN, "This origin may not open the feed; see WPB_ORIGINS.\n")
            if grant is None and shown is not None:
                log.warning("client %s shows a token that is not known", connection.remote_address)
                return _response(request.method, unauthorized())
            connection.grant = grant
            return self._seated(connection)
        if is_public(request.path, self._static):
            grant = EVERYTHING
        if grant is None:
            return _response(request.method, unauthorized())
        return _response(request.method, await self._answer(request.method, request.path, self._sight(grant)))

    def _seated(self, connection: Socket) -> Response | None:
        """Give a client a seat, or tell it that there is none."""
        address = str(connection.remote_address[0])
        if (refusal := self._seats.refusal(address)) is not None:
            refused = connection.respond(*refusal)
            refused.headers["Retry-After"] = str(RETRY_AFTER_S)
            return refused
        self._seats.take(address)
        connection.leave = partial(self._seats.leave, address)
        return None

    async def _answer(self, method: str, target: str, sight: Sight) -> Answer:
        """The answer to a plain request of somebody who was let in."""
        if (found := await self._api.answer(method, target, sight)) is not None:
            return found
        asked = (method, target, self._static, self._results)
        uid = preview_of(target)
        if uid is None:
            # No thread where none is needed: the page and the sign of life must not wait for those who use all threads.
            return answer(*asked)
        try:
            await sight.check(uid)
        except ProtocolError as error:
            return plain(404, "text/plain", f"{error}\n".encode())
        except ServiceError:
            return plain(503, "text/plain", f"{AWAY}\n".encode())
        return await asyncio.to_thread(answer, *asked)

    async def grant(self, socket: Socket) -> Grant | None:
        """What a client's handshake or else its first message lets it in for; None if neither shows a token that is known, or in time."""
        if socket.grant is not None:
            return socket.grant
        try:
            async with asyncio.timeout(AUTHENTICATE_TIMEOUT_S):
                request = parse_request(await socket.recv())
        except (TimeoutError, ProtocolError):
            return None
        return self._access.grant(request.token) if isinstance(request, Authenticate) else None


def select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The feed's subprotocol for a client that offers it.

    :raises NegotiationError: others alone are offered
    """
    if offered and SUBPROTOCOL not in offered:
        raise NegotiationError(f"only the subprotocol {SUBPROTOCOL} is spoken here")
    # A client that offers none must not be answered with one: it would take that for an error.
    return Subprotocol(SUBPROTOCOL) if offered else None


def _response(method: str, answer: Answer) -> Response:
    status, headers, body = answer
    return Response(status, HTTPStatus(status).phrase, Headers(headers), b"" if method == "HEAD" else body)
