"""Documents for a Publisher to publish, and what became of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from wpb_stream.client import Publisher
from wpb_stream.replay import read_recording

WAIT_S = 60.0

Documents = list[tuple[str, dict[str, Any]]]


def run(uid: str = "a", events: int = 5, **data: Any) -> Documents:
    """The documents of a run, as small as they can be."""
    descriptor = f"{uid}-descriptor"
    each = [{"uid": f"{uid}-{number}", "descriptor": descriptor, "seq_num": number, "data": data} for number in range(1, events + 1)]
    return [
        ("start", {"uid": uid, "time": 1.0}),
        ("descriptor", {"uid": descriptor, "run_start": uid}),
        *(("event", event) for event in each),
        ("stop", {"uid": f"{uid}-stop", "run_start": uid}),
    ]


def publish(publisher: Publisher, several: Documents) -> None:
    for name, doc in several:
        publisher(name, doc)


def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


async def auntil(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, condition)


def spooled(publisher: Publisher) -> Documents:
    assert publisher.spool is not None
    return [(name or "", doc) for name, doc in read_recording(publisher.spool)]
