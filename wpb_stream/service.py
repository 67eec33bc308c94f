"""One program run as a service: start it, wait until it is ready, start it again when it ends, stop it. `supervisor` runs several."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.guard import kill_members
from wpb_stream.launcher import EXIT_CANNOT_LAUNCH, RunAs, launch_argv

logger = logging.getLogger(__name__)

_POLL_S = 0.03
_PROBE_TIMEOUT_S = 5.0
_LAST_LINES_S = 0.5
_KILLED_WITHIN_S = 1.0
_LINE_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Service:
    """How to run one program, and how to know that it runs."""

    name: str
    """For people; appears in every message about the service. Unique in a supervisor."""
    argv: Sequence[str] | Callable[[], Sequence[str]]
    """The command; called before each start if it is a function."""
    log: Path
    """Standard output and error go here. What an earlier supervisor wrote is kept once, as ``*.old``."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """Awaited before each start, restarts included."""
    ready: Callable[[], Awaitable[bool]] | None = None
    """Asked again and again after each start until it gives true; an `OSError` counts as false. None: ready at once."""
    ready_timeout_s: float = 30.0
    """From the start to ready; after that the start has failed."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """Added to our own environment."""
    cwd: Path | None = None
    run_as: RunAs | None = None
    """The account it runs as; None: ours."""
    on_line: Callable[[str], None] | None = None
    """Called with each line of standard output, without its end; the line goes to the log too."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks the service's own process (not its children: they are its business) to end. It also gets it when we die."""
    stop_timeout_s: float = 5.0
    """After this long without an end: SIGKILL to it and all in its session."""
    restarts: int = 3
    """How often in a row it is started again after it ended by itself; 0: never. The row is over once it was up ``healthy_after_s``."""
    healthy_after_s: float = 60.0
    restart_delay_s: float = 0.25
    """Before the first restart; doubled for each further one in a row."""
    may_finish: bool = False
    """An end with exit code 0 is no failure: the service had one thing to do."""
    final_code: int | None = None
    """An end with this exit code is for good: starting it again would do harm."""


def last_lines(log: Path, count: int = 12) -> str:
    """The last ``count`` lines of a log, indented, or a remark that there are none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 300 * count))
            lines = file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines or ["(nothing)"])


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if -code in set(signal.Signals) else f"exit code {code}"


class RunningService:
    """A service, its process now, and what became of it."""

    def __init__(self, service: Service, token: Mapping[str, str], tell_guard: Callable[[str], None]) -> None:
        self.service = service
        self.is_ready = asyncio.Event()
        """Set at the first time it was ready, and stays so."""
        self.finished = asyncio.Event()
        """Set when it ended as it ``may_finish``."""
        self.starts = 0
        self.process: asyncio.subprocess.Process | None = None
        self.task: asyncio.Task[None] | None = None
        """The one that runs `keep`."""
        self._token = token
        self._tell_guard = tell_guard
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self.process is None or self.process.returncode is not None else self.process.pid

    async def keep(self) -> None:
        """Start it, and again when it ends, until it finished or `stop` was called. Raises `ServiceError` when it ended too often."""
        failures = 0
        delay_s = 0.0
        while not self._stopping:
            await asyncio.sleep(delay_s)
            started = time.monotonic()
            code = await self._run_once()
            if self._stopping:
                return
            if code == 0 and self.service.may_finish:
                logger.info("%s has finished", self.service.name)
                self.is_ready.set()
                self.finished.set()
                return
            failures = 1 if time.monotonic() - started >= self.service.healthy_after_s else failures + 1
            if code == EXIT_CANNOT_LAUNCH:
                raise self._failure("could not be started")
            if code == self.service.final_code:
                raise self._failure(f"ended for good (exit code {code})")
            if failures > self.service.restarts:
                raise self._failure(f"ended by itself ({_how(code)}, {failures} in a row)")
            delay_s = self.service.restart_delay_s * 2 ** (failures - 1)
            logger.warning("%s ended by itself (%s), starting it again in %.1f s", self.service.name, _how(code), delay_s)

    async def stop(self, deadline: float, hurry: asyncio.Event) -> None:
        """Ask it to end, and kill it after its bound, at ``deadline`` (of the monotonic clock) or on ``hurry``.

        Nothing of its session remains.
        """
        self._stopping = True
        process = self.process
        # An old process needs no stop: its session was swept when it ended, and its number may be somebody else's by now.
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.service.stop_signal)
            until = min(deadline, time.monotonic() + self.service.stop_timeout_s)
            while process.returncode is None and time.monotonic() < until and not hurry.is_set():
                await asyncio.sleep(_POLL_S)
            if process.returncode is None:
                logger.warning("%s did not end on %s in time: killed", self.service.name, self.service.stop_signal.name)
            self._kill_session(process)
            try:
                await asyncio.wait_for(process.wait(), _KILLED_WITHIN_S)
                logger.info("%s stopped (%s)", self.service.name, _how(process.returncode or 0))
            except TimeoutError:  # it hangs inside the kernel, on a dead file server for instance; it must not take us with it
                logger.error("%s, process %d, does not even end on SIGKILL: left behind", self.service.name, process.pid)
            if self.task is not None:  # it has the last lines still to read
                await asyncio.wait({self.task}, timeout=_LAST_LINES_S)
        if self.task is not None:  # it may wait to start the service again
            self.task.cancel()

    def _failure(self, what: str) -> ServiceError:
        log = self.service.log
        return ServiceError(f"{self.service.name} {what}; the last lines of its log {log}:\n{last_lines(log)}")

    def _kill_session(self, process: asyncio.subprocess.Process) -> None:
        kill_members({process.pid}, "")
        self._tell_guard(f"-{process.pid}")

    async def _run_once(self) -> int:
        """From start to end of one process; its exit code (negative: the signal's number)."""
        try:
            if self.service.prepare is not None:
                await self.service.prepare()
        except OSError as error:
            raise self._failure(f"could not be prepared: {error}") from error
        with self._log() as log:
            process = await self._spawn(log)
            try:
                # The group ends the reading of lines whatever happens here.
                async with asyncio.TaskGroup() as tasks:
                    if self.service.on_line is not None and process.stdout is not None:
                        tasks.create_task(_read_lines(process.stdout, log, self.service.on_line))
                    await self._until_ready(process)
                    code = await process.wait()
                    # What it left of itself would hold its port, its files, or the pipe that is read here.
                    self._kill_session(process)
            except BaseExceptionGroup as group:
                # From the reading of lines or from here: in both cases exactly one.
                raise group.exceptions[0] from None
        return code

    @contextlib.contextmanager
    def _log(self) -> Iterator[BinaryIO]:
        path = self.service.log
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.starts == 0 and path.exists():
                path.replace(path.with_name(path.name + ".old"))
            log = path.open("ab", buffering=0)
        except OSError as error:
            raise ServiceError(f"the log of {self.service.name} cannot be written: {error}") from error
        with log:
            yield log

    async def _spawn(self, log: BinaryIO) -> asyncio.subprocess.Process:
        service = self.service
        argv = service.argv() if callable(service.argv) else service.argv
        self.starts += 1
        self.process = await asyncio.create_subprocess_exec(
            *launch_argv(argv, death_signal=service.stop_signal, run_as=service.run_as),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log if service.on_line is None else asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, **service.env, **self._token},
            cwd=service.cwd,
            start_new_session=True,
            limit=_LINE_LIMIT_BYTES,
        )
        self._tell_guard(f"+{self.process.pid}")
        logger.info("%s started, process %d", service.name, self.process.pid)
        return self.process

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(self.service.ready_timeout_s):
                while process.returncode is None and not await self._is_ready():
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise self._failure(f"was not ready within {self.service.ready_timeout_s:g} s") from None
        if process.returncode is None:
            self.is_ready.set()

    async def _is_ready(self) -> bool:
        if self.service.ready is None:
            return True
        try:
            # A server that accepts and never answers must not use up the whole time in one attempt.
            return await asyncio.wait_for(self.service.ready(), _PROBE_TIMEOUT_S)
        except OSError:  # TimeoutError is one
            return False


async def _read_lines(stream: asyncio.StreamReader, log: BinaryIO, on_line: Callable[[str], None]) -> None:
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than the limit; asyncio has thrown it away
            continue
        if not line:
            return
        log.write(line)
        on_line(line.decode(errors="replace").rstrip("\r\n"))
