"""Watching from ordinary code, without asynchronous functions, and what is left of it afterwards: nothing."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.helpers.scans import Scan, scan
from tests.integration.feed.conftest import CHANNELS, Beamline
from wpb_stream.client import Update, watch_sync
from wpb_stream.core.exceptions import ProtocolError

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

WAIT_S = 60.0
FOREVER = """
import sys
from wpb_stream.client import watch_sync
for update in watch_sync(*sys.argv[1:]):
    if update.stopped:
        print(update.rows, flush=True)
"""
KEPT = """
import sys
from wpb_stream.client import watch_sync
updates = watch_sync(*sys.argv[1:])
print(next(updates).rows, flush=True)
"""
IN_A_LOOP = """
import asyncio, sys
from wpb_stream.client import watch_sync
async def main():
    for update in watch_sync(*sys.argv[1:]):
        if update.stopped:
            print(update.rows, flush=True)
            break
asyncio.run(main())
"""


def watched() -> list[str]:
    """Threads that watch."""
    return [thread.name for thread in threading.enumerate() if thread.name == "watching"]


def until_stopped(url: str, run: str) -> Update:
    for update in watch_sync(url, run):
        if update.stopped:
            break
    assert watched() == [], "leaving the loop ends it"
    return update


async def test_an_ordinary_loop_is_given_the_same_maps(beamline: Beamline, past: list[Scan]) -> None:
    async with asyncio.timeout(WAIT_S):
        update = await asyncio.to_thread(until_stopped, beamline.url, past[0].uid)
    assert update.rows == 12
    for channel in CHANNELS:
        np.testing.assert_array_equal(update.map(channel), past[0].map(channel))


async def test_an_ordinary_loop_follows_a_run_as_it_grows(beamline: Beamline) -> None:
    one = scan(beamline.folder)
    await beamline.begin(one, 5)
    updates = watch_sync(beamline.url, one.uid)

    def until(rows: int) -> Update:
        return next(update for update in updates if update.rows >= rows)

    async with asyncio.timeout(WAIT_S):
        assert np.isfinite((await asyncio.to_thread(until, 5)).map("total")).sum() == 5
        await beamline.publish(*one.at(5, 12), one.stop)
        np.testing.assert_array_equal((await asyncio.to_thread(until, 12)).map("total"), one.map("total"))
        await asyncio.to_thread(updates.close)
    assert (list(updates), watched()) == ([], [])


async def test_an_ordinary_loop_that_waits_is_ended_by_closing_it_from_another_thread(beamline: Beamline, past: list[Scan]) -> None:
    updates, stopped = watch_sync(beamline.url, past[0].uid), threading.Event()

    def to_the_end() -> None:
        for update in updates:
            if update.stopped:
                stopped.set()

    waiting = threading.Thread(target=to_the_end)
    waiting.start()
    async with asyncio.timeout(WAIT_S):
        await asyncio.to_thread(stopped.wait)
        await asyncio.to_thread(updates.close)
        await asyncio.to_thread(waiting.join)
    assert watched() == []


async def test_what_the_server_refuses_is_raised_in_an_ordinary_loop(beamline: Beamline, past: list[Scan]) -> None:
    updates = watch_sync(beamline.url, "no such run")
    with pytest.raises(ProtocolError) as refused:
        await asyncio.to_thread(next, updates)
    assert (refused.value.code, watched(), list(updates)) == ("unknown_run", [], [])


@asynccontextmanager
async def program(code: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs until it ends or the context does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WAIT_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_ctrl_c_ends_an_ordinary_loop(beamline: Beamline, past: list[Scan]) -> None:
    async with program(FOREVER, beamline.url, past[0].uid) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"12\n"
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
    assert said.decode().splitlines()[-1] == "KeyboardInterrupt"
    assert said.count(b"Traceback") == 1
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize(("code", "rows"), [(KEPT, b"0\n"), (IN_A_LOOP, b"12\n")])
async def test_a_program_ends_that_keeps_what_it_watches_or_watches_within_a_loop_of_its_own(
    beamline: Beamline, past: list[Scan], code: str, rows: bytes
) -> None:
    async with program(code, beamline.url, past[0].uid) as process:
        assert await process.communicate() == (rows, b"")
    assert process.returncode == 0
