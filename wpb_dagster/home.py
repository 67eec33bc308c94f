"""Dagster run for a beamline: its ``dagster.yaml``, and its processes as services for wpb's supervisor.

Code server, web server and daemon, started side by side, are ready in half the time of ``dagster dev``,
with three processes instead of five. Imports nothing of Dagster, so that whoever supervises stays light.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo, sql

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.service import Service
from wpb_stream.settings import Settings

LOCATION = "wpb_dagster"
"""Name of the code location, here and in ``workspace.yaml``."""
MAX_CONCURRENT_RUNS = 2
"""Dagster runs at once: each is a process that reads a scan's files as fast as it can."""
READY_TIMEOUT_S = 60.0
_SOCKET_PATH_BYTES = 100
_PROBE_TIMEOUT_S = 3.0
_HEARTBEATS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime } } } }"


@dataclass(frozen=True, slots=True)
class DagsterHome:
    """A folder that DAGSTER_HOME may name."""

    folder: Path
    workspace: Path
    """For ``-w``: where the code server is reached."""
    socket: Path
    """What the code server listens on. Whoever reaches it may run code: its folder is closed to others."""

    @property
    def environment(self) -> dict[str, str]:
        """What every Dagster process needs on top of wpb's own settings."""
        return {
            "DAGSTER_HOME": str(self.folder),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            # Batches are for backfills: a single event is notified of at once, a batch is not.
            "DAGSTER_EVENT_BATCH_SIZE": "0",
        }


def write_home(folder: Path, database_url: str, *, max_concurrent_runs: int = MAX_CONCURRENT_RUNS) -> DagsterHome:
    """Write ``dagster.yaml`` and ``workspace.yaml``; what was there is replaced.

    :param folder: made if missing, closed to others because a password may be in it
    :param database_url: PostgreSQL for Dagster's own tables, ``postgresql://...``
    :param max_concurrent_runs: Dagster runs at the same time
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    home = DagsterHome(folder, folder / "workspace.yaml", _socket(folder))
    config = {
        # Named driver: without it SQLAlchemy from 2.1 on would take another than Dagster's.
        "storage": {"postgres": {"postgres_url": "postgresql+psycopg2://" + database_url.partition("://")[2]}},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "concurrency": {"runs": {"max_concurrent_runs": max_concurrent_runs}},
        "run_queue": {"dequeue_interval_seconds": 1},
        "run_monitoring": {"enabled": True, "start_timeout_seconds": 120, "poll_interval_seconds": 30},
        # In threads: a sensor that waits for its database does not hold up the others.
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 2},
        # A tick every few seconds is 17,000 a day.
        "retention": {
            "sensor": {"purge_after_days": {"skipped": 1, "success": 30, "failure": 30, "started": 1}},
            "schedule": {"purge_after_days": 90},
        },
        "compute_logs": {
            "module": "dagster.core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(folder / "compute_logs")},
        },
        "local_artifact_storage": {
            "module": "dagster.core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(folder)},
        },
    }
    workspace = {"load_from": [{"grpc_server": {"socket": str(home.socket), "location_name": LOCATION}}]}
    # JSON is YAML.
    _write(folder / "dagster.yaml", json.dumps(config, indent=2))
    _write(home.workspace, json.dumps(workspace, indent=2))
    return home


def services(settings: Settings, environment: Mapping[str, str]) -> list[Service]:
    """Dagster for these settings: code server, web server and daemon, to be started side by side once PostgreSQL is ready.

    :param settings: with ``database_url`` and ``dagster_port`` filled in
    :param environment: the settings as environment variables, for the code server and the runs it starts
    :raises ServiceError: there is no database
    """
    if settings.database_url is None:
        raise ServiceError("Dagster needs a database: set WPB_DATABASE_URL, or use `wpb up`, which starts one")
    catalogue_url, dagster_url = settings.database_url, dagster_database_url(settings.database_url, settings.dagster_database_url)
    home = write_home(settings.data / "dagster", dagster_url)
    env = {**environment, **home.environment}
    logs = settings.data / "logs"
    address = ("127.0.0.1", settings.dagster_port)
    started = _Clock()

    async def make_database() -> None:
        await asyncio.to_thread(_make_database, catalogue_url, dagster_url)

    async def code_ready() -> bool:
        _, writer = await asyncio.open_unix_connection(home.socket)
        writer.close()
        return True

    async def web_ready() -> bool:
        return await asyncio.to_thread(_answers, address)

    async def daemon_ready() -> bool:
        return await asyncio.to_thread(_beats, address, started.at)

    code = [_program("dagster"), "api", "grpc", "--socket", str(home.socket), "-m", "wpb_dagster.definitions", "--location-name", LOCATION]
    web = [_program("dagster-webserver"), "-h", address[0], "-p", str(address[1]), "-w", str(home.workspace)]
    daemon = [_program("dagster-daemon"), "run", "-w", str(home.workspace)]
    names = ("Dagster's code server", "Dagster's web server", "Dagster's daemon")
    return [
        Service(name=names[0], argv=code, log=logs / "dagster-code.log", prepare=make_database, ready=code_ready, env=env),
        Service(name=names[1], argv=web, log=logs / "dagster-web.log", ready=web_ready, ready_timeout_s=READY_TIMEOUT_S, env=env),
        Service(
            name=names[2],
            argv=daemon,
            log=logs / "dagster-daemon.log",
            prepare=started.now,
            ready=daemon_ready,
            ready_timeout_s=READY_TIMEOUT_S,
            env=env,
        ),
    ]


def dagster_database_url(database_url: str, configured: str | None = None) -> str:
    """Dagster's database: the configured one, else one beside the catalogue's, named after it."""
    if configured:
        return configured
    name = conninfo.conninfo_to_dict(database_url).get("dbname")
    if not name:
        raise ServiceError("WPB_DATABASE_URL names no database; it should be like postgresql://user@host/wpb")
    before, _, options = database_url.partition("?")
    return before.rpartition("/")[0] + f"/{name}_dagster" + (f"?{options}" if options else "")


class _Clock:
    """When the daemon was started last: heartbeats of an earlier one do not count."""

    at = 0.0

    async def now(self) -> None:
        self.at = time.time()


def _program(name: str) -> str:
    """A command of the environment we run in."""
    return str(Path(sys.executable).with_name(name))


def _socket(folder: Path) -> Path:
    """A path short enough for the address of a unix socket, the same at each start."""
    path = folder / "code.sock"
    if len(str(path).encode()) <= _SOCKET_PATH_BYTES:
        return path
    closed = Path(tempfile.gettempdir()) / f"wpb-dagster-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    closed.mkdir(mode=0o700, exist_ok=True)
    return closed / "code.sock"


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text + "\n")


def _make_database(catalogue_url: str, dagster_url: str) -> None:
    """Make Dagster's database at the catalogue's server, unless it exists or is elsewhere."""
    name = conninfo.conninfo_to_dict(dagster_url).get("dbname")
    try:
        with psycopg.connect(dagster_url, connect_timeout=5):
            return
    except psycopg.OperationalError as error:
        if f'database "{name}" does not exist' not in str(error):
            raise ServiceError(f"Dagster's database cannot be reached ({error}); check WPB_DAGSTER_DATABASE_URL") from error
    try:
        with psycopg.connect(catalogue_url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(name))))
    except psycopg.errors.DuplicateDatabase:
        pass
    except psycopg.Error as error:
        raise ServiceError(f"Dagster's database {name} cannot be made ({error}); make it, or set WPB_DAGSTER_DATABASE_URL") from error


def _answers(address: tuple[str, int]) -> bool:
    return "dagster_webserver_version" in _ask(address, "GET", "/server_info")


def _beats(address: tuple[str, int], since: float) -> bool:
    """Whether every daemon that is needed has given a sign of life since then (seconds since 1970)."""
    answer = _ask(address, "POST", "/graphql", {"query": _HEARTBEATS})
    daemons = answer.get("data", {}).get("instance", {}).get("daemonHealth", {}).get("allDaemonStatuses", [])
    return bool(daemons) and all((each["lastHeartbeatTime"] or 0) >= since for each in daemons if each["required"])


def _ask(address: tuple[str, int], method: str, path: str, body: Any = None) -> dict[str, Any]:
    """One request without any proxy; an answer that is no JSON object is an empty one.

    :raises OSError: nobody answers
    """
    connection = http.client.HTTPConnection(*address, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer: Any = json.loads(connection.getresponse().read())
        return answer if isinstance(answer, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    except (http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
