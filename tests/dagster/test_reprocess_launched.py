"""The job `reprocess` as Dagster's page launches it, in a Celery worker. In a process that the code server starts: test_asked_again."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import psycopg
import pytest
import yaml

from tests.dagster.scans import Beamline
from tests.dagster.test_home import ask
from tests.dagster.test_production import EXAMPLES
from tests.dagster.test_reprocess import acquire, expected
from tests.helpers.rabbitmq import RabbitMQ
from wpb_dagster.home import LOCATION, DagsterHome, dagster_database_url, services
from wpb_dagster.io_managers import stored_maps
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.frames.roots import DataRoots
from wpb_stream.host import free_port
from wpb_stream.service import Service
from wpb_stream.settings import Settings, environment, load
from wpb_stream.supervisor import Supervisor

LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params)
    { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
FINAL = ("SUCCESS", "FAILURE", "CANCELED")


async def launch(port: int, variables: dict[str, Any]) -> dict[str, Any]:
    """Launch a job, as soon as the web server knows it: it may have looked before the code server was there."""
    while True:
        answer = (await asyncio.to_thread(ask, port, LAUNCH, variables))["data"]["launchRun"]
        if answer["__typename"] != "PipelineNotFoundError":
            return answer
        await asyncio.sleep(0.2)


def on_celery(dagster: list[Service], settings: Settings, rabbitmq: RabbitMQ) -> list[Service]:
    """Dagster's services by the examples for Celery, and a worker."""
    file = settings.data / "dagster" / "dagster.yaml"
    home = json.loads(file.read_text()) | yaml.safe_load((EXAMPLES / "celery" / "launcher.yaml").read_text())
    home["run_monitoring"]["poll_interval_seconds"] = 1  # each run is looked at while it is under way
    file.write_text(json.dumps(home))
    assert settings.database_url is not None
    storage = dagster_database_url(settings.database_url, settings.dagster_database_url)
    broker = {"WPB_CELERY_BROKER": rabbitmq.amqp, "WPB_CELERY_BACKEND": f"db+{storage}"}
    worker = Service(
        name="celery",
        argv=[str(Path(sys.executable).parent / "celery"), "-A", "dagster_celery_app", "worker", "--concurrency", "2"],
        log=settings.data / "logs" / "celery.log",
        cwd=EXAMPLES / "celery",
        env={**environment(settings), **DagsterHome(file.parent, file, file).environment, **broker},
    )
    return [*(replace(service, env={**service.env, **broker}) for service in dagster), worker]


@pytest.mark.integration
async def test_a_launched_run_makes_runs_again_in_processes_of_its_own(
    postgres_cluster: EmbeddedPostgres, postgres_url: str, rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    await asyncio.to_thread(upgrade, postgres_url)
    roots = DataRoots((tmp_path / "frames",))
    settings = load(
        data=tmp_path / "data", database_url=postgres_url, dagster_port=free_port("127.0.0.1", 0), data_roots=str(roots.roots[0])
    )
    beamline = Beamline(postgres_url, Results(settings.results), roots)
    uids = [await asyncio.to_thread(acquire, beamline, number) for number in range(2)]
    config = {"ops": {"reprocess_each": {"config": {"runs": uids, "wpb": {"regions": {"top": {"rows": [0, 2]}}}}}}}
    selector = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "jobName": "reprocess"}
    variables: dict[str, Any] = {"params": {"selector": selector, "runConfigData": config}}
    async with asyncio.timeout(180.0), Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(*on_celery(services(settings, environment(settings)), settings, rabbitmq))
        launched = await launch(settings.dagster_port, variables)
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run, status = launched["run"]["runId"], ""
        while status not in FINAL:
            await asyncio.sleep(0.2)
            status = (await asyncio.to_thread(ask, settings.dagster_port, STATUS, {"run": run}))["data"]["runOrError"]["status"]
    assert status == "SUCCESS"
    with dg.DagsterInstance.from_config(str(settings.data / "dagster")) as instance:
        made_by = instance.get_run_by_id(run)
    assert made_by is not None
    assert "dagster-celery/task_id" in made_by.tags
    for number, uid in enumerate(uids):
        with CatalogueReader(postgres_url) as reader:
            assert reader.revision(uid, run) is not None
        maps = stored_maps(beamline.results, uid)
        assert maps is not None
        # The stop sensor makes the same runs at the same time: whichever came last is there.
        name, rows = ("top", slice(0, 2)) if "top" in maps.channels else ("total", slice(None))
        np.testing.assert_array_equal(maps.channels[name], expected(number, rows))
    database = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    with psycopg.connect(postgres_cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{database}_dagster" WITH (FORCE)')
