"""Points on the walk of the data at which the process can be told to die, so that tests see what survives it.

``WPB_CRASH_AT=stage[:nth]`` in the environment of the streaming process ends it the nth time (the first, if none is named) that it comes to
that stage, as `kill -9` would: nothing is flushed, closed or told to anybody. Without it a point costs one comparison.
"""

from __future__ import annotations

import logging
import os
import signal

from wpb_stream.core.exceptions import ServiceError

VARIABLE = "WPB_CRASH_AT"
STAGES = {
    "taken_over": "it alone may write the catalogue; nothing was read from it",
    "restored": "the runs that had not ended grow again",
    "received": "messages came; nothing of them is stored",
    "documents": "the documents of a batch are written, and not committed",
    "positions": "and the source's position with them",
    "stored": "all of it is committed; the source was not told",
    "acknowledged": "the source was told; the documents went no further",
    "begun": "a run is in the catalogue's list; nobody sees it",
    "applied": "a document was applied to its run, and its frames asked for",
    "adopted": "a document that had waited for its run was given to it in the catalogue",
    "read": "a window of frames was read; it is in no table",
    "placed": "its rows are in the table; no client was told",
    "told": "a client was sent rows",
    "published": "gateways were sent rows",
    "ended": "a run is over; its rows are not saved",
    "written": "a file of rows lies beside its place",
    "saved": "and in its place; the catalogue does not know of it",
    "ending": "the end of the run is written into the catalogue, and not committed",
    "kept": "and committed; nobody was told",
}
"""What has happened by then, and what has not."""

_armed: str | None = None
_left = 0

log = logging.getLogger(__name__)


def arm() -> None:
    """Do as the environment says; to be called once, at the start.

    :raises ServiceError: it names no stage
    """
    global _armed, _left
    told = os.environ.get(VARIABLE)
    if told is None:
        return
    stage, _, nth = told.partition(":")
    if stage not in STAGES or not (nth or "1").isdecimal() or nth == "0":
        raise ServiceError(f"{VARIABLE} must be one of {', '.join(STAGES)}, with :2 behind it for the second time, and is {told!r}")
    _armed, _left = stage, int(nth or 1)
    log.warning("this process will kill itself at stage %s, as %s says", told, VARIABLE)


def reached(stage: str) -> None:
    """This stage of the walk is reached: die, if that is where to."""
    global _left
    if stage == _armed:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
