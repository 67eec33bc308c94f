"""Many runs made again in one Dagster run.

A job of its own rather than a backfill: Dagster makes a run of each stretch of partitions that follow each other, so every second of a
hundred would be fifty runs. No ``from __future__`` annotations: Dagster refuses the type of ``context`` as a string.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field, field_validator, model_validator

from wpb_dagster.partitions import add_runs
from wpb_dagster.remaking import Failed, Given, Remade, Task
from wpb_dagster.reporting import Reporter
from wpb_dagster.reprocessing import reprocess
from wpb_dagster.resources import Catalogue, DetectorFiles, Recipes, ResultsFolder, Viewer
from wpb_dagster.selection import Selection, choose_runs, time_of
from wpb_dagster.stale import stale_runs
from wpb_stream.recipes.asked import WpbEntry

NIGHTLY = "0 3 * * *"
"""When stale runs are made again, in UTC."""


class Reprocess(dg.Config):
    """Which runs are made again, and how."""

    runs: list[str] = Field(default=[], description="Uids of the runs; or leave it empty and say which by the conditions below.")
    since: str | None = Field(default=None, description="Runs that started then or later: 2026-06-01 or 2026-06-01T12:00+02:00.")
    until: str | None = Field(default=None, description="Runs that started before.")
    plan: str | None = Field(default=None, description="Runs of that plan.")
    status: str | None = Field(default=None, description="Runs that ended so: success, abort, fail or lost.")
    stale: bool = Field(
        default=False,
        description="All runs that code or settings would make otherwise today, that failed, or that lack frames; each with what was "
        "asked for over its `wpb` entry before.",
    )
    wpb: WpbEntry = Field(
        default={},
        description='Asked for over the `wpb` entry of the start documents, key by key: {"regions": {"red": {"rows": [0, 100]}}}.',
    )
    processes: int = Field(default=2, ge=1, le=64, description="Runs at a time.")
    attempts: int = Field(default=2, ge=1, le=10, description="How often a run that fails is tried; again once all others were.")

    @field_validator("since", "until")
    @classmethod
    def _check_time(cls, value: str | None) -> str | None:
        if value is not None:
            time_of(value)
        return value

    @model_validator(mode="after")
    def _check_selection(self) -> "Reprocess":
        conditions = [name for name in ("since", "until", "plan", "status") if getattr(self, name) is not None]
        if [bool(self.runs), bool(conditions), self.stale].count(True) != 1:
            raise ValueError("say which runs: either their uids in `runs`, or conditions (since, until, plan, status), or `stale`")
        if self.stale and self.wpb:
            raise ValueError("`wpb` does not go with `stale`: each run is made with what was asked for before")
        return self

    def selection(self) -> Selection:
        """The runs it means."""
        since, until = (None if text is None else time_of(text) for text in (self.since, self.until))
        return Selection(self.runs, since, until, self.plan, self.status)


@dg.op(description="Makes runs again from their documents and files, several at a time: the same assets as when a run ends.")
def reprocess_each(
    context: dg.OpExecutionContext,
    config: Reprocess,
    catalogue: Catalogue,
    detector_files: DetectorFiles,
    results_folder: ResultsFolder,
    recipes: Recipes,
    viewer: Viewer,
) -> None:
    """Make the runs again that the run config names; each is reported as it comes, and one that fails stops no other."""
    asked: dict[str, Mapping[str, Any]] = {}
    with catalogue.reader() as reader:
        if config.stale:
            for stale in stale_runs(reader, recipes, datetime.now(UTC)):
                context.log.info("Run %s: %s.", stale.uid, stale.reason)
                asked[stale.uid] = stale.wpb
        else:
            chosen = choose_runs(reader, config.selection())
            for row in chosen.running:
                context.log.warning("Run %s is left out: it is not over.", row.uid)
            asked = {row.uid: config.wpb for row in chosen.runs}
    add_runs(context.instance, list(asked))
    tasks = [Task(uid, context.run_id, f"dagster {context.run_id}", wpb) for uid, wpb in asked.items()]
    given = given_of(catalogue, detector_files, results_folder, recipes, viewer)
    failed: list[Failed] = []
    with Reporter(context.instance, context.run_id, context.job_name, context.op_handle.name) as reporter:
        for done, outcome in enumerate(reprocess(tasks, given, processes=config.processes, attempts=config.attempts), start=1):
            match outcome:
                case Remade():
                    reporter.add(outcome.materializations)
                case Failed(final=True):
                    failed.append(outcome)
                case Failed():
                    pass
            context.log.info(told(outcome, done, len(tasks)))
    if failed:
        records = [dg.TableRecord({"run": each.task.uid, "error": each.error}) for each in failed]
        raise dg.Failure(
            f"{len(failed)} of {len(tasks)} runs could not be made again, all others were. {failed[0].task.uid}: {failed[0].error}",
            metadata={"failed runs": dg.MetadataValue.table(records)},
            allow_retries=False,  # each was tried as often as it was to be
        )


def given_of(*resources: dg.ConfigurableResource[Any]) -> Given:
    """The fields of the resources, for the processes."""
    names = ("catalogue", "detector_files", "results_folder", "recipes", "viewer")
    return {name: {field: getattr(each, field) for field in type(each).model_fields} for name, each in zip(names, resources, strict=True)}


def told(outcome: Remade | Failed, done: int, of: int) -> str:
    """An outcome as a line of a log."""
    uid = outcome.task.uid
    if isinstance(outcome, Failed):
        return f"{done}/{of}: run {uid} failed{'' if outcome.final else ' and is tried again later'}: {outcome.error}"
    checks = "".join(f"; check {name} did not pass: {description}" for name, description in outcome.failed_checks)
    return f"{done}/{of}: run {uid} was made again{checks}"


@dg.job(
    name="reprocess",
    description="Makes many runs again, with other regions say, in one Dagster run. Each is a new revision, shown to whoever watches it.",
    executor_def=dg.in_process_executor,
    # Each run has a deadline of its own, and how many there are is for whoever asks: run monitoring's max_runtime_seconds must not count.
    tags={"dagster/max_runtime": "0"},
)
def reprocess_runs() -> None:
    """The job."""
    reprocess_each()


@dg.schedule(job=reprocess_runs, cron_schedule=NIGHTLY, execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING)
def reprocess_stale() -> dg.RunRequest:
    """Each night makes those runs again that code or settings would make otherwise by now, that failed, or that lack frames."""
    # Which runs these are is found in the run: it takes longer than a tick may where there are many.
    return dg.RunRequest(run_config={"ops": {"reprocess_each": {"config": {"stale": True}}}})
