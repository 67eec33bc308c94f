"""What blueapi says of its tasks beside the documents: passed on to the runs that a task made.

Its worker events tell the state of the task that runs, with errors and warnings; its progress events how far each motor has come
(blueapi's ``WorkerEvent`` and ``ProgressEvent``; keys in snake case since 1.0, in camel case before).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wpb_stream.core.documents import WorkerEvent
from wpb_stream.core.messages import MovingInfo, PlanInfo
from wpb_stream.core.narrow import as_label, as_list, as_mapping
from wpb_stream.core.recipe import Notice
from wpb_stream.core.run import Run

log = logging.getLogger(__name__)

KEPT_TASKS = 100
"""Tasks that are remembered; blueapi runs one at a time."""
MAX_MOVING = 16
"""Motors that are told of."""


@dataclass(slots=True)
class Plans:
    """The tasks that are known, and the runs they made."""

    state: str | None = None
    """Of blueapi's worker, as it said last: ``IDLE``, ``RUNNING``, ``PAUSED``, ..."""
    _runs: OrderedDict[str, list[Run]] = field(default_factory=OrderedDict[str, list[Run]])

    def began(self, task: str, run: Run) -> None:
        """A run began that is part of a task."""
        self._runs.setdefault(task, []).append(run)
        run.plan = PlanInfo(task, self.state or "RUNNING")
        while len(self._runs) > KEPT_TASKS:
            self._runs.popitem(last=False)

    def forget(self, run: Run) -> None:
        """Nothing more is told to this run."""
        for task, runs in list(self._runs.items()):
            self._runs[task] = [other for other in runs if other is not run]
            if not self._runs[task]:
                del self._runs[task]

    def told(self, events: Iterable[WorkerEvent]) -> list[Run]:
        """Take in events, in their order; problems of no run that is known go to the log.

        :returns: the runs whose ``plan`` or notices they changed, each once
        """
        changed: dict[str, Run] = {}
        for event in events:
            runs = self._worker(event.body) if event.kind == "worker" else self._progress(event.body)
            changed |= {run.uid: run for run in runs}
            if not runs:
                for problem in problems(event.body):
                    log.warning("blueapi, of no run that is known: %s", problem.message)
        return list(changed.values())

    def _worker(self, body: Mapping[str, Any]) -> list[Run]:
        self.state = as_label(body.get("state"))
        status = as_mapping(body.get("task_status") or body.get("taskStatus"))
        runs = self._of(status.get("task_id") or status.get("taskId"))
        failed = status.get("task_failed", status.get("taskFailed")) is True
        for run in runs:
            if run.plan is not None:
                run.plan = msgspec.structs.replace(run.plan, state=self.state or run.plan.state, failed=failed)
            for problem in problems(body):
                run.notice(problem.code, problem.message)
        return runs

    def _progress(self, body: Mapping[str, Any]) -> list[Run]:
        runs = self._of(body.get("task_id") or body.get("taskId"))
        moving = [_moving(as_mapping(status)) for status in list(as_mapping(body.get("statuses")).values())[:MAX_MOVING]]
        for run in runs:
            if run.plan is not None:
                run.plan = msgspec.structs.replace(run.plan, moving=[one for one in moving if one is not None])
        return runs

    def _of(self, task: object) -> list[Run]:
        return list(self._runs.get(task, [])) if isinstance(task, str) else []


def problems(body: Mapping[str, Any]) -> list[Notice]:
    """The errors and warnings in a worker event."""
    kinds = (("plan_failed", "errors", "The plan failed: {}"), ("plan_warning", "warnings", "The plan warns: {}"))
    return [
        Notice(code, sentence.format(as_label(str(text)))) for code, key, sentence in kinds for text in (as_list(body.get(key)) or [])[:10]
    ]


def _moving(status: Mapping[str, Any]) -> MovingInfo | None:
    """How far one motor has come; None where blueapi does not know which it is, or where it goes."""
    name, target = as_label(status.get("display_name") or status.get("displayName")), _number(status.get("target"))
    if not name or target is None or status.get("done") is True:
        return None
    return MovingInfo(name, _number(status.get("current")), target, as_label(status.get("unit")))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
