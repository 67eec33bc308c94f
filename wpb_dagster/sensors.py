"""From the catalogue to Dagster: a run that began becomes a partition, a run that ended is reconstructed.

Both read the catalogue's own counters by cursor, so that nothing is missed while Dagster is down, and both may be evaluated twice:
partitions and run keys are the same again, and a materialisation that was reported is not reported again.
"""

from collections.abc import Callable, Sequence

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from wpb_dagster import versions
from wpb_dagster.assets.acquisition import documents, run_start
from wpb_dagster.assets.results import summary
from wpb_dagster.jobs import reconstruct_scan
from wpb_dagster.metadata import about_run, plan_of, run_tags
from wpb_dagster.partitions import add_runs
from wpb_dagster.resources import Catalogue, Viewer
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.records import RunRow
from wpb_stream.core.exceptions import ServiceError

STARTED_A_TICK = 200
ENDED_A_TICK = 25
"""A tick that requests more runs takes longer than people wait: 100 cost 20 to 40 s."""


REPORTS_A_PAGE = 1000


@dg.sensor(minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def run_started(context: dg.SensorEvaluationContext, catalogue: Catalogue, viewer: Viewer) -> dg.SensorResult | dg.SkipReason:
    """A run that began becomes a partition, and what its start document says is reported as `run_start`, without starting a process."""
    cursor = int(context.cursor or 0)
    rows = ask(catalogue, lambda reader: reader.started_after(cursor, STARTED_A_TICK))
    if isinstance(rows, dg.SkipReason):
        return rows
    if not rows:
        return dg.SkipReason(f"No run began since number {cursor}.")
    add_runs(context.instance, [row.uid for row in rows])
    reported = report_start(context.instance, rows, viewer)
    told = f"Reported {reported} runs that began; no Dagster run is needed for that."
    return dg.SensorResult(skip_reason=told, cursor=str(rows[-1].started_seq))


@dg.sensor(job=reconstruct_scan, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def run_stopped(context: dg.SensorEvaluationContext, catalogue: Catalogue, viewer: Viewer) -> dg.SensorResult | dg.SkipReason:
    """A run that ended is reconstructed from its documents and files. Where no recipe fits, only its documents are kept.

    One that ended anew, because documents or frames came late, is so again, and what was made of it before is stale until then.
    """
    cursor = int(context.cursor or 0)
    rows = ask(catalogue, lambda reader: reader.ended_after(cursor, ENDED_A_TICK))
    if isinstance(rows, dg.SkipReason):
        return rows
    if not rows:
        return dg.SkipReason(f"No run ended since number {cursor}.")
    add_runs(context.instance, [row.uid for row in rows])
    report_start(context.instance, [row for row in rows if row.generation > 1], viewer)
    return dg.SensorResult(run_requests=[_request(row) for row in rows], cursor=str(rows[-1].ended_seq))


def ask(catalogue: Catalogue, question: Callable[[CatalogueReader], list[RunRow]]) -> list[RunRow] | dg.SkipReason:
    """The catalogue's answer, or why there is none: a database that is away is no failure of a sensor."""
    unavailable = catalogue.unavailable()
    if unavailable:
        return dg.SkipReason(unavailable)
    try:
        with catalogue.reader() as reader:
            return question(reader)
    except ServiceError as error:  # it went away just now
        return dg.SkipReason(str(error))


def _request(row: RunRow) -> dg.RunRequest:
    # A run that ended anew, after late documents, is a new request.
    return dg.RunRequest(
        run_key=f"{row.uid}:{row.ended_seq}",
        partition_key=row.uid,
        tags=run_tags(row.info),
        asset_selection=None if row.info.recipe else [documents.key, summary.key],
    )


def report_start(instance: dg.DagsterInstance, rows: Sequence[RunRow], viewer: Viewer) -> int:
    """Report `run_start` of runs, unless it was: by a tick that did not come to keep its cursor. Their partitions are there.

    :returns: how many were reported
    """
    reported = _reported(instance, rows)
    new = [row for row in rows if versions.of_start(row.info, row.generation).value not in reported.get(row.uid, ())]
    for row in new:
        metadata = about_run(row.info, viewer) | plan_of(row.info)
        tags = {DATA_VERSION_TAG: versions.of_start(row.info, row.generation).value}
        instance.report_runless_asset_event(dg.AssetMaterialization(run_start.key, partition=row.uid, metadata=metadata, tags=tags))
    return len(new)


def _reported(instance: dg.DagsterInstance, rows: Sequence[RunRow]) -> dict[str, set[str]]:
    """By run the data versions of `run_start` that were reported."""
    if not rows:
        return {}
    found: dict[str, set[str]] = {row.uid: set() for row in rows}
    wanted = dg.AssetRecordsFilter(asset_key=run_start.key, asset_partitions=list(found))
    cursor: str | None = None
    while True:
        page = instance.fetch_materializations(wanted, limit=REPORTS_A_PAGE, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            if event and event.partition:
                found[event.partition].add((event.tags or {}).get(DATA_VERSION_TAG, ""))
        if not page.has_more:
            return found
        cursor = page.cursor
