"""One subscription, from its request to the end of the connection.

It has no queue: it looks at where its client stands, sends what is owed, and waits for the socket to take it.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from wpb_stream.changes import Changes
from wpb_stream.core.board import Board, Reconstruction
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.core.messages import NoticeMessage, Subscribe
from wpb_stream.core.recipe import Notice
from wpb_stream.failpoints import reached
from wpb_stream.feed.connection import Connection
from wpb_stream.feed.errands import error_of
from wpb_stream.feed.places import Place, Places
from wpb_stream.feed.sent import Sent
from wpb_stream.feed.sight import Sight
from wpb_stream.feed.subscription import Slices, Subscription

log = logging.getLogger(__name__)


class Following:
    """Has clients follow runs, as the board and the catalogue have them.

    :param changes: told whenever the board or what is in the catalogue has changed
    :param places: where each subscription stands
    :param sent: where rows are counted
    """

    def __init__(self, board: Board, changes: Changes, places: Places, sent: Sent) -> None:
        self._board, self._changes, self._places, self._sent = board, changes, places, sent
        self._slices = Slices()

    async def follow(self, client: Connection, sight: Sight, request: Subscribe) -> None:
        """Keep a client told of what it subscribed to; ends by cancellation, or when it is told why it cannot go on."""
        with self._places.taken() as place:
            try:
                await self._keep_told(client, sight, request, place)
            except (ProtocolError, ServiceError) as error:
                await client.tell(error_of(error, request.id))

    async def _keep_told(self, client: Connection, sight: Sight, request: Subscribe, place: Place) -> None:
        subscription, waiting_since = Subscription(request, self._slices), monotonic()
        from_row, revision, growing, pinned = request.from_row, request.revision, False, False
        while True:
            changed = self._changes.next
            uid = await sight.latest() if request.run == "latest" else request.run
            made = subscription.made
            if uid is not None and (made is None or self._superseded(made, growing) or _moved_on(made, uid, subscription)):
                place.look(uid)
                found, gone = await sight.find(uid, "newest" if request.follow else revision, held=from_row > 0)
                gone = gone or revision not in ("newest", found.revision)
                growing = found is self._board.live.get(uid)
                again = made is not None and made.run.uid == uid and not subscription.goes_on_in(found)
                if made is not None and made.run.uid == uid:
                    from_row = subscription.next_row
                await client.send(subscription.attach(found, from_row, instead=gone or again))
                pinned = not (gone or request.follow or revision == "newest")
                from_row, revision = 0, "newest"
            elif made is not None and made.ended and place.revised and not pinned:
                place.look(made.run.uid)
                growing = await self._to_newest(client, sight, subscription, made) is self._board.live.get(made.run.uid)
            first_row, was_complete = subscription.next_row, subscription.complete
            await client.send(subscription.due())
            if made := subscription.made:
                self._sent.rows(made, first_row, subscription.next_row, waiting_since)
            if subscription.complete and not was_complete:
                continue  # a newer run may have begun before this one was told to its end
            if not subscription.behind:
                # Catching up is not paced; what grows is, so that rows merge into fewer slices.
                if subscription.next_row > first_row:
                    reached("told")
                    subscription.rhythm.beat(monotonic())
                await changed.wait()
                if pause_s := subscription.rhythm.pause_s(monotonic()):
                    await asyncio.sleep(pause_s)

    async def _to_newest(self, client: Connection, sight: Sight, subscription: Subscription, made: Reconstruction) -> Reconstruction:
        """Move a subscription to the newest revision of its run; one that cannot be shown there stays where it is, and is told why.

        :returns: what it follows from here on
        """
        try:
            found, _ = await sight.find(made.run.uid, "newest")
            if found.revision == made.revision:
                return made
            await client.send(subscription.attach(found, instead=True))
            return found
        except (ProtocolError, ServiceError) as error:
            log.warning("run %s has a newer revision, which a client is not shown: %s", made.run.uid, error)
            why = error_of(error, subscription.id).message
            told = Notice("revision_not_shown", f"There is a newer revision of this run, which cannot be shown here. {why}")
            self._board.counts.notices[told.code] += 1
            await client.tell(NoticeMessage(subscription.id, told.code, told.message))
            return made

    def _superseded(self, made: Reconstruction, growing: bool) -> bool:
        """Whether the run is reconstructed anew: after documents came late, or since the catalogue was asked for it.

        A gateway's board may also let go of a run before its end was heard of: the catalogue knows the rest.

        :param growing: whether what is followed was on the board, rather than a finished revision from the catalogue
        """
        live = self._board.live.get(made.run.uid)
        if live is None:
            return growing and not made.ended
        return live is not made and (growing or not made.ended)


def _moved_on(made: Reconstruction, uid: str, subscription: Subscription) -> bool:
    """Whether another run is to be followed; one that ended is told to its end first."""
    return uid != made.run.uid and (subscription.complete or not made.ended)
