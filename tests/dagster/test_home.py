"""Dagster run for a beamline: its configuration, and its three processes for real."""

from __future__ import annotations

import asyncio
import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from wpb_dagster.home import dagster_database_url, services, write_home
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.results import Results
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.frames.roots import DataRoots
from wpb_stream.host import free_port
from wpb_stream.settings import environment, load
from wpb_stream.supervisor import Supervisor


def test_the_password_in_dagsters_configuration_is_for_its_owner_alone(tmp_path: Path) -> None:
    home = write_home(tmp_path / "dagster", "postgresql://wpb:secret@db/dagster")
    assert "secret" in (home.folder / "dagster.yaml").read_text()
    assert home.folder.stat().st_mode & 0o077 == 0
    assert (home.folder / "dagster.yaml").stat().st_mode & 0o077 == 0


def test_dagster_is_told_its_driver_its_limits_and_to_keep_quiet(tmp_path: Path) -> None:
    home = write_home(tmp_path / "dagster", "postgresql://wpb@/dagster?host=/run/pg", max_concurrent_runs=5)
    config = json.loads((home.folder / "dagster.yaml").read_text())
    assert config["storage"]["postgres"]["postgres_url"] == "postgresql+psycopg2://wpb@/dagster?host=/run/pg"
    assert config["concurrency"]["runs"]["max_concurrent_runs"] == 5
    assert config["telemetry"]["enabled"] is False
    assert home.environment["DAGSTER_DISABLE_TELEMETRY"] == "1"


def test_the_code_servers_address_fits_a_unix_socket_however_deep_the_data_folder_lies(tmp_path: Path) -> None:
    deep = write_home(tmp_path / ("a" * 100) / "dagster", "postgresql:///dagster")
    again = write_home(tmp_path / ("a" * 100) / "dagster", "postgresql:///dagster")
    assert len(str(deep.socket)) <= 100
    assert deep.socket == again.socket
    assert deep.socket.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("catalogue", "expected"),
    [
        ("postgresql://u:p@host:5432/wpb", "postgresql://u:p@host:5432/wpb_dagster"),
        ("postgresql://wpb@/wpb?host=/var/run/pg", "postgresql://wpb@/wpb_dagster?host=/var/run/pg"),
    ],
)
def test_dagsters_database_lies_beside_the_catalogues_unless_another_is_named(catalogue: str, expected: str) -> None:
    assert dagster_database_url(catalogue) == expected
    assert dagster_database_url(catalogue, "postgresql://elsewhere/x") == "postgresql://elsewhere/x"


def test_a_url_without_a_database_is_refused_with_a_sentence() -> None:
    with pytest.raises(ServiceError, match="names no database"):
        dagster_database_url("postgresql://host")


CHECKS = """query ($maps: AssetKeyInput!) { assetCheckExecutions(assetKey: $maps, checkName: "live_equals_batch", limit: 5)
    { status evaluation { success metadataEntries { label ... on TextMetadataEntry { text } } } } }"""


def ask(port: int, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/graphql", json.dumps({"query": query, "variables": variables}), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())


async def until_checked(port: int, uid: str) -> dict[str, Any]:
    """The first evaluation of `live_equals_batch` for a run, as Dagster's own page asks for it."""
    while True:
        answer = await asyncio.to_thread(ask, port, CHECKS, {"maps": {"path": ["maps"]}})
        for execution in answer["data"]["assetCheckExecutions"]:
            evaluation = execution["evaluation"]
            if evaluation and {"label": "run", "text": uid} in evaluation["metadataEntries"]:
                return evaluation
        await asyncio.sleep(0.2)


@pytest.mark.integration
async def test_a_run_that_ends_is_materialised_and_checked_by_the_services_alone(
    postgres_cluster: EmbeddedPostgres, postgres_url: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(upgrade, postgres_url)
    settings = load(
        data=tmp_path / "data",
        database_url=postgres_url,
        dagster_port=free_port("127.0.0.1", 0),
        data_roots=str(tmp_path / "frames"),
    )
    beamline = Beamline(postgres_url, Results(settings.results), DataRoots((tmp_path / "frames",)))
    documents = raster(write_frames(tmp_path / "frames" / "scan.h5", random_frames(20)))
    uid = documents[0].doc["uid"]
    async with asyncio.timeout(120.0), Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(*services(settings, environment(settings)))
        await asyncio.to_thread(beamline.acquire, documents)
        assert (await until_checked(settings.dagster_port, uid))["success"]
    assert beamline.results.preview(uid)
    name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    with psycopg.connect(postgres_cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}_dagster" WITH (FORCE)')
