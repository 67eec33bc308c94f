"""Runs made again in processes of their own, one of which dies or hangs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import psycopg
import pytest

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from wpb_dagster.remaking import Failed, Given, Remade, Task
from wpb_dagster.reprocess_job import given_of
from wpb_dagster.reprocessing import _PROGRAM, _Worker, reprocess

pytestmark = pytest.mark.integration

WAIT_S = 60.0


@pytest.fixture
def given(resources_of: Mapping[str, Any]) -> Given:
    return given_of(*(resources_of[name] for name in ("catalogue", "detector_files", "results_folder", "recipes", "viewer")))


@pytest.fixture
def uids(beamline: Beamline) -> list[str]:
    """Two finished runs."""
    runs = [raster(write_frames(beamline.roots.roots[0] / f"{number}.h5", random_frames(20, number))) for number in range(2)]
    for documents in runs:
        beamline.acquire(documents)
    return [documents[0].doc["uid"] for documents in runs]


def tasks_of(uids: list[str]) -> list[Task]:
    return [Task(uid, "r", "a test") for uid in uids]


def workers() -> list[psutil.Process]:
    """The processes of ours that make runs again."""
    return [child for child in psutil.Process().children() if _PROGRAM in child.cmdline()]


@pytest.mark.faults
def test_a_process_that_is_killed_costs_its_run_one_attempt_and_the_next_is_another_revision(
    beamline: Beamline, uids: list[str], given: Given
) -> None:
    outcomes = reprocess(tasks_of(uids), given, processes=1, attempts=2)
    with ThreadPoolExecutor(1) as thread:
        with psycopg.connect(beamline.database_url) as pause:
            pause.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")  # the process waits for the run's documents here
            first = thread.submit(next, outcomes)
            end = time.monotonic() + WAIT_S
            while not pause.execute("SELECT 1 FROM pg_locks WHERE relation = 'documents'::regclass AND NOT granted").fetchone():
                assert time.monotonic() < end
            (process,) = workers()
            process.kill()
            killed = first.result(WAIT_S)
        assert isinstance(killed, Failed)
        assert (killed.task.uid, killed.final, "exit code -9" in killed.error) == (uids[0], False, True)
        rest = list(outcomes)
    assert [(type(each), each.task.uid, each.task.revision) for each in rest] == [(Remade, uids[1], "r"), (Remade, uids[0], "r.2")]
    assert workers() == []


@pytest.mark.faults
def test_a_process_that_is_killed_while_it_answers_costs_its_run_one_attempt_too(given: Given) -> None:
    worker = _Worker(given)
    worker.begin(Task("nobody", "r", "a test" * 2**18), WAIT_S)  # its answer names the task: more than a pipe holds
    assert worker.connection.poll(WAIT_S)
    with socket.socket(fileno=os.dup(worker.connection.fileno())) as peeked:
        peeked.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)  # more than its length, which is sent first
    (process,) = workers()
    process.kill()
    outcome = worker.take()
    worker.end()
    assert isinstance(outcome, Failed)
    assert "exit code -9" in outcome.error


def test_a_run_that_takes_too_long_is_given_up(uids: list[str], given: Given) -> None:
    outcomes = list(reprocess(tasks_of(uids), given, processes=2, attempts=1, run_deadline_s=0.0))
    assert [(type(each), each.task.uid) for each in outcomes] == [(Failed, uid) for uid in uids]
    assert {each.error for each in outcomes if isinstance(each, Failed)} == {"it took longer than 0 s and was given up"}
    assert workers() == []


def test_processes_end_with_whoever_asks_no_further(uids: list[str], given: Given) -> None:
    outcomes = reprocess(tasks_of(uids), given, processes=2, attempts=1)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert workers() == []
