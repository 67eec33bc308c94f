"""What one client has asked for and has no answer to yet, but for its subscriptions."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.core.messages import ErrorMessage, GetFrame, ListRuns, Reprocess, RunAgain
from wpb_stream.feed.connection import Connection
from wpb_stream.feed.finder import AWAY

log = logging.getLogger(__name__)

Errand = ListRuns | GetFrame | Reprocess | RunAgain
AT_A_TIME: dict[type[Errand], int] = {ListRuns: 16, GetFrame: 4, Reprocess: 1, RunAgain: 1}
"""How many one client may have answered at the same time."""
_CALLED: dict[type[Errand], str] = {
    ListRuns: "lists of runs",
    GetFrame: "frames",
    Reprocess: "runs to be made again",
    RunAgain: "plans to be run again",
}


class Errands:
    """Each is seen to in a task: while the catalogue, a disk or Dagster is waited for, the client's next request is read.

    :param tasks: in which they run
    """

    def __init__(self, client: Connection, tasks: asyncio.TaskGroup) -> None:
        self._client, self._tasks = client, tasks
        self._under_way = Counter[type[Errand]]()

    def begin(self, request: Errand, answer: Callable[[], Awaitable[str | bytes]]) -> None:
        """See to a request.

        :raises ProtocolError: ``rate_limited``: too many of the kind are under way
        """
        kind = type(request)
        if self._under_way[kind] >= AT_A_TIME[kind]:
            raise ProtocolError("rate_limited", f"At most {AT_A_TIME[kind]} {_CALLED[kind]} at a time; ask again when an answer has come.")
        self._under_way[kind] += 1
        self._tasks.create_task(self._run(request, answer))

    async def _run(self, request: Errand, answer: Callable[[], Awaitable[str | bytes]]) -> None:
        try:
            await self._client.send([await answer()])
        except (ProtocolError, ServiceError) as error:
            await self._client.tell(error_of(error, request.id))
        finally:
            self._under_way[type(request)] -= 1


def error_of(error: ProtocolError | ServiceError, request_id: int | None) -> ErrorMessage:
    """What a client is told of an error."""
    if isinstance(error, ProtocolError):
        return ErrorMessage(error.request_id if request_id is None else request_id, error.code, str(error))
    log.warning("%s", error)
    return ErrorMessage(request_id, "internal", AWAY)
