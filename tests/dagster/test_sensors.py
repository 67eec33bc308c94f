"""From the catalogue to Dagster, by cursor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from psycopg.conninfo import make_conninfo

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from wpb_dagster.definitions import resources
from wpb_dagster.resources import Catalogue
from wpb_dagster.sensors import ENDED_A_TICK, run_started, run_stopped
from wpb_stream.core.documents import Document

pytestmark = pytest.mark.integration


@pytest.fixture
def tick(instance: dg.DagsterInstance, resources_of: Mapping[str, Any], definitions: dg.Definitions):
    """Evaluates a sensor once, as the daemon does."""

    def evaluate(sensor: dg.SensorDefinition, cursor: str | None = None, **changed: Any):
        wanted = {name: {**resources_of, **changed}[name] for name in sensor.required_resource_keys}
        context = dg.build_sensor_context(
            instance, cursor=cursor, resources=wanted, repository_def=definitions.get_repository_def(), sensor_name=sensor.name
        )
        with dg.partition_loading_context(dynamic_partitions_store=instance):
            return sensor.evaluate_tick(context)

    return evaluate


def three_runs(beamline: Beamline) -> list[list[Document]]:
    file = write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20))
    return [raster(file, scan_id=number, data_session="cm1") for number in (1, 2, 3)]


def uid_of(documents: list[Document]) -> str:
    return documents[0].doc["uid"]


def reported(instance: dg.DagsterInstance) -> list[str | None]:
    return sorted(str(record.partition_key) for record in instance.fetch_materializations(dg.AssetKey("run_start"), limit=100).records)


def test_runs_that_began_become_partitions_and_are_reported_once_however_often_the_sensor_looks(
    beamline: Beamline, instance: dg.DagsterInstance, tick
) -> None:
    runs = three_runs(beamline)
    for documents in runs:
        beamline.begin(documents[:1])
    first = tick(run_started)
    uids = sorted(map(uid_of, runs))
    assert sorted(instance.get_dynamic_partitions("run")) == uids == reported(instance)
    tick(run_started)  # the first tick's cursor was lost
    again = tick(run_started, first.cursor)
    assert reported(instance) == uids
    assert "No run began" in str(again.skip_message)
    assert (first.cursor, first.run_requests) == ("3", [])


def test_the_report_of_a_run_that_began_says_what_its_start_document_asks_for(
    beamline: Beamline, instance: dg.DagsterInstance, tick
) -> None:
    documents = three_runs(beamline)[0]
    beamline.begin(documents[:1])
    tick(run_started)
    (record,) = instance.fetch_materializations(dg.AssetKey("run_start"), limit=10).records
    metadata = record.asset_materialization.metadata  # type: ignore[union-attr]
    assert (metadata["scan id"].value, metadata["plan"].value, metadata["status"].value) == (1, "grid_scan", "running")
    assert metadata["viewer"].value == f"http://viewer.example/?run={uid_of(documents)}"
    assert [row.data["axis"] for row in metadata["axes"].records] == ["stage-y", "stage-x"]  # type: ignore[union-attr]


def test_each_run_that_ended_is_requested_once_with_tags_a_scientist_remembers(
    beamline: Beamline, instance: dg.DagsterInstance, tick
) -> None:
    runs = three_runs(beamline)
    for documents in runs:
        beamline.acquire(documents)
    first = tick(run_stopped)
    again = tick(run_stopped)
    assert [request.partition_key for request in first.run_requests] == [uid_of(documents) for documents in runs]
    assert [request.run_key for request in first.run_requests] == [f"{uid_of(documents)}:{k}" for k, documents in enumerate(runs, start=1)]
    assert [request.run_key for request in again.run_requests] == [request.run_key for request in first.run_requests]
    tags = first.run_requests[0].tags
    assert (tags["wpb/scan_id"], tags["wpb/plan_name"], tags["wpb/data_session"]) == ("1", "grid_scan", "cm1")
    assert first.cursor == "3"
    assert tick(run_stopped, first.cursor).run_requests == []
    assert sorted(instance.get_dynamic_partitions("run")) == sorted(map(uid_of, runs))


def test_a_burst_of_runs_is_requested_in_bounded_ticks_and_none_is_left_out(beamline: Beamline, tick) -> None:
    runs = [raster(Path("/nowhere.h5"), shape=(1,), scan_id=number) for number in range(ENDED_A_TICK + 2)]
    for documents in runs:
        beamline.acquire(documents)
    first = tick(run_stopped)
    second = tick(run_stopped, first.cursor)
    assert (len(first.run_requests), len(second.run_requests)) == (ENDED_A_TICK, 2)
    requested = [request.partition_key for request in [*first.run_requests, *second.run_requests]]
    assert requested == [uid_of(documents) for documents in runs]


def test_of_a_run_without_frames_only_the_documents_and_the_summary_are_requested(beamline: Beamline, tick) -> None:
    beamline.acquire(raster(Path("/nowhere.h5"), camera=False))
    (request,) = tick(run_stopped).run_requests
    assert request.asset_selection == [dg.AssetKey("documents"), dg.AssetKey("summary")]


@pytest.mark.parametrize("sensor", [run_started, run_stopped])
def test_a_catalogue_without_tables_is_a_reason_to_skip_in_one_sentence(sensor, tick, postgres_url: str) -> None:
    empty = make_conninfo(postgres_url, dbname="postgres")
    told = tick(sensor, "5", catalogue=Catalogue(database_url=empty)).skip_message
    assert told == "The catalogue's database has no tables yet: start `wpb up` or `wpb stream`, which makes them."


@pytest.mark.parametrize("sensor", [run_started, run_stopped])
def test_a_catalogue_that_is_away_is_a_reason_to_skip_in_one_sentence(sensor, tick, tmp_path: Path) -> None:
    told = tick(sensor, "5", catalogue=Catalogue(database_url=f"postgresql://wpb@/wpb?host={tmp_path}")).skip_message
    assert told.startswith("The catalogue's database cannot be reached (")
    assert "\n" not in told


@pytest.mark.parametrize("sensor", [run_started, run_stopped])
def test_with_nothing_configured_and_nothing_running_a_sensor_skips(sensor, tick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WPB_DATABASE_URL", raising=False)
    monkeypatch.setenv("WPB_DATA", str(tmp_path / "nothing-here"))
    told = tick(sensor, catalogue=resources()["catalogue"]).skip_message
    assert "start `wpb up`" in told
    assert not (tmp_path / "nothing-here").exists()
