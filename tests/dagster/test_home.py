"""Dagster run for a beamline: its configuration, and its three processes for real."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wpb_dagster.home import dagster_database_url, write_home
from wpb_stream.core.exceptions import ServiceError


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


def ask(port: int, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/graphql", json.dumps({"query": query, "variables": variables}), {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
