"""Dagster's own sensor daemon over our code location: stopped, away while runs end, and back."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_representation.grpc_server_registry import GrpcServerRegistry
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._grpc.server import GrpcServerCommand

from tests.dagster.scans import Beamline, raster
from tests.dagster.test_sensors import uid_of
from wpb_dagster.sensors import ENDED_A_TICK
from wpb_stream.core.documents import Document

pytestmark = pytest.mark.integration


def daemon_runs(instance: dg.DagsterInstance, folder: Path, iterations: int) -> None:
    """A daemon that starts, evaluates every sensor so often, and ends."""
    target = ModuleTarget("wpb_dagster.definitions", attribute=None, working_directory=str(folder), location_name="wpb_dagster")
    # The code server is waited for at the end: it is a process of this test.
    command = GrpcServerCommand.API_GRPC
    registry = GrpcServerRegistry(instance.get_ref(), command, 60, 60, wait_for_processes_on_shutdown=True)
    with registry, WorkspaceProcessContext(instance, target, grpc_server_registry=registry) as workspace:
        for _ in range(iterations):
            list(execute_sensor_iteration(workspace, logging.getLogger("daemon"), None, None))


def test_runs_that_end_while_the_daemon_is_away_are_requested_once_when_it_is_back(
    beamline: Beamline, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WPB_DATABASE_URL", beamline.database_url)
    runs: list[list[Document]] = []

    def end(count: int) -> None:
        for _ in range(count):
            documents = raster(Path("/nowhere.h5"), shape=(1,), scan_id=len(runs))
            beamline.acquire(documents, live=False)
            runs.append(documents)

    end(2)
    daemon_runs(instance, tmp_path, 2)
    assert len(instance.get_runs()) == 2
    end(ENDED_A_TICK + 3)
    daemon_runs(instance, tmp_path, 3)
    requested = Counter(run.tags["dagster/partition"] for run in instance.get_runs())
    assert requested == Counter(uid_of(documents) for documents in runs)
    reported = instance.fetch_materializations(dg.AssetKey("run_start"), limit=1000).records
    assert Counter(str(record.partition_key) for record in reported) == requested
