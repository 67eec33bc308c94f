"""What the streaming process and a gateway have in common: a board, the catalogue and the results, served to clients."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, fields
from importlib.metadata import version
from ssl import SSLContext
from typing import Any

from wpb_stream.admission import admission, follow_tokens
from wpb_stream.blueapi import BlueApi
from wpb_stream.catalogue.announced import NewRevisions
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.catalogue.writer import insist
from wpb_stream.core.access import is_loopback
from wpb_stream.core.board import Board
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.recipe import Recipe
from wpb_stream.dagster_web import DagsterWeb
from wpb_stream.feed.again import Again
from wpb_stream.feed.finder import Finder
from wpb_stream.feed.frames import Frames
from wpb_stream.feed.limits import FeedLimits
from wpb_stream.feed.provider import Provider
from wpb_stream.feed.remaking import Remaking
from wpb_stream.feed.server import Feed
from wpb_stream.feed.tls import context_of
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes import chooser
from wpb_stream.settings import Settings, split_address

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """The feed, not served yet, and what it is made of."""

    settings: Settings
    database_url: str
    results: Results
    readers: FrameReaders
    recipe_for: Callable[[dict[str, Any]], Recipe | None]
    feed: Feed
    tls: SSLContext | None
    _revisions: NewRevisions
    _provider: Provider | None

    async def keep_current(self) -> None:
        """Keep the feed as new as the catalogue's revisions, the settings' tokens and the provider's keys are, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._push_revisions())
            tasks.create_task(follow_tokens(self.settings, self.feed))
            if self._provider is not None:
                tasks.create_task(self._provider.keys.keep_fresh())

    async def _push_revisions(self) -> None:
        async with aclosing(self._revisions.batches()) as batches:
            async for runs in batches:
                self.feed.revised(runs)

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve clients while the context lasts.

        :raises ServiceError: the address cannot be listened on
        """
        async with self.feed.serve(*split_address(self.settings.listen), self.tls):
            _say_where(self.settings)
            yield


@asynccontextmanager
async def served(
    settings: Settings, board: Board, prepare: Callable[[str], None], hindrance: Callable[[], str | None] = lambda: None
) -> AsyncGenerator[Served]:
    """All that serving a board takes, while the context lasts.

    :param prepare: sees to the catalogue's schema, given the database's URL
    :param hindrance: gives why clients are better served elsewhere, if they are
    :raises ServiceError: something it cannot do without is missing
    """
    settings.check_exposure()
    tls = context_of(settings.tls_certificate, settings.tls_key) if settings.tls_certificate else None
    if settings.database_url is None:
        raise ServiceError("no database: set WPB_DATABASE_URL=postgresql://..., or use `wpb up`, which starts one")
    database_url, results = settings.database_url, Results(settings.results)
    await insist(lambda: asyncio.to_thread(prepare, database_url), board.counts)
    roots = DataRoots(settings.data_roots, settings.mappings)
    with CatalogueReader(database_url, answer_s=settings.database_answer_s) as reader:
        async with FrameReaders(roots, settings.reader_processes, settings.read_deadline_s) as readers:
            await readers.warm_up()
            board.counts.readers_replaced = lambda: readers.statistics()["workers_killed"]
            finder = Finder(board, reader, results)
            board.latest = await asyncio.to_thread(finder.latest)
            recipe_for = chooser(settings.defaults_of)
            frames = Frames(board, finder, reader, readers, recipe_for)
            revisions = NewRevisions(database_url)
            # Before anyone is served: what they are given is then as new as what is heard of.
            await insist(revisions.begin, board.counts, settings.database_answer_s)
            limits = FeedLimits(**{limit.name: getattr(settings, limit.name) for limit in fields(FeedLimits)})
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
                limits,
                hindrance,
                Remaking(finder, reader, recipe_for, DagsterWeb(settings.dagster)),
                Again(finder, reader, BlueApi(settings.blueapi_url)) if settings.blueapi_url else None,
                embed_origins=settings.embed_origins,
                dagster=settings.dagster_url,
                compression=settings.compression,
            )
            yield Served(settings, database_url, results, readers, recipe_for, feed, tls, revisions, provider)


def end_on_signal() -> None:
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
