"""Whether a source can be listened to: it is opened as the streaming process opens it, and asked."""

from __future__ import annotations

import asyncio
import logging

from wpb_stream.doctor.findings import Finding, ok
from wpb_stream.listeners import open_source
from wpb_stream.settings import Settings, load


def probe(url: str) -> Finding:
    """What there is to listen to at a URL of ``WPB_SOURCES``; the other settings come from the environment.

    :raises ServiceError: it cannot be listened to
    """
    logging.disable()  # what clients log of their attempts is told by the finding
    return ok(asyncio.run(_probe(url, load())))


async def _probe(url: str, settings: Settings) -> str:
    async with open_source(url, settings) as source:
        return await source.probe()
