"""One run made again, start to end, by the assets themselves: in a process that was started for that by :mod:`wpb_dagster.reprocessing`.

They are called without Dagster's engine, by :mod:`wpb_dagster.direct`, and what there is to tell of them is handed to whoever asked: so
what a run is made of when many are made again is what it is made of when it ends, whatever assets there are.
"""

from __future__ import annotations

import logging
import signal
import traceback
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Self

import dagster as dg

from wpb_dagster.direct import steps_of, walk
from wpb_dagster.provenance import provenance_tags
from wpb_dagster.resources import Recipes

JOB = "reconstruct_scan"
Given = Mapping[str, Mapping[str, Any]]
"""The fields of each resource, by its name in :func:`wpb_dagster.definitions.resources`."""


@dataclass(frozen=True, slots=True)
class Task:
    """A run to be made again."""

    uid: str
    revision: str
    """What its new revision is called; no run may have one of that name yet."""
    produced_by: str
    wpb: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What is asked for over the ``wpb`` entry of its start document, key by key."""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Remade:
    """A run that was made again."""

    task: Task
    materializations: list[dg.AssetMaterialization]
    failed_checks: list[tuple[str, str]]
    """Name and description of each check that did not pass."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A run that could not be made again."""

    task: Task
    error: str
    """One line: which asset, and why."""
    final: bool = True
    """Whether it is not tried again."""


class Remaker:
    """Makes runs again, one after the other. What does not change from run to run is looked up once: settings, connections, recipes.

    :raises ServiceError: the settings are wrong
    """

    def __init__(self, given: Given) -> None:
        # Not at the top: the definitions have the job that this is a part of.
        from wpb_dagster.definitions import definitions, resources_of

        self._resources = resources_of(given)
        self._recipes: Recipes = self._resources["recipes"]
        self._steps = steps_of(definitions(self._resources).resolve_job_def(JOB))
        self._open = ExitStack()
        self._open.enter_context(self._resources["catalogue"].kept_open())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def remake(self, task: Task) -> Remade | Failed:
        """Make one run again, here and now."""
        run = dg.DagsterRun(job_name=JOB, tags=dict(provenance_tags(task.revision, task.produced_by)))
        walked = walk(self._steps, task.uid, run, {**self._resources, "recipes": self._recipes_over(task.wpb)})
        if walked.failures:
            return Failed(task, _told_of(*walked.failures[0]))
        return Remade(
            task,
            [_with_checks(each, walked.checks) for each in walked.materializations],
            [(check.check_name, check.description or "") for check in walked.checks if not check.passed],
        )

    def _recipes_over(self, wpb: Mapping[str, Any]) -> Recipes:
        if wpb != self._recipes.wpb:
            self._recipes = Recipes(plans=self._recipes.plans, wpb=dict(wpb))
        return self._recipes


def serve(descriptor: int) -> None:
    """Make runs again as they are asked for, until whoever asks is gone.

    :param descriptor: of the connection: on it come the resources' fields, and then tasks; on it go the outcomes
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal reaches us too: whoever started us ends us
    logging.getLogger("wpb_dagster").addHandler(logging.NullHandler())  # what there is to say is in the outcomes
    requests = Connection(descriptor)
    given: Given = requests.recv()
    with ExitStack() as stack:
        remaker = None
        while True:
            try:
                task: Task = requests.recv()
            except EOFError:
                return
            try:
                remaker = remaker or stack.enter_context(Remaker(given))
                outcome = remaker.remake(task)
            except Exception as error:  # a mistake in the settings, say; the next run may have better luck
                outcome = Failed(task, _told_of("its settings", error))
            requests.send(outcome)


def _with_checks(made: dg.AssetMaterialization, checks: Iterable[dg.AssetCheckEvaluation]) -> dg.AssetMaterialization:
    """With what its checks said: Dagster takes no evaluations of a step that is none of theirs."""
    told = {f"check {check.check_name}": _verdict(check) for check in checks if check.asset_key == made.asset_key}
    return dg.AssetMaterialization(made.asset_key, partition=made.partition, metadata={**made.metadata, **told}, tags=made.tags)


def _verdict(check: dg.AssetCheckEvaluation) -> str:
    return "passed" if check.passed else f"{check.severity.value.lower()}: {check.description or ''}"


def _told_of(step: str, error: BaseException) -> str:
    """Which step failed, and what it said in the end, as one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    told = error.description if isinstance(error, dg.Failure) else None
    return " ".join(f"{step}: {told or ''.join(traceback.format_exception_only(error))}".split())
