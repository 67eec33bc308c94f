"""The streaming process, put together: sources, catalogue, readers, pipeline, feed."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import AsyncExitStack, aclosing
from dataclasses import fields
from importlib.metadata import version

from wpb_stream.admission import admission, follow_tokens
from wpb_stream.catalogue.announced import NewRevisions
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.replayed import ReplayedLetters
from wpb_stream.catalogue.results import Results
from wpb_stream.catalogue.writer import CatalogueWriter, insist
from wpb_stream.core.access import is_loopback
from wpb_stream.core.board import Board
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.dagster_web import DagsterWeb
from wpb_stream.feed.finder import Finder
from wpb_stream.feed.frames import Frames
from wpb_stream.feed.limits import FeedLimits
from wpb_stream.feed.provider import Provider
from wpb_stream.feed.remaking import Remaking
from wpb_stream.feed.server import Feed
from wpb_stream.feed.tls import context_of
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.roots import DataRoots
from wpb_stream.listeners import open_sources
from wpb_stream.pipeline import Pipeline
from wpb_stream.recipes import chooser
from wpb_stream.settings import Settings, split_address

log = logging.getLogger(__name__)


async def stream(settings: Settings) -> None:
    """Run the streaming process until SIGINT or SIGTERM.

    :raises ServiceError: something it cannot do without is missing
    """
    settings.check_exposure()
    tls = context_of(settings.tls_certificate, settings.tls_key) if settings.tls_certificate else None
    if settings.database_url is None:
        raise ServiceError("no database: set WPB_DATABASE_URL=postgresql://..., or use `wpb up`, which starts one")
    database_url = settings.database_url
    await insist(lambda: asyncio.to_thread(upgrade, database_url))
    board, results = Board(), Results(settings.results)
    host, port = split_address(settings.listen)
    async with AsyncExitStack() as stack:
        reader = stack.enter_context(CatalogueReader(settings.database_url))
        catalogue = await stack.enter_async_context(CatalogueWriter(settings.database_url))
        readers = await stack.enter_async_context(
            FrameReaders(DataRoots(settings.data_roots, settings.mappings), settings.reader_processes, settings.read_deadline_s)
        )
        await readers.warm_up()
        finder = Finder(board, reader, results)
        board.latest = await asyncio.to_thread(finder.latest)
        recipe_for = chooser(settings.defaults_of)
        frames = Frames(board, finder, reader, readers, recipe_for)
        revisions = NewRevisions(database_url)
        await insist(revisions.begin)  # before anyone is served: what they are given is then as new as what is heard of
        provider = Provider(settings.oidc) if settings.oidc else None
        feed = Feed(
            board,
            finder,
            results,
            frames,
            version("websockets-plotting-blue"),
            settings.origins,
            admission(settings, settings.anonymous),
            provider,
            settings.served_names,
            FeedLimits(**{limit.name: getattr(settings, limit.name) for limit in fields(FeedLimits)}),
            Remaking(finder, reader, recipe_for, DagsterWeb(settings.dagster)),
        )
        pipeline = Pipeline(
            [*open_sources(settings), ReplayedLetters(database_url)],
            catalogue,
            readers,
            results,
            board,
            recipe_for,
            settings.pace,
            settings.queue_messages,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                walking = tasks.create_task(pipeline.run())
                tasks.create_task(_push(revisions, feed))
                tasks.create_task(follow_tokens(settings, feed))
                if provider is not None:
                    tasks.create_task(provider.keys.keep_fresh())
                _end_on_signal()
                await pipeline.restored.wait()  # clients that come back find the unfinished runs growing again
                async with feed.serve(host, port, tls):
                    _say_where(settings)
                    await walking
        except asyncio.CancelledError:
            log.info("asked to stop")


async def _push(revisions: NewRevisions, feed: Feed) -> None:
    """Have the feed move to new revisions as they come."""
    async with aclosing(revisions.batches()) as batches:
        async for runs in batches:
            feed.revised(runs)


def _end_on_signal() -> None:
    """Have SIGINT and SIGTERM cancel the task that calls this."""
    task = asyncio.current_task()
    assert task is not None, "a coroutine runs in a task"
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _say_where(settings: Settings) -> None:
    log.info("viewer and feed at %s", settings.served)
    if settings.anonymous is not None and not is_loopback(split_address(settings.listen)[0]):
        log.warning("whoever reaches %s can watch: nobody is asked for a token", settings.listen)
    elif not settings.tls_certificate and not is_loopback(split_address(settings.listen)[0]):
        log.warning("tokens cross the network in the clear: set WPB_TLS_CERTIFICATE, or put a proxy with TLS in front")
