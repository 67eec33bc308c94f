"""Scans that a client asks to have taken once more, which blueapi does."""

from __future__ import annotations

import logging
from functools import partial

from wpb_stream.blueapi import SESSION_KEY, TASK_KEY, BlueApi, UnknownTask
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.core.messages import RunAgain, TaskMessage
from wpb_stream.feed.finder import Finder, unknown
from wpb_stream.feed.sight import Sight

log = logging.getLogger(__name__)


class Again:
    """Has the plans of runs run again."""

    def __init__(self, finder: Finder, reader: CatalogueReader, blueapi: BlueApi) -> None:
        self._finder, self._reader, self._blueapi = finder, reader, blueapi

    async def answer(self, request: RunAgain, sight: Sight) -> TaskMessage:
        """Tell what would be run; and have it run, if that is asked for.

        :raises ProtocolError: ``not_allowed``, ``unknown_run``, ``bad_message`` for a run that blueapi knows nothing of, or ``internal`` if
            it is away or busy
        :raises ServiceError: the catalogue cannot be reached
        """
        if not sight.grant.may("admin"):
            raise ProtocolError("not_allowed", "To have a plan run again takes a token with scope admin.")
        await sight.check(request.run)
        start = await self._finder.ask(partial(self._reader.start, request.run))
        if not start:
            raise unknown(request.run)
        known = start.get(TASK_KEY)
        if not isinstance(known, str):
            raise ProtocolError(
                "bad_message", f"Run {request.run[:80]} does not say which task of blueapi it is of: it cannot be run again."
            )
        try:
            task = await self._blueapi.task(known)
            if task.session != start.get(SESSION_KEY):  # else a made-up run would show, and run, the plans of other sessions
                raise ProtocolError("bad_message", f"The task that run {request.run[:80]} says it is of is of another session.")
            made = await self._blueapi.run(task) if request.begin else None
        except UnknownTask as error:
            raise ProtocolError("bad_message", f"The plan cannot be run again: {error}.") from error
        except ServiceError as error:
            log.warning("the plan of run %s cannot be run again, as %s wants: %s", request.run, sight.grant.name, error)
            raise ProtocolError("internal", f"The plan cannot be run again now: {error}.") from error
        if made is not None:
            log.info("the plan %s of run %s is run again for %s, as blueapi's task %s", task.plan, request.run, sight.grant.name, made)
        return TaskMessage(request.id, request.run, task.plan, task.params, made)
