"""Assets and checks called without Dagster's engine, beside the same run made by the engine: real catalogue, real files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from wpb_dagster.direct import Walk, steps_of, walk
from wpb_dagster.partitions import add_runs
from wpb_dagster.provenance import provenance_tags
from wpb_stream.catalogue.results import LINE_FITS
from wpb_stream.core.documents import Document

pytestmark = pytest.mark.integration

TAGS = dict(provenance_tags("r", "a test"))
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
POINTERS = "dagster/input_event_pointer/"
"""Tags with numbers of an instance's own event log."""
FITTED = {"fit": {"model": "gaussian", "channels": ["total"]}, "arrays": ["mean_frame"]}


def acquired(beamline: Beamline, kind: str) -> str:
    """A finished run: with everything, and two frames that are not there; without frames; or with a file that cannot be written."""
    file = write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(18))
    documents: list[Document] = raster(file, camera=kind != "no frames", wpb=FITTED)
    beamline.acquire(documents)
    uid = documents[0].doc["uid"]
    if kind == "a failure":
        (beamline.results.folder(uid) / LINE_FITS).mkdir()
    return uid


def by_engine(job: dg.JobDefinition, uid: str) -> Walk:
    """What Dagster's engine says of it."""
    with dg.DagsterInstance.ephemeral() as instance:
        add_runs(instance, [uid])
        result = job.execute_in_process(instance=instance, partition_key=uid, raise_on_error=False, tags=TAGS, run_config=QUIET)
    made = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    failed = [(str(event.step_key), Exception(event.step_failure_data.error)) for event in result.all_events if event.is_step_failure]
    return Walk(made, list(result.get_asset_check_evaluations()), failed)


def told(walked: Walk) -> tuple[object, ...]:
    made = {
        each.asset_key: (each.partition, each.metadata, {tag: value for tag, value in (each.tags or {}).items() if POINTERS not in tag})
        for each in walked.materializations
    }
    checks = {(each.asset_key, each.check_name): (each.passed, each.severity, each.description, each.metadata) for each in walked.checks}
    return made, checks, [step for step, _ in walked.failures]


def files(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def revisions(beamline: Beamline) -> list[Any]:
    with psycopg.connect(beamline.database_url) as connection:
        return connection.execute("SELECT revision, produced_by, file, rows, finished FROM revisions ORDER BY 1").fetchall()


@pytest.mark.parametrize("kind", ["everything", "no frames", "a failure"])
def test_what_is_made_and_told_is_what_dagsters_engine_makes_and_tells(
    kind: str, beamline: Beamline, definitions: dg.Definitions, resources_of: Mapping[str, Any]
) -> None:
    uid, job = acquired(beamline, kind), definitions.resolve_job_def("reconstruct_scan")
    folder = beamline.results.folder(uid)
    engine = by_engine(job, uid)
    written, known = files(folder), revisions(beamline)
    for path in folder.iterdir():
        if path.is_file() and path.name not in ("live.npy", "live.npz"):
            path.unlink()
    with psycopg.connect(beamline.database_url) as connection:
        connection.execute("DELETE FROM revisions WHERE revision = 'r'")
    direct = walk(steps_of(job), uid, dg.DagsterRun(job_name=job.name, tags=TAGS), resources_of)
    assert told(direct) == told(engine)
    assert files(folder) == written
    assert revisions(beamline) == known
    expected = {"everything": (10, 6, []), "no frames": (1, 0, []), "a failure": (9, 6, ["line_fits"])}
    assert (len(direct.materializations), len(direct.checks), [step for step, _ in direct.failures]) == expected[kind]


def test_of_the_steps_that_could_be_next_those_of_less_priority_come_last() -> None:
    @dg.asset(op_tags={"dagster/priority": "-1"})
    def first() -> None: ...

    @dg.asset
    def second() -> None: ...

    @dg.asset(deps=[second])
    def third() -> None: ...

    job = dg.Definitions(assets=[first, second, third]).resolve_implicit_global_asset_job_def()
    assert [step.name for step in steps_of(job)] == ["second", "third", "first"]
