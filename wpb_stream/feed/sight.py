"""The runs that one client may see: whatever a client asks of runs goes through here."""

from __future__ import annotations

from typing import Any

from wpb_stream.catalogue.records import KnownRevision
from wpb_stream.core.access import Grant
from wpb_stream.core.board import Board, Reconstruction
from wpb_stream.core.messages import RunInfo
from wpb_stream.feed.finder import Finder, unknown


class Sight:
    """The board and the catalogue, as far as a grant goes. All other runs are unknown here, as those that there never were."""

    def __init__(self, grant: Grant, board: Board, finder: Finder) -> None:
        self.grant, self._board, self._finder = grant, board, finder
        self._newest: str | None = None
        """The latest run of all when it was last looked which of them may be seen."""
        self._latest: str | None = None

    @property
    def whole(self) -> bool:
        """Whether all runs may be seen, and what is counted of them."""
        return self.grant.sessions is None

    async def latest(self) -> str | None:
        """Uid of the run that started last, of those that may be seen.

        :raises ServiceError: the catalogue cannot be reached
        """
        newest = self._board.latest
        if self.grant.sessions is None:
            return newest
        if newest is not None and newest != self._newest:  # the catalogue is asked once for each run that begins
            live = self._board.live.get(newest)
            if live is not None and self.grant.sees(live.run.metadata):
                self._latest = newest
            else:
                page = await self.runs(limit=1)
                self._latest = page[0][1].uid if page else None
            self._newest = newest
        return self._latest

    async def check(self, uid: str) -> None:
        """See that a run may be seen, before anything else is asked of it.

        :raises ProtocolError: ``unknown_run``: there is none, or it may not be seen
        :raises ServiceError: the catalogue cannot be reached
        """
        if self.grant.sessions is None:
            return
        live = self._board.live.get(uid)
        run = live.run if live is not None else await self._finder.info(uid)
        if not self.grant.sees(run.metadata):
            raise unknown(uid)

    async def find(self, uid: str, revision: str, *, held: bool = False) -> tuple[Reconstruction, bool]:
        """As :meth:`Finder.find`."""
        await self.check(uid)
        return await self._finder.find(uid, revision, held=held)

    async def revisions(self, uid: str) -> list[KnownRevision]:
        """As :meth:`Finder.revisions`."""
        await self.check(uid)
        return await self._finder.revisions(uid)

    async def runs(self, **conditions: Any) -> list[tuple[int, RunInfo]]:
        """As :meth:`Finder.runs`."""
        return await self._finder.runs(**conditions, sessions=self.grant.sessions)
