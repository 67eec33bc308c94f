"""Runs that a client asks to have made again, which Dagster does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core.exceptions import ProtocolError, RecipeError, ServiceError
from wpb_stream.core.messages import Reprocess, Reprocessing
from wpb_stream.core.recipe import Recipe
from wpb_stream.dagster_web import DagsterWeb
from wpb_stream.feed.finder import Finder, unknown
from wpb_stream.feed.sight import Sight
from wpb_stream.recipes.asked import as_asked

log = logging.getLogger(__name__)

JOB, OP = "reprocess", "reprocess_each"
"""Of the Dagster project: what makes runs again, and its only step."""
ASKED_BY = "wpb/asked_by"
"""Tag of the Dagster run: the name of the token."""


class Remaking:
    """Has runs made again.

    :param recipe_for: gives the recipe for a start document, as live
    """

    def __init__(
        self, finder: Finder, reader: CatalogueReader, recipe_for: Callable[[dict[str, Any]], Recipe | None], dagster: DagsterWeb
    ) -> None:
        self._finder, self._reader, self._recipe_for, self._dagster = finder, reader, recipe_for, dagster

    async def begin(self, request: Reprocess, sight: Sight) -> Reprocessing:
        """Have a run made again with what is asked for over its ``wpb`` entry.

        :raises ProtocolError: ``not_allowed``, ``unknown_run``, ``bad_message`` for a run or a recipe of which nothing can be made, or
            ``internal`` if Dagster is away
        :raises ServiceError: the catalogue cannot be reached
        """
        if not sight.grant.may("admin"):
            told = "To have runs made again takes a token with scope admin; `wpb token NAME --scope admin` makes one."
            raise ProtocolError("not_allowed", told)
        uid = await sight.latest() or request.run if request.run == "latest" else request.run
        await sight.check(uid)
        await self._check(uid, request.recipe)
        config = {"ops": {OP: {"config": {"runs": [uid], "wpb": request.recipe}}}}
        try:
            dagster_run = await self._dagster.launch(JOB, config, {ASKED_BY: sight.grant.name})
        except ServiceError as error:
            log.warning("run %s cannot be made again, as %s wants: %s", uid, sight.grant.name, error)
            raise ProtocolError("internal", f"The run cannot be made again now: {error}.") from error
        log.info("run %s is made again for %s, by the Dagster run %s", uid, sight.grant.name, dagster_run)
        return Reprocessing(request.id, uid, dagster_run, self._dagster.page(dagster_run))

    async def status(self, dagster_run: str, sight: Sight) -> str:
        """What has become of a Dagster run, in Dagster's words.

        :raises ProtocolError: ``not_allowed``, ``bad_message`` if there is none of that id, ``internal`` if Dagster is away
        """
        if not sight.grant.may("admin"):
            raise ProtocolError("not_allowed", "To be told of Dagster's runs takes a token with scope admin.")
        try:
            status = await self._dagster.status(dagster_run)
        except ServiceError as error:
            raise ProtocolError("internal", f"What has become of the Dagster run cannot be told now: {error}.") from error
        if status is None:
            raise ProtocolError("bad_message", f"Dagster has no run {dagster_run[:80]!r}.")
        return status

    async def _check(self, uid: str, recipe: dict[str, Any]) -> None:
        """See that it can be done: Dagster would say so too late, and in its own log."""
        row = await self._finder.ask(partial(self._reader.run, uid))
        if row is None:
            raise unknown(uid)
        if row.ended_seq is None:
            raise ProtocolError("bad_message", f"Run {uid[:80]} is not over; it can be made again then.")
        if not row.info.recipe:
            raise ProtocolError("bad_message", f"Nothing was reconstructed of run {uid[:80]}: there is nothing to be made again.")
        if recipe:
            start = await self._finder.ask(partial(self._reader.start, uid))
            try:
                await asyncio.to_thread(as_asked, self._recipe_for, start, recipe)
            except RecipeError as error:
                raise ProtocolError("bad_message", f"reprocess: {error}") from error
