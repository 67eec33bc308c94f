"""Who is let in, and what for: handshakes of websockets, tokens, seats; and plain HTTP beside the feed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from time import monotonic

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import NegotiationError
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response
from websockets.typing import Subprotocol

from wpb_stream.core.access import EVERYTHING, Access, Grant
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.messages import SUBPROTOCOL, Authenticate, parse_request
from wpb_stream.feed.api import Api
from wpb_stream.feed.http import Answer, answer, is_public, refused, same_origin, served_here, unauthorized
from wpb_stream.feed.limits import FeedLimits, Guesses
from wpb_stream.feed.pages import packed, page_of, takes_gzip
from wpb_stream.feed.provider import Provider
from wpb_stream.feed.sent import Sent
from wpb_stream.feed.sight import Sight
from wpb_stream.feed.socket import Socket

log = logging.getLogger(__name__)

RETRY_AFTER_S = 10
"""When a client may come back that found no seat."""
GUESS_AFTER_S = 60
"""The same of one whose address showed too many wrong tokens."""
AUTHENTICATE_TIMEOUT_S = 5.0
"""From the upgrade to the message that shows a token, where one is needed and none came with the handshake."""
SINGLE_HEADERS = ("Host", "Origin", "Upgrade", "Authorization")
"""Headers that are looked at here, which a request has once or not at all."""


class Door:
    """Stands between a request and the feed.

    :param access: whom tokens of the settings let in; may be exchanged
    :param provider: knows tokens that others signed
    :param origins: other web origins whose pages may open the feed
    :param hosts: names that are served here; None for any
    :param static: what is answered to anybody, by path
    :param sight: the runs that may be seen by whoever has a grant
    :param sent: where is counted who is refused
    """

    def __init__(
        self,
        access: Access,
        provider: Provider | None,
        limits: FeedLimits,
        origins: Sequence[str],
        hosts: Collection[str] | None,
        static: Mapping[str, Answer],
        api: Api,
        sight: Callable[[Grant], Sight],
        sent: Sent,
    ) -> None:
        self.access, self._provider, self._guesses = access, provider, Guesses(limits.max_wrong_tokens_per_minute)
        self._origins, self._hosts = tuple(origins), hosts
        self._static, self._packed, self._api, self._sight, self._sent = static, packed(static), api, sight, sent

    async def request(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        """The answer to a request over HTTP; None lets a websocket in."""
        assert isinstance(connection, Socket), "as serve was told"
        answered = await self._request(connection, request)
        return None if answered is None else _response(request.method, answered)

    async def _request(self, socket: Socket, request: HttpRequest) -> Answer | None:
        if twice := next((name for name in SINGLE_HEADERS if len(request.headers.get_all(name)) > 1), None):
            return self._refuse(socket, 400, f"There is more than one header {twice}.")
        if self._hosts is not None and not served_here(request.headers.get("Host"), self._hosts):
            return self._refuse(socket, 403, "This name is not served here; see WPB_VIEWER_URL and WPB_HOSTS.")
        opens = request.path.partition("?")[0] == "/ws" and request.headers.get("Upgrade", "").lower() == "websocket"
        if opens and not same_origin(request.headers.get("Origin"), request.headers.get("Host"), self._origins):
            return self._refuse(socket, 403, "This origin may not open the feed; see WPB_ORIGINS.")
        if not opens and is_public(page_of(request.path), self._static):
            return await self._answer(request, EVERYTHING)
        if self._guesses.too_many(socket.address, monotonic()):
            told = "Too many tokens that are not known came from this address."
            return self._refuse(socket, 429, told, Retry_After=str(GUESS_AFTER_S))
        shown = request.headers.get("Authorization")
        grant = await self._bearer(socket, shown)
        if grant is None:
            # A browser cannot show a token in the handshake; it does so in the first message.
            if shown is None and opens:
                return self._seat(socket, None)
            self.count(socket, "401", "no token that is known")
            return unauthorized()
        if not grant.may("watch"):
            return self._refuse(socket, 403, "This token does not let its owner watch.")
        return self._seat(socket, grant) if opens else await self._answer(request, grant)

    async def _bearer(self, socket: Socket, authorization: str | None) -> Grant | None:
        """What an ``Authorization`` header lets in for; None if it must be another one."""
        scheme, _, token = (authorization or "").partition(" ")
        return await self._token(socket, token.strip()) if scheme.lower() == "bearer" else self.access.anonymous

    async def _token(self, socket: Socket, token: str) -> Grant | None:
        """What a token lets in for; None if it is not known."""
        grant = self.access.grant(token)
        if grant is None and self._provider is not None:
            grant = await self._provider.grant(token)
        if grant is None:
            log.warning("client %s shows a token that is not known", socket.remote_address)
            self._guesses.wrong(socket.address, monotonic())
        return grant

    def _seat(self, socket: Socket, grant: Grant | None) -> Answer | None:
        """Give a client a seat, or tell it that there is none."""
        socket.grant = grant
        refusal = socket.take_seat()
        return None if refusal is None else self._refuse(socket, *refusal, Retry_After=str(RETRY_AFTER_S))

    def _refuse(self, socket: Socket, status: int, told: str, **headers: str) -> Answer:
        """The answer to somebody who is not let in."""
        self.count(socket, str(int(status)), told)
        return refused(status, told, **headers)

    def count(self, socket: Socket, why: str, told: str) -> None:
        """Count and log somebody who is not let in.

        :param why: HTTP status, or close code
        """
        self._sent.refused[why] += 1
        log.info("client %s is refused with %s: %s", socket.remote_address, why, told)

    async def _answer(self, request: HttpRequest, grant: Grant) -> Answer:
        """The answer to a plain request of somebody who was let in."""
        found = await self._api.answer(request.method, request.path, self._sight(grant))
        static = self._packed if takes_gzip(", ".join(request.headers.get_all("Accept-Encoding"))) else self._static
        return found or answer(request.method, page_of(request.path), static)

    async def admit(self, socket: Socket) -> Grant | None:
        """What a client's handshake or else its first message lets it in for; None if neither shows a token that is known, or in time."""
        if socket.grant is None:
            try:
                async with asyncio.timeout(AUTHENTICATE_TIMEOUT_S):
                    request = parse_request(await socket.recv())
            except (TimeoutError, ProtocolError):
                return None
            socket.grant = await self._token(socket, request.token) if isinstance(request, Authenticate) else None
        # Meanwhile others may count.
        return socket.grant if socket.grant is not None and self.access.stands(socket.grant) else None


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
