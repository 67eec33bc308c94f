"""How far runs have come that stream now: one look at the feed, as any client has it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from wpb_stream.client import Update, watch
from wpb_stream.core.exceptions import ProtocolError, ServiceError

LOOK_TIMEOUT_S = 3.0
"""A look that takes longer is left to the next tick: a sensor must not wait for a feed that is away."""


def look_at(url: str, uids: Sequence[str], timeout_s: float = LOOK_TIMEOUT_S, token: str | None = None) -> dict[str, Update]:
    """All rows that each of these runs has now; runs of which the feed says nothing in time are left out."""
    return asyncio.run(_look_at(url, uids, timeout_s, token))


async def _look_at(url: str, uids: Sequence[str], timeout_s: float, token: str | None) -> dict[str, Update]:
    found = await asyncio.gather(*(_snapshot(url, uid, timeout_s, token) for uid in uids))
    return {uid: update for uid, update in zip(uids, found, strict=True) if update is not None}


async def _snapshot(url: str, uid: str, timeout_s: float, token: str | None) -> Update | None:
    watching = watch(url, uid, token=token)
    try:
        async with asyncio.timeout(timeout_s):
            async for update in watching:
                if update.rows >= update.run.rows:  # as many as there were when the run was told of
                    return update
    except (TimeoutError, ProtocolError, ServiceError):
        return None
    finally:
        await watching.aclose()
    return None
