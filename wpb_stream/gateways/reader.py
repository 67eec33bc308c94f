"""A gateway's end of the topic: its board grows from what is read there, from the first message on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from time import monotonic
from typing import Any

from wpb_stream.core.board import Board
from wpb_stream.core.documents import Loss
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.mirror import Mirror
from wpb_stream.sources.kafka import KafkaSource
from wpb_stream.sources.kafka_settings import KafkaAddress
from wpb_stream.sources.listening import listen

log = logging.getLogger(__name__)

LOOK_S = 0.05
"""How often it is looked whether all is read that there was."""
MAX_UNREAD = 1000
"""Messages behind the topic with which clients are better served elsewhere: of one streaming process those of a minute, or more."""


def source_of(url: str, options: Mapping[str, Any], fetch_wait_ms: int = 10) -> KafkaSource:
    """The topic of that URL, not connected yet.

    :param options: of the setting ``kafka_options``
    :raises ServiceError: the URL is not that of one topic, or an option is wrong
    """
    KafkaAddress.parse_one(url)
    return KafkaSource(url, fetch_wait_ms=fetch_wait_ms, options=options, setting="WPB_GATEWAY_TOPIC")


class BoardReader:
    """Grows a board, which nobody else writes.

    :param source: the topic, not connected yet
    """

    def __init__(self, source: KafkaSource, board: Board) -> None:
        self._source, self._board, self._mirror = source, board, Mirror(board)
        self._positions: dict[str, dict[str, int]] = {}
        """By cluster and partition, the next position to ask for."""
        board.counts.unread = lambda: source.unread or 0

    async def run(self) -> None:
        """Read for ever; a broker that is away is asked again, from where it was."""
        async with aclosing(listen(self._source, self._next, self._board.counts)) as batches:
            async for messages in batches:
                for message in messages:
                    if isinstance(message, Loss):  # the mirror finds out what of it is missing
                        log.warning("%s", message.reason)
                        self._positions.setdefault(message.source, {})[message.partition] = message.resumes_at
                        continue
                    try:
                        self._mirror.take(message.value, monotonic())
                    except ProtocolError as error:
                        log.error("position %d of %s is skipped: %s", message.position, message.partition, error)
                    self._positions.setdefault(message.source, {})[message.partition] = message.position + 1
                self._board.changed()

    async def caught_up(self) -> None:
        """Wait until all is read that there is."""
        while self._source.unread != 0:
            await asyncio.sleep(LOOK_S)

    def hindrance(self) -> str | None:
        """Why clients are better served elsewhere, if they are: a sentence."""
        unread = self._source.unread
        if unread is None:
            return "The topic of what the streaming process shows is not followed: its broker is away, or has no such topic."
        if unread > MAX_UNREAD:
            return f"There are {unread} messages of the streaming process that were not read yet."
        return None

    async def _next(self) -> Mapping[str, int]:
        return self._positions.get(self._source.identity, {})
