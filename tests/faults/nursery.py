"""Streaming processes that begin at once: forked from one that has imported everything already.

What comes out is `wpb stream` as it is, in a process of its own that can be killed; only the seconds in which Python imports it are saved,
which counts where a test kills it again and again.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Queue
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals

from tests.integration.conftest import until_serving
from wpb_stream.settings import Settings, environment

WAIT_S = 60.0


class Nurse:
    """Has streaming processes forked, any number at a time; a context manager."""

    def __init__(self) -> None:
        argv = [sys.executable, "-m", "tests.faults.nurse"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self._started = Queue[tuple[int, Future[int]]]()
        self._ends = dict[int, Future[int]]()
        self._listener = threading.Thread(target=self._listen, name="nurse")
        self._listener.start()

    def close(self) -> None:
        """End it, and what was forked from it."""
        assert self._process.stdin is not None
        for pid in list(self._ends):
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
        self._process.stdin.close()
        self._process.wait()
        self._listener.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def start(self, variables: dict[str, str], log: Path) -> tuple[int, Future[int]]:
        """Have one start, with these variables in its environment; gives its number, and how it will have ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"environment": variables, "log": str(log)}) + "\n")
        return self._started.get(timeout=WAIT_S)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told, pid, *status = line.split()
            if told == "started":
                self._ends[int(pid)] = Future()
                self._started.put((int(pid), self._ends[int(pid)]))
            else:
                self._ends.pop(int(pid)).set_result(int(status[0]))


class Nursling:
    """A streaming process that can be killed, and started again at once."""

    def __init__(self, nurse: Nurse, settings: Settings, log: Path) -> None:
        self._nurse, self._settings, self._log = nurse, settings, log
        self._pid = 0
        self._end: Future[int] | None = None

    @property
    def pid(self) -> int:
        """Of the one that was started last."""
        return self._pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._end is not None and not self._end.done()

    @property
    def log(self) -> str:
        """What it has said, and those before it."""
        return self._log.read_text() if self._log.exists() else ""

    async def start(self, **variables: str) -> None:
        """Start it; it serves a little later.

        :param variables: of its environment, beside its settings
        """
        assert self._end is None or self._end.done(), "one at a time"
        told = {**environment(self._settings), **variables}
        self._pid, self._end = await asyncio.to_thread(self._nurse.start, told, self._log)

    async def serve(self, **variables: str) -> None:
        """Start it, and wait until it serves.

        :raises AssertionError: it ended before; with the last lines of its log
        """
        await self.start(**variables)
        await self.serving()

    async def serving(self) -> None:
        """Wait until it serves; raises as :meth:`serve` does."""
        assert self._end is not None
        serves, ended = asyncio.ensure_future(until_serving(self._settings)), asyncio.ensure_future(self.ended())
        await asyncio.wait([serves, ended], return_when=asyncio.FIRST_COMPLETED)
        for waiting in (serves, ended):
            waiting.cancel()
        if not serves.done():
            raise AssertionError(f"it ended with {ended.result()} before it served:\n{self.log[-3000:]}")
        await serves

    async def ended(self, within_s: float = WAIT_S) -> int:
        """Wait until it ends by itself; gives its exit status, below 0 the signal that killed it."""
        assert self._end is not None
        async with asyncio.timeout(within_s):
            while not self._end.done():
                await asyncio.sleep(0.005)
        return self._end.result()

    async def stop(self) -> int:
        """Ask it to end, as a service manager does; gives its exit status."""
        self._signal(SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """End it as a power failure would."""
        if self._end is not None and not self._end.done():
            self._signal(SIGKILL)
            await self.ended()

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does; its connections stay."""
        self._signal(SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(SIGCONT)

    def _signal(self, number: Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, number)
