"""Who may come in by the settings, also when they change while the feed is served."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from wpb_stream.core.access import Access, Grant, digest_of
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.feed.server import Feed
from wpb_stream.settings import Settings, load, settings_file

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often it is looked whether the settings file has changed."""


def admission(settings: Settings, anonymous: Grant | None) -> Access:
    """Whom the tokens of the settings let in, and wpb's own processes.

    :param anonymous: what those may who show none
    """
    own = [] if settings.token is None else [Grant("wpb", proof=digest_of(settings.token))]
    return Access([*(token.grant for token in settings.tokens), *own], anonymous)


async def follow_tokens(settings: Settings, feed: Feed) -> None:
    """Have the feed let in whom the settings file names, for ever: each time that it changes.

    A file that cannot be used leaves all as it was. Without tokens nobody is let in who needed one before: that the last one was taken back
    must not open the doors; and where none was needed the first one closes them.

    :param settings: as the feed was started with
    """
    anonymous, tokens, seen = settings.anonymous, settings.tokens, None
    while True:
        await asyncio.sleep(LOOK_S)
        state = await asyncio.to_thread(_state, settings_file())
        if state == seen:
            continue
        seen = state
        try:
            now = load().tokens
        except ServiceError as error:
            log.warning("the tokens are what they were, as the settings cannot be used: %s", error)
            continue
        if now != tokens:
            anonymous, tokens = None if now else anonymous, now
            await feed.admit(admission(settings.model_copy(update={"tokens": now}), anonymous))
            log.info("the settings were read again; they have tokens of %s", ", ".join(each.name for each in now) or "nobody")


def _state(file: Path) -> tuple[int, ...] | None:
    """What changes when the file does; None while there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
