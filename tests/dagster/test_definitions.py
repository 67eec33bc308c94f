"""The project as Dagster loads it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.monitoring.run_monitoring import check_run_timeout

from wpb_dagster.definitions import defs

ROOT = Path(__file__).parents[2]
MADE_AT_THE_END = {
    "documents",
    "frames",
    "point_values",
    "arrays",
    "maps",
    "preview",
    "nexus_file",
    "line_statistics",
    "line_fits",
    "summary",
}


def test_every_asset_says_what_it_is_whose_it_is_and_which_code_made_it() -> None:
    specs = {spec.key.path[-1]: spec for spec in defs.resolve_all_asset_specs()}
    assert set(specs) == {"run_start", *MADE_AT_THE_END}
    for spec in specs.values():
        assert spec.description
        assert spec.owners
        assert spec.kinds
        assert spec.code_version
        assert spec.group_name in ("acquisition", "reconstruction", "results")


def test_however_many_runs_are_made_again_run_monitoring_does_not_end_it() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def("reprocess")
        run = instance.create_run_for_job(job, tags=job.run_tags, status=dg.DagsterRunStatus.STARTED)
        record = instance.get_run_record_by_id(run.run_id)
        assert record is not None
        check_run_timeout(instance, record._replace(start_time=0.0), logging.getLogger(), 14_400.0)
        assert instance.get_run_by_id(run.run_id) == run


def test_the_lineage_leads_from_the_start_document_to_the_picture_and_the_file() -> None:
    graph = {spec.key.path[-1]: {dep.asset_key.path[-1] for dep in spec.deps} for spec in defs.resolve_all_asset_specs()}
    assert graph == {
        "run_start": set(),
        "documents": {"run_start"},
        "frames": {"documents"},
        "point_values": {"documents", "frames"},
        "arrays": {"point_values"},
        "maps": {"point_values"},
        "preview": {"maps"},
        "nexus_file": {"documents", "point_values", "maps"},
        "line_statistics": {"maps"},
        "line_fits": {"documents", "maps"},
        "summary": {"documents", "preview", "nexus_file", "line_statistics"},
    }


def test_the_job_of_the_stop_sensor_makes_all_but_what_the_start_sensor_reports_and_runs_every_check() -> None:
    job = defs.resolve_job_def("reconstruct_scan")
    assets = {key.path[-1] for key in job.asset_layer.executable_asset_keys}
    assert assets == MADE_AT_THE_END
    checks = {key.name for key in job.asset_layer.asset_graph.asset_check_keys}
    assert checks == {
        "all_frames_found",
        "file_unchanged",
        "live_equals_batch",
        "map_complete",
        "positions_within_extents",
        "values_finite",
    }
    assert job.executor_def.name == "in_process"


def test_all_sensors_run_unless_someone_stops_them() -> None:
    sensors = {sensor.name: sensor for sensor in defs.sensors or []}
    assert set(sensors) == {"run_started", "run_progress", "run_stopped"}
    assert {sensor.default_status for sensor in sensors.values()} == {dg.DefaultSensorStatus.RUNNING}  # type: ignore[union-attr]


@pytest.mark.dagster
def test_the_workspace_at_the_root_is_valid_with_nothing_configured_and_no_database(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("WPB_", "DAGSTER_"))}
    env |= {"DAGSTER_HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "1"}
    command = [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location wpb_dagster" in done.stdout
