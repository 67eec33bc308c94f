"""Run other programs as services: start in order, keep alive, stop in reverse order, leave nothing behind.

::

    async with Supervisor() as supervisor:
        await supervisor.start(postgres, broker)     # side by side; both are ready when this returns
        await supervisor.start(dagster)              # needs the two
        await supervisor.until_stopped()             # Ctrl-C, SIGTERM, SIGHUP
    supervisor.stopped_by                            # signal.SIGINT

A service that ends is started again, a few times in a row; then the block ends with `ServiceError`, which names the service, its log and
the log's last lines. Every service has a session of its own, so that a Ctrl-C in a terminal reaches the supervisor alone and the order
stays ours. `launcher` and `guard` see to it that nothing survives even a ``kill -9`` of the supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from wpb_stream import guard
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.host import free_port, lock_folder
from wpb_stream.service import RunningService, Service, last_lines

__all__ = ["Service", "Supervisor", "free_port", "last_lines", "lock_folder"]

logger = logging.getLogger(__name__)

STOP_WITHIN_S = 9.0
"""All services together get this long to stop, then SIGKILL: with what comes after, less than the ten seconds promised to people."""

_SWEEP_S = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Starts, watches and stops services; an asynchronous context manager, see the module's text.

    SIGINT, SIGTERM and SIGHUP end the block quietly (a second one kills at once), unless ``handle_signals`` is false or it runs outside the
    main thread. A service that fails for good cancels the block, which then raises `ServiceError`.
    """

    def __init__(self, *, handle_signals: bool = True, stop_within_s: float = STOP_WITHIN_S) -> None:
        self.stopped_by: signal.Signals | None = None
        """The signal that ended the block, if one did."""
        self._stop_within_s = stop_within_s
        self._handle_signals = handle_signals
        self._handled: list[signal.Signals] = []
        self._groups: list[list[RunningService]] = []
        self._tasks = asyncio.TaskGroup()
        self._stopping = False
        self._hurry = asyncio.Event()
        self._failure: ServiceError | None = None
        self._token = secrets.token_hex(8)
        self._guard: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        body = asyncio.current_task()
        assert body is not None, "a coroutine runs in a task"
        self._body = body
        if self._handle_signals and threading.current_thread() is threading.main_thread():
            # One that is ignored stays ignored: `nohup wpb up &` means it.
            self._handled = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            for number in self._handled:
                asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        self._stopping = True
        cancelled_by_us = (self._failure is not None or self.stopped_by is not None) and self._body.uncancel() == 0
        try:
            await self._stop_all()
            # Without the error: its cancelling would hide what the services' own tasks have to say.
            await self._tasks.__aexit__(None, None, None)
        finally:
            for number in self._handled:
                asyncio.get_running_loop().remove_signal_handler(number)
        if kind is not None and not (cancelled_by_us and kind is asyncio.CancelledError):
            return False
        if self._failure is not None:
            raise self._failure
        return True

    async def start(self, *services: Service) -> None:
        """Start services side by side; returns when all are ready. Groups started later are stopped earlier.

        A service that cannot be started, is not ready in time or ends for good cancels the block (which raises `ServiceError`).
        Cancelling is safe: what was started is stopped at the end of the block.
        """
        self._post_guard()
        group = [RunningService(service, {guard.TOKEN_VARIABLE: self._token}, self._tell_guard) for service in services]
        self._groups.append(group)
        for running in group:
            running.task = self._tasks.create_task(self._keep(running), name=f"service {running.service.name}")
        for running in group:
            await running.is_ready.wait()

    async def until_finished(self, name: str) -> None:
        """Wait until a service that ``may_finish`` has ended with exit code 0. Raises KeyError for a name never started."""
        await self._running(name).finished.wait()

    async def until_stopped(self) -> None:
        """Wait for ever: a signal or the failure of a service ends the block."""
        await asyncio.Event().wait()

    def pid(self, name: str) -> int | None:
        """The process id of a service; None between an end and the next start. Raises KeyError for a name never started."""
        return self._running(name).pid

    def statistics(self) -> Mapping[str, int]:
        """How often each service was started."""
        return {running.service.name: running.starts for group in self._groups for running in group}

    def _running(self, name: str) -> RunningService:
        return {running.service.name: running for group in self._groups for running in group}[name]

    async def _keep(self, running: RunningService) -> None:
        try:
            await running.keep()
        except ServiceError as error:
            # Not through the task group, which would cancel the watching of the other services before they are stopped in order.
            if not self._stopping and self._failure is None and self.stopped_by is None:
                self._failure = error
                self._body.cancel()

    def _on_signal(self, number: signal.Signals) -> None:
        if self.stopped_by is None and self._failure is None and not self._stopping:
            self.stopped_by = number
            self._body.cancel()
        else:
            self._hurry.set()

    async def _stop_all(self) -> None:
        deadline = time.monotonic() + self._stop_within_s
        try:
            for group in reversed(self._groups):
                await asyncio.gather(*(running.stop(deadline, self._hurry) for running in group))
            until = time.monotonic() + _SWEEP_S
            while guard.kill_members((), self._token) and time.monotonic() < until:
                await asyncio.sleep(0.01)
        finally:
            guard.kill_members((), self._token)
            self._dismiss_guard()

    def _post_guard(self) -> None:
        if self._guard is None:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, self._token],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _tell_guard(self, line: str) -> None:
        if self._guard is None or self._guard.stdin is None:
            return
        try:
            self._guard.stdin.write(line.encode() + b"\n")
            self._guard.stdin.flush()
        except OSError:
            logger.warning("the guard process %d is gone: a kill -9 of this process would now leave services behind", self._guard.pid)

    def _dismiss_guard(self) -> None:
        if self._guard is None:
            return
        with contextlib.suppress(OSError):  # it may be gone, and its pipe broken
            self._guard.communicate(timeout=_SWEEP_S)
