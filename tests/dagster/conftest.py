"""A beamline whose runs are over, and a Dagster instance on the same PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from sqlalchemy.pool import QueuePool

from tests.dagster.scans import Beamline
from tests.helpers.services import running
from wpb_dagster.definitions import definitions as project
from wpb_dagster.definitions import resources
from wpb_dagster.home import DagsterHome, _answers, _program, write_home
from wpb_dagster.partitions import add_runs
from wpb_dagster.resources import Catalogue, DetectorFiles, ResultsFolder, Viewer
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.results import Results
from wpb_stream.frames.roots import DataRoots
from wpb_stream.host import free_port
from wpb_stream.service import Service


@pytest.fixture
def roots(tmp_path: Path) -> DataRoots:
    (tmp_path / "frames").mkdir()
    return DataRoots((tmp_path / "frames",))


@pytest.fixture
def beamline(postgres_url: str, tmp_path: Path, roots: DataRoots) -> Beamline:
    upgrade(postgres_url)
    return Beamline(postgres_url, Results(tmp_path / "results"), roots)


@pytest.fixture
def resources_of(beamline: Beamline) -> Mapping[str, Any]:
    return resources(
        catalogue=Catalogue(database_url=beamline.database_url),
        detector_files=DetectorFiles(data_roots=[str(root) for root in beamline.roots.roots], path_map=[]),
        results_folder=ResultsFolder(folder=str(beamline.results.root)),
        viewer=Viewer(base_url="http://viewer.example"),
    )


@pytest.fixture
def definitions(resources_of: Mapping[str, Any]) -> dg.Definitions:
    return project(resources_of)


@pytest.fixture(scope="session", autouse=True)
def pooled() -> Iterator[None]:
    """Dagster's storage opens a connection for each thing it asks, hundreds a run: a third of all that these tests would do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sqlalchemy.pool.NullPool", QueuePool)
        yield


@pytest.fixture
def instance(postgres_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's storage in a database beside the catalogue's, by the ``dagster.yaml`` that production has."""
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}_dagster"')
    home = write_home(tmp_path / "dagster", postgres_url.replace(f"/{name}?", f"/{name}_dagster?"))
    with dg.DagsterInstance.from_config(str(home.folder)) as instance:
        yield instance
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}_dagster" WITH (FORCE)')


@pytest.fixture
def materialise(definitions: dg.Definitions, instance: dg.DagsterInstance):
    """Runs the job of the stop sensor for a run, in this process."""

    def run(uid: str) -> dg.ExecuteInProcessResult:
        add_runs(instance, [uid])
        job = definitions.resolve_job_def("reconstruct_scan")
        return job.execute_in_process(instance=instance, partition_key=uid, raise_on_error=False)

    return run


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


@pytest.fixture
def webserver(instance: dg.DagsterInstance, beamline: Beamline, tmp_path: Path) -> Iterator[str]:
    """Dagster's web server over our code location and this instance: its address, ``http://127.0.0.1:port``."""
    port = free_port("127.0.0.1", 0)

    async def ready() -> bool:
        return await asyncio.to_thread(_answers, ("127.0.0.1", port))

    argv = [_program("dagster-webserver"), "-h", "127.0.0.1", "-p", str(port), "-m", "wpb_dagster.definitions"]
    env = DagsterHome(tmp_path / "dagster", tmp_path, tmp_path).environment | {"WPB_DATABASE_URL": beamline.database_url}
    log = tmp_path / "dagster-web.log"
    with running(Service(name="Dagster's web server", argv=argv, env=env, log=log, ready=ready, ready_timeout_s=90.0)):
        yield f"http://127.0.0.1:{port}"
