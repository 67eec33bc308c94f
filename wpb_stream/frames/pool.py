"""Reader processes: frames are read and reduced beside the service, each call with a deadline.

HDF5 has one lock a process, crashes on damaged files and hangs on hung file systems. A process can be killed; a thread cannot.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio
import numpy as np
from anyio import to_process

from wpb_stream.core.accumulation import Accumulation, merged
from wpb_stream.core.exceptions import FrameBroken, ServiceError
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.window import FrameRef, FrameStatus, StreamFile, WindowResult, window_request
from wpb_stream.frames import worker
from wpb_stream.frames.reader import Looked
from wpb_stream.frames.roots import DataRoots

logger = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS = 3
"""Calls that a hung or dying reader may cost before its frames are given up."""
PATIENCE_S = 1.0
"""Seconds after which a call no longer counts against the limit of working processes: it waits for a disk, not for a core."""
PAUSE_S = 0.2
"""Wait before the next attempt where the machine had no room for another process: time for somebody to end."""
SMALLEST_SHARE = 8
"""Frames below which a window is not split further: a call costs about as much as reading two frames."""
_NO_ROOM = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What starting a process fails with where it may succeed in a moment; anything else (no such interpreter, say) would stay."""


@dataclass(slots=True)
class ReaderStatistics:
    """Counts since the start, for the metrics."""

    frames_read: int = 0
    bytes_read: int = 0
    not_yet: int = 0
    """Answers that a frame is late; the same frame counts each time it is asked for."""
    broken: int = 0
    workers_killed: int = 0
    """Reader processes that were killed at the deadline, or died."""


class FrameReaders:
    """Reader processes for one set of roots.

    They belong to the event loop that first used them, which must have one ``FrameReaders`` entered at a time.
    Calls are independent and may overlap. A cancelled call kills the process that serves it.
    """

    def __init__(self, roots: DataRoots, processes: int, deadline_s: float, idle_s: float = worker.IDLE_S) -> None:
        """Nothing starts before it is needed.

        :param processes: readers that work at the same time; those that wait for a hung file come on top, up to four times as many in all
        :param deadline_s: seconds one call may take, the start of a new process (about 0.5) included
        :param idle_s: seconds after which a file that nobody asks for is closed
        """
        self.roots = roots
        self.processes = processes
        self.deadline_s = deadline_s
        self.idle_s = idle_s
        self._working = asyncio.Semaphore(processes)
        self._existing = anyio.CapacityLimiter(4 * processes)
        self._unlimited = anyio.CapacityLimiter(inf)  # the two above limit already, outside of the deadline
        self._seen: set[int] = set()
        self._statistics = ReaderStatistics()

    async def __aenter__(self) -> Self:
        """Nothing starts yet: processes start when they are needed, or in :meth:`warm_up`."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the reader processes."""
        with anyio.CancelScope(shield=True):
            for pid in self._seen:
                await _end(pid)
        self._seen.clear()

    async def warm_up(self) -> None:
        """Start all processes, so that the first window does not wait for them.

        :raises ExceptionGroup: of a ServiceError, if they die as they start or cannot be started
        """
        async with asyncio.TaskGroup() as group:
            started = [group.create_task(self._start()) for _ in range(self.processes)]
        self._seen.update(task.result() for task in started)

    async def _start(self) -> int:
        why = ""
        for _ in range(ATTEMPTS * self.processes):
            # A process that died while idle is found out when it is used: those of an earlier pool may still be among the idle ones.
            try:
                return await to_process.run_sync(worker.prepare, self.roots, self.idle_s, limiter=self._unlimited)
            except anyio.BrokenWorkerProcess:
                why = "it died as it started: does 'import h5py' work here?"
            except OSError as error:
                why = _no_room(error)
                await asyncio.sleep(PAUSE_S)
        raise ServiceError(f"no frame reader process in {ATTEMPTS * self.processes} attempts: {why}")

    def statistics(self) -> dict[str, int]:
        """Counts since the start: :class:`ReaderStatistics` as a dict."""
        return asdict(self._statistics)

    async def reduce(
        self, refs: Sequence[FrameRef], reducer: Reducer, accumulation: Accumulation | None = None, *, run: str = ""
    ) -> WindowResult:
        """Read and reduce the frames of one window; never raises for a file's fault.

        :param accumulation: what is to be made of all of them together, besides
        :param run: uid, for the log
        :returns: one row for each of ``refs``, in their order; ``frame_shape`` is that of the first file that could be opened
        """
        values = np.full((len(refs), reducer.size), np.nan)
        status = np.full(len(refs), FrameStatus.BROKEN, np.uint8)
        shares = _shares(refs, self.processes)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._share([refs[row] for row in rows], reducer, accumulation, run)) for rows in shares]
        results = [task.result() for task in tasks]
        for rows, result in zip(shares, results, strict=True):
            values[rows] = result.values
            status[rows] = result.status
        shape = next((result.frame_shape for result in results if result.frame_shape), None)
        # Broken before late, as within one share.
        worst = sorted((result for result in results if result.reason), key=lambda result: -int(result.status.max(initial=0)))
        counts = np.bincount(status, minlength=3)
        self._statistics.not_yet += int(counts[FrameStatus.NOT_YET])
        self._statistics.broken += int(counts[FrameStatus.BROKEN])
        return WindowResult(values, status, shape, worst[0].reason if worst else None, merged(result.tally for result in results))

    async def look(self, ref: FrameRef, max_size: tuple[int, int] | None, run: str = "") -> Looked:
        """The frames of one point, as :meth:`FrameReader.look` gives them.

        :param run: uid, for the log
        :raises FrameError: they cannot be read
        """
        call = partial(worker.look, ref.file, ref.index, max_size, self.roots, self.idle_s)
        pid, looked = await self._in_reader(call, f"index {ref.index} of {ref.file.uri}", run)
        self._seen.add(pid)
        return looked

    async def _share(self, refs: Sequence[FrameRef], reducer: Reducer, accumulation: Accumulation | None, run: str) -> WindowResult:
        request = window_request(refs, reducer, accumulation)
        rows = len(refs)
        try:
            call = partial(worker.work, request, self.roots, self.idle_s)
            answer = await self._in_reader(call, f"{rows} of the frames of {request.file.uri}", run)
        except FrameBroken as given_up:
            status = np.full(rows, FrameStatus.BROKEN, np.uint8)
            return WindowResult(np.full((rows, reducer.size), np.nan), status, None, str(given_up))
        self._seen.add(answer.pid)
        self._statistics.frames_read += answer.frames_read
        self._statistics.bytes_read += answer.bytes_read
        return answer.result

    async def _in_reader(self, call: Callable[[], T], what: str, run: str) -> T:
        """Have a reader process make a call, a few times if need be.

        :raises FrameBroken: it never came to an end
        :raises FrameError: the call itself raised it
        """
        why = ""
        for attempt in range(1, ATTEMPTS + 1):
            pause_s = 0.0
            try:
                async with self._core():
                    with anyio.fail_after(self.deadline_s):
                        return await to_process.run_sync(call, cancellable=True, limiter=self._unlimited)
            except TimeoutError:
                why = f"the file did not answer within {self.deadline_s:g} s"
                self._statistics.workers_killed += 1
            except anyio.BrokenWorkerProcess:
                why = "the reader process died of it"
                self._statistics.workers_killed += 1
            except OSError as error:
                why, pause_s = _no_room(error), PAUSE_S
            logger.warning("%s%s: %s (attempt %d of %d)", f"run {run}: " if run else "", what, why, attempt, ATTEMPTS)
            if attempt < ATTEMPTS:
                await asyncio.sleep(pause_s)
        raise FrameBroken(f"{what}: given up after {ATTEMPTS} attempts: {why}")

    @asynccontextmanager
    async def _core(self) -> AsyncIterator[None]:
        """One of the ``processes`` that may work at the same time; given back early by a call that takes suspiciously long."""
        await self._working.acquire()
        held = [self._working]

        def give_back() -> None:
            if held:
                held.pop().release()

        early = asyncio.get_running_loop().call_later(PATIENCE_S, give_back)
        try:
            async with self._existing:
                yield
        finally:
            early.cancel()
            give_back()


def _no_room(error: OSError) -> str:
    """Why no reader process could be started.

    :raises OSError: it would not start in a moment either
    """
    if error.errno not in _NO_ROOM:
        raise error
    return f"no reader process could be started: {error.strerror}"


async def _end(pid: int) -> None:
    """End the reader process that was ``pid``, if it still is; its number may have gone to somebody else since."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with suppress(FileNotFoundError, ProcessLookupError):
            if _parent(pid) == os.getpid():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                await anyio.wait_readable(handle)
    finally:
        os.close(handle)


def _parent(pid: int) -> int:
    # The second field after the name, which stands in brackets.
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _shares(refs: Sequence[FrameRef], processes: int) -> list[list[int]]:
    """Rows of ``refs`` that one call serves: of one file, neighbours together (they may share chunks), spread over the processes."""
    groups: dict[StreamFile, list[int]] = {}
    for row, ref in enumerate(refs):
        groups.setdefault(ref.file, []).append(row)
    shares: list[list[int]] = []
    for rows in groups.values():
        parts = min(processes, -(-len(rows) // SMALLEST_SHARE)) or 1
        shares.extend(part.tolist() for part in np.array_split(np.array(rows), parts))
    return shares
