"""The examples of docs/how-to/dagster-production.md: each is what Dagster, systemd or Compose takes."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config_schema
from dagster._core.workspace.load import location_origins_from_yaml_paths

from tests.dagster.scans import Beamline, random_frames
from tests.dagster.test_run import acquired
from wpb_dagster.assets.reconstruction import FILE_POOL
from wpb_dagster.home import LOCATION
from wpb_stream.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples" / "dagster"
HOW_TO = (DOCS / "how-to" / "dagster-production.md").read_text()
UNITS = sorted((EXAMPLES / "systemd").glob("*.service"))
PROGRAMS = Path(sys.executable).parent


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((EXAMPLES / name).read_text())


def environment_file() -> dict[str, str]:
    lines = (EXAMPLES / "environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.integration
def test_dagster_yaml_is_an_instance_whose_runs_wait_their_turn_and_are_watched(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = yaml.safe_load((tmp_path / "dagster" / "dagster.yaml").read_text())
    monkeypatch.setenv("WPB_DAGSTER_SQLALCHEMY_URL", own["storage"]["postgres"]["postgres_url"])
    monkeypatch.setenv("WPB_DAGSTER_LOGS", str(tmp_path / "logs"))
    home = tmp_path / "production"
    home.mkdir()
    (home / "dagster.yaml").write_text((EXAMPLES / "dagster.yaml").read_text())
    instance.add_dynamic_partitions("run", ["seen"])
    with dg.DagsterInstance.from_config(str(home)) as production:
        assert production.get_dynamic_partitions("run") == ["seen"], "it is the same database"
        assert (production.run_monitoring_enabled, production.run_retries_enabled, production.run_retries_max_retries) == (True, True, 2)
        assert production.get_concurrency_config().run_queue_config.max_concurrent_runs == 8  # type: ignore[union-attr]
        assert not production.telemetry_enabled


@pytest.mark.parametrize(("name", "host"), [("workspace.yaml", "127.0.0.1"), ("workspace.compose.yaml", "code")])
def test_the_workspace_names_the_code_server(name: str, host: str) -> None:
    (origin,) = location_origins_from_yaml_paths([str(EXAMPLES / name)])
    assert (origin.location_name, origin.host, origin.port) == (LOCATION, host, 4266)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["kubernetes/launcher.yaml", "celery/launcher.yaml"])
def test_a_launcher_has_no_key_that_it_does_not_know_and_lacks_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_CELERY_BROKER", "amqp://127.0.0.1//")
    monkeypatch.setenv("WPB_CELERY_BACKEND", "db+postgresql://database/dagster")
    launcher = load(name)["run_launcher"]
    whole = process_config(dagster_instance_config_schema(), {"run_launcher": launcher})
    assert whole.success, whole.errors
    schema = resolve_to_config_type(getattr(import_module(launcher["module"]), launcher["class"]).config_type())
    fits = process_config(schema, launcher["config"])  # type: ignore[arg-type]
    assert fits.success, fits.errors
    assert not process_config(schema, launcher["config"] | {"no_such_key": 1}).success  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_program_that_wpb_installs_with_options_that_it_has(unit: Path) -> None:
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read(unit)
    program, *arguments = parsed["Service"]["ExecStart"].split()
    name = program.removeprefix("/opt/wpb/bin/")
    commands = [word for word in arguments[:2] if word.isalpha()] if name in ("wpb", "dagster", "dagster-daemon") else []
    help_text = subprocess.run([PROGRAMS / name, *commands, "--help"], capture_output=True, text=True, check=True).stdout
    flags = {word for word in arguments if word.startswith("-")}
    assert flags <= set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", help_text))
    after = parsed["Unit"]["After"].split()[1:]
    assert set(after) <= {each.name for each in UNITS}
    assert unit.stem in HOW_TO


def test_what_the_environment_sets_are_settings_that_there_are() -> None:
    known = {f"WPB_{name.upper()}" for name in Settings.model_fields} | {"DAGSTER_HOME", "DAGSTER_DISABLE_TELEMETRY"}
    read = {
        entry for name in ("dagster.yaml", "celery/launcher.yaml") for entry in re.findall(r"env: (\w+)", (EXAMPLES / name).read_text())
    }
    compose = load("compose.yaml")["x-wpb"]["environment"]
    assert set(environment_file()) <= known | read
    assert set(compose) <= known | read
    assert {"WPB_DAGSTER_SQLALCHEMY_URL", "WPB_DAGSTER_LOGS"} <= set(environment_file()) & set(compose)


def test_compose_runs_the_same_four_processes_as_systemd_beside_its_database() -> None:
    services = load("compose.yaml")["services"]
    commands = {service["command"][0] for service in services.values() if "command" in service}
    units = {Path(line.split()[0]).name for unit in UNITS for line in re.findall(r"ExecStart=(.*)", unit.read_text())}
    assert commands == units
    assert len(services) == len(UNITS) + 1
    mounted = [volume.split(":")[0] for volume in services["code"]["volumes"] if volume.startswith("./")]
    assert all((EXAMPLES / name).exists() for name in mounted)
    assert services["web"]["ports"] == ["127.0.0.1:3000:3000"], "no password is asked for"


@pytest.mark.integration
def test_the_step_that_reads_files_waits_for_a_slot_of_the_pool_that_the_page_names(
    beamline: Beamline, materialise, instance: dg.DagsterInstance
) -> None:
    assert f"dagster instance concurrency set {FILE_POOL} " in HOW_TO
    uid = acquired(beamline, random_frames(20))[0].doc["uid"]
    storage = instance.event_log_storage
    storage.set_concurrency_slots(FILE_POOL, 1)
    assert storage.claim_concurrency_slot(FILE_POOL, "another run", "point_values").is_claimed
    waited, over = list[str](), threading.Event()

    def free_once_it_waits() -> None:
        while not waited and not over.wait(0.05):
            pending = storage.get_concurrency_info(FILE_POOL).pending_steps
            waited.extend(step.step_key for step in pending if step.run_id != "another run" and not step.assigned_timestamp)
        storage.free_concurrency_slots_for_run("another run")

    thread = threading.Thread(target=free_once_it_waits)
    thread.start()
    result = materialise(uid)
    over.set()
    thread.join()
    assert result.success
    assert waited == ["point_values"]
