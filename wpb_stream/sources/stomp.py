"""STOMP: the topics blueapi publishes on, over RabbitMQ or ActiveMQ.

STOMP numbers nothing, so messages are numbered here, on from the position in the catalogue. The broker keeps each until it is
acknowledged, and that is done once it is in the catalogue: what was on its way when somebody fell over comes again, and the catalogue drops
what it has already.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from secrets import token_hex
from time import monotonic
from typing import Any, Self

from wpb_stream.core.documents import Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources.stomp_connection import StompConnection
from wpb_stream.sources.stomp_frames import Frame
from wpb_stream.sources.stomp_settings import StompAddress, StompOptions

log = logging.getLogger(__name__)

PREFETCH = 500
"""Messages of a destination that the broker hands out ahead of our acknowledgements: bounds what lies in memory, not yet stored."""
CONFIRM_S = 30.0
"""How long the broker may take to confirm that it listens for us."""
TOPICS = ("/topic/", "/exchange/")
"""Destinations where the broker keeps nothing for those who are away, unless it is asked to."""


class StompSource:
    """Listens to destinations of one broker. May be entered again after it was left: that connects anew.

    :param name: what the broker keeps durable subscriptions under, unless the options name them; nobody else may use it, for the
        broker would share the messages out between both
    :param options: see `StompOptions`
    :raises ServiceError: the URL or the options are wrong
    """

    def __init__(self, url: str, *, name: str = "wpb", options: Mapping[str, Any] | None = None) -> None:
        self.address, self.url = StompAddress.parse(url), url
        self._options = StompOptions.parse(options or {}, tls=self.address.tls)
        self._name = self._options.subscription or name
        self.identity = f"stomp:{self.address}" + (f"/{self._options.vhost}" if self._options.vhost else "")
        # Kept from connection to connection: what of the last one is not stored yet must not share its position with what comes now.
        self._next: dict[str, int] = {}
        self._unstored: dict[str, deque[tuple[int, str]]] = {}

    async def __aenter__(self) -> Self:
        self._unstored = {destination: deque() for destination in self.address.destinations}
        self._connection = await StompConnection.open(self.address, self._options)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        """Messages as they come, each destination a partition; see :class:`wpb_stream.sources.Source`.

        :raises ServiceError: the broker went away, or refuses what we ask for; enter the source anew
        """
        for destination in self.address.destinations:
            self._next[destination] = max(positions.get(destination, 0), self._next.get(destination, 0))
        if self._options.durable and self._connection.server.startswith("ActiveMQ"):
            # Not at first: it lets one connection use a client id, and `wpb doctor` connects while we listen.
            await self._connection.close()
            self._connection = await StompConnection.open(self.address, self._options, client_id=self._name)
        self._subscribe(self.address.destinations)
        while True:
            batch: list[Message] = []
            refused: Frame | None = None
            for frame in await self._connection.receive():
                match frame.command:
                    case "MESSAGE":
                        batch.append(self._message(frame))
                    case "RECEIPT":
                        self._confirmed(frame)
                    case _:
                        refused = frame
            if batch:
                yield batch
            if refused is not None:
                raise self._refusal(refused)
            self._check_confirmed()

    async def stored(self, positions: Mapping[str, int]) -> None:
        """Acknowledge what is stored: the broker lets it go."""
        acknowledged: list[Frame] = []
        for destination, position in positions.items():
            unstored = self._unstored.get(destination, deque())
            while unstored and unstored[0][0] < position:
                acknowledged.append(Frame("ACK", {"id": unstored.popleft()[1]}))
        if acknowledged:
            self._connection.send(*acknowledged)

    async def probe(self) -> str:
        """See :meth:`wpb_stream.sources.Source.probe`. Takes no message from a durable subscription."""
        topics = [destination for destination in self.address.destinations if destination.startswith(TOPICS)]
        self._subscribe(topics, durable=False)
        while self._unconfirmed:
            for frame in await self._connection.receive():
                if frame.command == "ERROR":
                    raise self._refusal(frame)
                self._confirmed(frame)
            self._check_confirmed()
        kept = f"is kept there for the subscription {self._name}" if self._options.durable or not topics else "is lost"
        return f"{self._connection.server}, {', '.join(self.address.destinations)}; what is published while wpb is away {kept}"

    def _subscribe(self, destinations: Iterable[str], *, durable: bool | None = None) -> None:
        self._unconfirmed, self._confirm_until = set(destinations), monotonic() + CONFIRM_S
        self._connection.send(*(self.subscription(destination, durable=durable) for destination in destinations))

    def _confirmed(self, frame: Frame) -> None:
        if (destination := frame.headers.get("receipt-id")) in self._unconfirmed:
            self._unconfirmed.discard(destination)
            log.info("listening to %s at %s", destination, self.address)

    def _check_confirmed(self) -> None:
        if self._unconfirmed and monotonic() > self._confirm_until:
            waiting = ", ".join(sorted(self._unconfirmed))
            hint = f"if it lasts, delete the queues {self._name}:... there, or give another subscription in WPB_STOMP_OPTIONS"
            raise ServiceError(f"STOMP at {self.address} has not confirmed {waiting} within {CONFIRM_S:g} s; {hint}")

    def subscription(self, destination: str, *, durable: bool | None = None) -> Frame:
        """The frame that asks for a destination.

        Each broker looks at its own headers only: for RabbitMQ https://www.rabbitmq.com/docs/stomp, for ActiveMQ (Artemis knows these too)
        https://activemq.apache.org/components/classic/documentation/stomp.
        """
        headers = {
            "id": str(self.address.destinations.index(destination)),
            "destination": destination,
            "ack": "client-individual",
            "receipt": destination,
            "prefetch-count": str(PREFETCH),
            "activemq.prefetchSize": str(PREFETCH),
        }
        if not destination.startswith(TOPICS):
            return Frame("SUBSCRIBE", headers)
        name = f"{self._name}:{destination}"
        if not (self._options.durable if durable is None else durable):
            # One that nobody else has, and called after us all the same: rights are given by the names of queues.
            return Frame("SUBSCRIBE", {**headers, "x-queue-name": f"{name}:{token_hex(4)}"})
        headers |= {"durable": "true", "auto-delete": "false", "x-queue-name": name, "x-queue-type": self._options.queue_type}
        headers |= {"x-expires": str(self._options.keep_s * 1000)} if self._options.keep_s else {}
        headers |= {"x-max-length-bytes": str(self._options.keep_bytes)} if self._options.keep_bytes else {}
        headers |= {"activemq.subscriptionName": name}
        return Frame("SUBSCRIBE", headers)

    def _message(self, frame: Frame) -> Message:
        index = frame.headers.get("subscription", "")
        if index not in map(str, range(len(self.address.destinations))):
            raise ServiceError(f"STOMP at {self.address} sent a message of a subscription {index[:40]!r} that we did not ask for")
        destination = self.address.destinations[int(index)]
        position = self._next[destination]
        self._next[destination] = position + 1
        self._unstored[destination].append((position, frame.headers.get("ack", "")))
        return Message(self.identity, destination, position, frame.body)

    def _refusal(self, frame: Frame) -> ServiceError:
        hint = "check WPB_SOURCES and WPB_STOMP_OPTIONS, and what this user may do there"
        return ServiceError(f"STOMP at {self.address} refuses us ({self._connection.complaint(frame)}); {hint}")
