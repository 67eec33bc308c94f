"""A real blueapi, in an environment of its own."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.rabbitmq import PUBLISHER, RabbitMQ
from tests.helpers.services import running
from wpb_stream.host import free_port
from wpb_stream.service import Service

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ENVIRONMENT = ROOT / ".venv-blueapi"
INSTALL_S = 300.0
READY_S = 180.0
ANSWER_S = 10.0


@dataclass(frozen=True)
class BlueAPI:
    """blueapi's server."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def frames(self) -> Path:
        """Where its camera writes."""
        return self.folder / "frames"

    def service(self, rabbitmq: RabbitMQ) -> Service:
        """What the supervisor needs to run it."""
        config = {
            "stomp": {
                "enabled": True,
                "url": f"tcp://127.0.0.1:{rabbitmq.port}",
                "auth": {"username": PUBLISHER["username"], "password": PUBLISHER["password"]},
            },
            "env": {
                "sources": [
                    {"kind": "planFunctions", "module": "beamline"},
                    {"kind": "deviceManager", "module": "beamline"},
                ]
            },
            "api": {"url": self.url},
        }
        self.frames.mkdir(parents=True)
        (self.folder / "blueapi.yaml").write_text(json.dumps(config))  # JSON is YAML
        return Service(
            name="blueapi",
            argv=[str(ENVIRONMENT / "bin" / "blueapi"), "--config", "blueapi.yaml", "serve"],
            log=self.folder / "log",
            ready=self._ready,
            ready_timeout_s=READY_S,
            env={"PYTHONPATH": str(HERE), "FRAMES": str(self.frames), "OTEL_SDK_DISABLED": "true", "HOME": str(self.folder)},
            cwd=self.folder,
            stop_signal=signal.SIGKILL,
            restarts=0,
        )

    async def _ready(self) -> bool:
        return (await self._ask("GET", "/environment"))["initialized"]

    async def run(self, plan: str, **parameters: object) -> str:
        """Have it run a plan; gives the id of the task."""
        request = {"name": plan, "params": parameters, "instrument_session": "cm12345-1"}
        task = (await self._ask("POST", "/tasks", request))["task_id"]
        await self._ask("PUT", "/worker/task", {"task_id": task})
        return task

    async def tasks(self) -> list[str]:
        """Ids of the tasks that it has not done yet."""
        return [each["task_id"] for each in (await self._ask("GET", "/tasks"))["tasks"] if not each["is_complete"]]

    async def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        return await asyncio.to_thread(self._answer, method, path, body)

    def _answer(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.url}/api/v1{path}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=ANSWER_S) as response:
            return json.load(response)


def install() -> None:
    """Bring the environment, unless it is there already: as requirements.txt says, from the package index this machine is set to."""
    uv = shutil.which("uv", path=f"{ROOT / '.tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        pytest.fail("there is no uv to install blueapi: make setup brings it", pytrace=False)
    requirements = HERE / "requirements.txt"
    mark = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    with (ROOT / ".tools" / "blueapi.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests of this module may be spread over several processes
        _install(uv, requirements, mark)


def _install(uv: str, requirements: Path, mark: str) -> None:
    marked = ENVIRONMENT / "installed"
    if marked.exists() and marked.read_text() == mark:
        return
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    # Two processes run in it: to compile all of it, as make has it otherwise, takes longer than what they import.
    environment = {**os.environ, **_index(), "UV_COMPILE_BYTECODE": "false"}
    environment.pop("VIRTUAL_ENV", None)
    venv = [uv, "venv", "--quiet", "--python", sys.executable, str(ENVIRONMENT)]
    sync = [uv, "pip", "sync", "--quiet", "--python", str(ENVIRONMENT / "bin" / "python"), "--require-hashes", str(requirements)]
    for command in (venv, sync):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode:
            pytest.fail(f"blueapi cannot be installed for Python {sys.version.split()[0]}:\n{done.stderr[-2000:]}", pytrace=False)
    marked.write_text(mark)


def _index() -> dict[str, str]:
    """The package index for uv, found as the Makefile finds it."""
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    index = next((os.environ[name] for name in names if os.environ.get(name)), "")
    pip = ROOT / ".tools" / "bin" / "python"
    if not index and pip.exists():
        asked = subprocess.run([pip, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False)
        index = asked.stdout.strip()
    return {"UV_DEFAULT_INDEX": index} if index else {}


@pytest.fixture(scope="module")
def blueapi(rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlueAPI]:
    """One blueapi for all tests of a module, publishing over RabbitMQ."""
    install()
    server = BlueAPI(tmp_path_factory.mktemp("blueapi"), free_port("127.0.0.1", 0))
    with running(server.service(rabbitmq)):
        yield server
