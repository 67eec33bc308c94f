"""A gateway, put together: the board that a streaming process publishes, the catalogue and the results, served to clients."""

from __future__ import annotations

import asyncio
import logging

from wpb_stream.catalogue.migrations import insist_on_schema
from wpb_stream.core.board import Board
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.gateways.reader import BoardReader, source_of
from wpb_stream.served import end_on_signal, served
from wpb_stream.settings import Settings

log = logging.getLogger(__name__)


async def gateway(settings: Settings) -> None:
    """Run a gateway until SIGINT or SIGTERM.

    :raises ServiceError: something it cannot do without is missing
    """
    url, board = settings.gateway_topic, Board()
    if url is None:
        raise ServiceError("no topic: set WPB_GATEWAY_TOPIC=kafka://host:9092/topic, the same for `wpb stream` and its gateways")
    topic = BoardReader(source_of(url, settings.kafka_options, settings.kafka_fetch_wait_ms), board)
    async with served(settings, board, insist_on_schema, topic.hindrance) as shown:
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(topic.run())
                tasks.create_task(shown.keep_current())
                end_on_signal()
                await topic.caught_up()  # clients that come from another gateway find the rows they hold
                async with shown.serving():
                    await reading
        except asyncio.CancelledError:
            log.info("asked to stop")
