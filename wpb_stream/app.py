"""The streaming process, put together: sources, catalogue, readers, pipeline, feed, and what gateways are told."""

from __future__ import annotations

import asyncio
import logging

from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.replayed import ReplayedLetters
from wpb_stream.catalogue.writer import CatalogueWriter
from wpb_stream.core.board import Board
from wpb_stream.failpoints import arm
from wpb_stream.gateways.publisher import BoardPublisher, connection_to
from wpb_stream.listeners import open_sources
from wpb_stream.pipeline import Pipeline
from wpb_stream.served import end_on_signal, served
from wpb_stream.settings import Settings

log = logging.getLogger(__name__)


async def stream(settings: Settings) -> None:
    """Run the streaming process until SIGINT or SIGTERM.

    :raises ServiceError: something it cannot do without is missing, or the environment names a stage to die at that there is not
    """
    arm()
    board = Board()
    gateways = connection_to(settings.gateway_topic, settings.kafka_options) if settings.gateway_topic else None
    async with served(settings, board, upgrade) as shown, CatalogueWriter(shown.database_url) as catalogue:
        pipeline = Pipeline(
            [*open_sources(settings), ReplayedLetters(shown.database_url)],
            catalogue,
            shown.readers,
            shown.results,
            board,
            shown.recipe_for,
            settings.pace,
            settings.queue_messages,
            settings.database_answer_s,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                walking = tasks.create_task(pipeline.run())
                tasks.create_task(shown.keep_current())
                end_on_signal()
                await pipeline.restored.wait()  # clients that come back find the unfinished runs growing again
                if gateways is not None:
                    tasks.create_task(BoardPublisher(board, gateways, catalogue.epoch, settings.gateway_again_s).run())
                async with shown.serving():
                    await walking
        except asyncio.CancelledError:
            log.info("asked to stop")
