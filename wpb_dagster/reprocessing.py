"""Many runs made again, several at a time, each in a process of its own kind: one that fails, hangs or dies stops no other.

Memory is bounded: a process holds one run at a time, and one window of its frames.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe, wait

from wpb_dagster.remaking import Failed, Given, Remade, Task

RUN_DEADLINE_S = 1800.0
"""A run that takes longer is given up: file systems hang."""
_END_TIMEOUT_S = 5.0
_PROGRAM = "import sys; from wpb_dagster.remaking import serve; serve(int(sys.argv[1]))"


class _Worker:
    """A process that makes one run after the other again."""

    def __init__(self, given: Given) -> None:
        # Not by multiprocessing: what Dagster and HDF5 hold in threads does not survive a fork, and a Celery worker, which is what
        # multiprocessing calls a daemon, may not start processes by it at all.
        self.connection, theirs = Pipe()
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(number)], stdin=subprocess.DEVNULL, pass_fds=[number])
        self._send(given)
        self.task: Task | None = None
        self.deadline = float("inf")

    def begin(self, task: Task, deadline_s: float) -> None:
        self.task, self.deadline = task, time.monotonic() + deadline_s
        self._send(task)

    def take(self) -> Remade | Failed:
        """The answer, which is there."""
        assert self.task is not None
        try:
            return self.connection.recv()
        except (EOFError, OSError):  # the latter if it ended in the middle of its answer
            self._wait()
            return Failed(
                self.task, f"the process that made it again ended (exit code {self._process.returncode}); is there enough memory?"
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self.connection.close()
        self._process.kill()
        self._wait()

    def _send(self, message: object) -> None:
        with suppress(BrokenPipeError):  # it died; that is seen when its answer is taken
            self.connection.send(message)

    def _wait(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_TIMEOUT_S)


def reprocess(
    tasks: Iterable[Task], given: Given, *, processes: int, attempts: int, run_deadline_s: float = RUN_DEADLINE_S
) -> Iterator[Remade | Failed]:
    """Make runs again; each outcome is given as it comes.

    A run that failed is tried again once all others were, as a new revision; each failure is given.

    :param given: the resources, as the processes are to have them
    :param processes: runs at a time
    :param attempts: how often a run is tried
    """
    todo = deque(tasks)
    workers: list[_Worker] = []
    try:
        while todo or any(worker.task for worker in workers):
            _hand_out(todo, workers, given, processes, run_deadline_s)
            for worker, outcome in _outcomes([worker for worker in workers if worker.task], run_deadline_s):
                worker.task = None
                if not worker.alive or (isinstance(outcome, Failed) and worker.deadline <= time.monotonic()):
                    worker.end()
                    workers.remove(worker)
                if isinstance(outcome, Failed) and outcome.task.attempt < attempts:
                    todo.append(_again(outcome.task))
                    yield replace(outcome, final=False)
                else:
                    yield outcome
    finally:
        for worker in workers:
            worker.end()


def _hand_out(todo: deque[Task], workers: list[_Worker], given: Given, processes: int, run_deadline_s: float) -> None:
    while todo:
        idle = next((worker for worker in workers if worker.task is None), None)
        if idle is None:
            if len(workers) == processes:
                return
            idle = _Worker(given)
            workers.append(idle)
        idle.begin(todo.popleft(), run_deadline_s)


def _outcomes(busy: list[_Worker], run_deadline_s: float) -> Iterator[tuple[_Worker, Remade | Failed]]:
    """Of the workers that are at work those that are done, at least one of them."""
    by_connection = {worker.connection: worker for worker in busy}
    earliest = min(worker.deadline for worker in busy)
    ready = [each for each in wait(list(by_connection), max(0.0, earliest - time.monotonic())) if isinstance(each, Connection)]
    for connection in ready:
        yield by_connection[connection], by_connection[connection].take()
    now = time.monotonic()
    for worker in busy:
        if worker.connection not in ready and worker.deadline <= now and worker.task is not None:
            yield worker, Failed(worker.task, f"it took longer than {run_deadline_s:g} s and was given up")


def _again(task: Task) -> Task:
    """The next attempt: under another name, as clients may have been shown rows of this one."""
    attempt = task.attempt + 1
    first = task.revision.rpartition(".")[0] if task.attempt > 1 else task.revision
    return replace(task, attempt=attempt, revision=f"{first}.{attempt}")
