"""From the catalogue to Dagster, by cursor."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from psycopg.conninfo import make_conninfo

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from tests.dagster.test_run import ASSETS, checks_of, made_of
from tests.dagster.test_scan_checks import stopped
from wpb_dagster.definitions import resources
from wpb_dagster.resources import Catalogue
from wpb_dagster.sensors import ENDED_A_TICK, run_started, run_stopped
from wpb_stream.core.documents import Document

pytestmark = pytest.mark.integration


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


def request_keys(result) -> list[str]:
    return [request.run_key for request in result.run_requests]


def test_two_hundred_runs_that_ended_meanwhile_are_all_requested_once_though_cursors_were_lost_on_the_way(
    beamline: Beamline, instance: dg.DagsterInstance, tick
) -> None:
    runs = [raster(Path("/nowhere.h5"), shape=(1,), scan_id=number) for number in range(200)]
    for documents in runs:
        beamline.acquire(documents, live=False)
    asked: list[str] = []
    cursor: str | None = None
    while requests := (result := tick(run_stopped, cursor)).run_requests:
        again = tick(run_stopped, cursor)  # the daemon was ended before it kept the cursor
        assert request_keys(again) == request_keys(result)
        asked += [str(request.partition_key) for request in requests]
        cursor = result.cursor
    assert asked == [uid_of(documents) for documents in runs]
    assert set(instance.get_dynamic_partitions("run")) == set(asked)
    # That many that began are one tick of the other sensor, which reports each once.
    first = tick(run_started)
    tick(run_started)
    assert first.cursor == "200"
    assert len(instance.fetch_materializations(dg.AssetKey("run_start"), limit=1000).records) == 200


@pytest.mark.parametrize("status", ["lost", "fail"])
def test_runs_that_were_lost_or_failed_have_all_their_assets_of_what_there_is(
    status: str, beamline: Beamline, tick, materialise, definitions: dg.Definitions
) -> None:
    documents = raster(write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20)), points=13)
    documents = documents[:-1] if status == "lost" else stopped(documents, "fail", "no beam")
    beamline.acquire(documents)
    (request,) = tick(run_stopped).run_requests
    assert (request.asset_selection, request.tags["wpb/status"]) == (None, status)
    result = materialise(uid_of(documents))
    assert made_of(result) == ASSETS
    check = checks_of(result)["map_complete"]
    assert (check.passed, check.metadata["points measured"].value) == (False, 13)


def stale(instance: dg.DagsterInstance, definitions: dg.Definitions, uid: str) -> set[str]:
    """The assets that Dagster calls stale for a run, by itself or by what they are made of."""
    graph = definitions.get_repository_def().asset_graph
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    names = ("documents", "frames", "point_values", "maps", "nexus_file")
    return {name for name in names if resolver.get_status(dg.AssetKey(name), uid) == StaleStatus.STALE}


def test_a_run_made_anew_after_documents_that_came_late_is_stale_at_once_and_requested_again(
    beamline: Beamline, instance: dg.DagsterInstance, tick, materialise, definitions: dg.Definitions
) -> None:
    documents = raster(write_frames(beamline.roots.roots[0] / "scan.h5", random_frames(20)))
    uid = uid_of(documents)
    late = documents[-2]
    beamline.acquire([document for document in documents if document is not late])
    tick(run_started)
    first = tick(run_stopped)
    assert checks_of(materialise(uid))["map_complete"].metadata["points measured"].value == 18
    assert stale(instance, definitions, uid) == set()
    beamline.make_anew([*documents[:-2], documents[-1], late])
    second = tick(run_stopped, first.cursor)
    assert stale(instance, definitions, uid) >= {"documents"}
    (request,) = second.run_requests
    assert request.partition_key == uid
    assert request_keys(second) != request_keys(first)
    result = materialise(uid)
    assert checks_of(result)["map_complete"].passed
    assert checks_of(result)["live_equals_batch"].passed
    assert stale(instance, definitions, uid) == set()
    assert tick(run_stopped, second.cursor).run_requests == []
