"""A real Apache ActiveMQ, whose jars Maven brings."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.services import running
from wpb_stream.host import free_port
from wpb_stream.service import Service

HERE = Path(__file__).parent
MAVEN_S = 300.0
READY_S = 60.0
LOGIN = {"username": "wpb", "password": "pass:word"}


@dataclass(frozen=True)
class ActiveMQ:
    """A broker, in a folder of its own."""

    folder: Path
    port: int

    def url(self, topic: str) -> str:
        """A source's address."""
        return f"stomp://127.0.0.1:{self.port}/topic/{topic}"

    def service(self) -> Service:
        """What the supervisor needs to run it."""
        return Service(
            name="activemq",
            argv=[
                "java",
                "-cp",
                f"{self.folder}/jars/*",
                str(HERE / "Broker.java"),
                str(self.port),
                str(self.folder / "data"),
                *LOGIN.values(),
            ],
            log=self.folder / "log",
            ready=self._ready,
            ready_timeout_s=READY_S,
            cwd=self.folder,
            stop_signal=signal.SIGKILL,
        )

    async def _ready(self) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()
        return True


def bring_jars(folder: Path) -> None:
    """Have Maven put them into ``folder/jars``. Tests that need them are left out, and say so, where there is no Maven."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"NOT TESTED against ActiveMQ: no {' and no '.join(missing)} here; apt-get install maven default-jdk-headless")
    command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={folder}/jars"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MAVEN_S, check=False)
    if done.returncode:
        pytest.fail(f"Maven cannot bring ActiveMQ:\n{done.stdout[-2000:]}", pytrace=False)


@pytest.fixture(scope="module")
def activemq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActiveMQ]:
    """One ActiveMQ for all tests of a module."""
    broker = ActiveMQ(tmp_path_factory.mktemp("activemq"), free_port("127.0.0.1", 0))
    bring_jars(broker.folder)
    with running(broker.service()):
        yield broker
