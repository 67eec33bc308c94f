"""One run made again, start to end, by the assets themselves: in a process that was started for that by :mod:`wpb_dagster.reprocessing`.

The assets are run by Dagster against an instance in memory, whose materialisations are handed to whoever asked: so what a run is made
of when many are made again is what it is made of when it ends, whatever assets there are.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import Any

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from wpb_dagster.partitions import add_runs
from wpb_dagster.provenance import provenance_tags

JOB = "reconstruct_scan"
RUNS_AN_INSTANCE = 50
"""Runs that an instance in memory is used for: making one takes a while, and it holds all that happened in it."""
_KEPT_TAGS = ("dagster/code_version", "dagster/data_version", "dagster/input_data_version/")
"""Of a materialisation: what Dagster tells staleness by. The rest points into the instance in memory."""

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


def serve(descriptor: int) -> None:
    """Make runs again as they are asked for, until whoever asks is gone.

    :param descriptor: of the connection: on it come the resources' fields, and then tasks; on it go the outcomes
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at a terminal reaches us too: whoever started us ends us
    requests = Connection(descriptor)
    given: Given = requests.recv()
    while True:
        with dg.DagsterInstance.ephemeral() as instance:
            for _ in range(RUNS_AN_INSTANCE):
                try:
                    task: Task = requests.recv()
                except EOFError:
                    return
                try:
                    outcome = remake(task, given, instance)
                except Exception as error:  # a mistake in the settings, say; the next run may have better luck
                    outcome = Failed(task, _line(f"{type(error).__name__}: {error}"))
                requests.send(outcome)


def remake(task: Task, given: Given, instance: dg.DagsterInstance) -> Remade | Failed:
    """Make one run again, here and now.

    :param instance: one in memory
    """
    job = _job(json.dumps(given), json.dumps(task.wpb))
    add_runs(instance, [task.uid])
    result = job.execute_in_process(
        instance=instance,
        partition_key=task.uid,
        raise_on_error=False,
        tags=provenance_tags(task.revision, task.produced_by),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    if not result.success:
        return Failed(task, _why(result))
    checks = {(check.asset_key, check.check_name): check for check in result.get_asset_check_evaluations()}
    made = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    return Remade(
        task,
        [
            dg.AssetMaterialization(
                each.asset_key,
                partition=task.uid,
                metadata={
                    **each.metadata,
                    **{f"check {name}": _told(check) for (key, name), check in checks.items() if key == each.asset_key},
                },
                tags={tag: value for tag, value in (each.tags or {}).items() if tag.startswith(_KEPT_TAGS)},
            )
            for each in made
        ],
        [(name, check.description or "") for (_, name), check in checks.items() if not check.passed],
    )


@lru_cache(maxsize=4)
def _job(given: str, wpb: str) -> dg.JobDefinition:
    # Not at the top: the definitions have the job that this is a part of.
    from wpb_dagster.definitions import definitions, resources_of

    fields = json.loads(given)
    fields["recipes"] = {**fields["recipes"], "wpb": json.loads(wpb)}
    return definitions(resources_of(fields)).resolve_job_def(JOB)


def _told(check: dg.AssetCheckEvaluation) -> str:
    return "passed" if check.passed else f"{check.severity.value.lower()}: {check.description or ''}"


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The first step that failed, and what it said."""
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            told = failure.user_failure_data.description if failure.user_failure_data else None
            return _line(f"{event.step_key}: {told or _root(failure.error)}")
    return "Dagster failed, and did not say where"


def _root(error: SerializableErrorInfo | None) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message if error else "it did not say why"


def _line(text: str) -> str:
    return " ".join(text.split())
