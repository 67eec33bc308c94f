"""What is let go each night: revisions that are too many or too old, and the small print of old Dagster runs.

No ``from __future__`` annotations: Dagster refuses the type of ``context`` as a string.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.event_log import SqlEventLogStorage
from sqlalchemy import text

from wpb_dagster.resources import Catalogue, ResultsFolder
from wpb_stream.catalogue.retention import Retention
from wpb_stream.settings import load

NIGHTLY = "0 5 * * *"
"""When, in UTC."""
SMALL_PRINT = (
    "ENGINE_EVENT",
    "HANDLED_OUTPUT",
    "LOADED_INPUT",
    "LOGS_CAPTURED",
    "RESOURCE_INIT_STARTED",
    "RESOURCE_INIT_SUCCESS",
    "STEP_INPUT",
    "STEP_OUTPUT",
    "STEP_START",
    "STEP_SUCCESS",
    "STEP_WORKER_STARTED",
    "STEP_WORKER_STARTING",
)
"""Events of a run that nothing but its own page shows. Materialisations, checks, failures and how runs ended stay."""


@dg.op(description="Lets revisions go as the settings keep_revisions and keep_revisions_days say; `wpb prune` does the same.")
def prune_revisions(context: dg.OpExecutionContext, catalogue: Catalogue, results_folder: ResultsFolder) -> None:
    """Remove old revisions."""
    settings = load()
    retention = Retention(catalogue.url(), settings.keep_revisions, settings.keep_revisions_days)
    results = results_folder.results()
    old = retention.old()
    freed = retention.drop(old, results)
    context.log.info("%d revisions went, %.1f MB.", len(old), freed / 1e6)
    left_over = retention.left_over(results)
    freed = sum(map(results.remove, left_over))
    context.log.info("%d files that belonged to no revision went, %.1f MB.", len(left_over), freed / 1e6)


@dg.op(description="Lets go what a run logged about itself, the setting dagster_log_days after; its materialisations and checks stay.")
def forget_small_print(context: dg.OpExecutionContext) -> None:
    """Remove old log lines of Dagster's event log, which has no retention of its own."""
    days = load().dagster_log_days
    storage = context.instance.event_log_storage
    if not days or not isinstance(storage, SqlEventLogStorage):
        context.log.info("Nothing is let go: %s.", "dagster_log_days is 0" if not days else "Dagster's storage is not SQL")
        return
    query = "DELETE FROM event_logs WHERE timestamp < :before AND (dagster_event_type IS NULL OR dagster_event_type = ANY(:small_print))"
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)  # as Dagster stores it
    with storage.index_connection() as connection:
        gone = connection.execute(text(query), {"before": before, "small_print": list(SMALL_PRINT)})
    context.log.info("%d log lines went.", gone.rowcount)


@dg.job(name="tidy_up", description="Lets old revisions and old log lines go, as the settings say.", executor_def=dg.in_process_executor)
def tidy_up() -> None:
    """The job."""
    prune_revisions()
    forget_small_print()


@dg.schedule(job=tidy_up, cron_schedule=NIGHTLY, execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING)
def tidy_up_nightly() -> dg.RunRequest:
    """Each night lets old revisions and old log lines go, as the settings say."""
    return dg.RunRequest()
