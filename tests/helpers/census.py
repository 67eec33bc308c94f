"""What a streaming process holds, counted from inside it."""

from __future__ import annotations

import asyncio
import gc
import os
import threading

from wpb_stream.feed.server import Feed
from wpb_stream.pipeline import Pipeline

COMES_AND_GOES = "Fetcher._proc_fetch_request"
"""The task of aiokafka that awaits one answer of a broker: there, or not, whatever has happened before."""


def census() -> dict[str, int]:
    """Counts of all that a run, a document or a client could leave behind; to be called in the event loop of the streaming process."""
    gc.collect()
    # By type: isinstance asks a weak proxy what it stands for, which may be gone.
    living = [thing for thing in gc.get_objects() if issubclass(type(thing), (Pipeline, Feed))]
    # A test's process may still hold the pipelines of earlier tests, whose tasks are over.
    (pipeline,) = [one for one in living if isinstance(one, Pipeline) and not one._tasks._parent_task.done()]  # pyright: ignore[reportAttributeAccessIssue]
    (feed,) = [one for one in living if isinstance(one, Feed) and one._board is pipeline._board]
    runs = pipeline._runs
    return {
        "runs": len(runs._runs),
        "owners": len(runs._owners),
        "parked": runs.parked,
        "parents waited for": len(runs._parked),
        "unclaimed": len(runs._unclaimed),
        "plans": len(runs.plans._runs),
        "growing": len(pipeline._growing),
        "on the board": len(pipeline._board.live),
        "queued": pipeline._queue.qsize(),
        "slices kept": len(feed._following._slices._kept),
        "slices of the gone": sum(key[0]() is None for key in feed._following._slices._kept),
        "tasks": sum(task.get_coro().__qualname__ != COMES_AND_GOES for task in asyncio.all_tasks()),
        "threads": threading.active_count(),
        "open files": len(os.listdir("/proc/self/fd")),
    }
