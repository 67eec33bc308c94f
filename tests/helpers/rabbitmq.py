"""A real RabbitMQ with its STOMP plugin, beside any that the system runs: ports, node name, folder and epmd of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.helpers.certificates import Certificates
from tests.helpers.services import running
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.host import free_port
from wpb_stream.service import Service
from wpb_stream.sources.stomp_connection import StompConnection
from wpb_stream.sources.stomp_frames import Frame
from wpb_stream.sources.stomp_settings import StompAddress, StompOptions

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's, without the wrapper that runs it as the system's own node."""
WAIT_S = 60.0
PASSWORD = "pass:word \u00e4"
"""Of both users."""
PUBLISHER: Mapping[str, Any] = {"username": "blueapi", "password": PASSWORD}
READER: Mapping[str, Any] = {"username": "wpb", "password": PASSWORD}
"""May do what docs/how-to/blueapi.md says is enough, no more."""
PERMISSIONS = {"configure": "^wpb-", "write": "^wpb-", "read": r"^(wpb-|amq\.topic$)"}

_numbers = count(1)


@dataclass(frozen=True)
class RabbitMQ:
    """A node, in a folder of its own."""

    folder: Path
    port: int
    tls_port: int
    amqp_port: int
    epmd_port: int
    distribution_port: int

    @property
    def pid_file(self) -> Path:
        """Where it leaves its process id."""
        return self.folder / "pid"

    def url(self, topic: str, *, tls: bool = False) -> str:
        """A source's address."""
        return f"stomp{'+ssl' if tls else ''}://127.0.0.1:{self.tls_port if tls else self.port}/topic/{topic}"

    @property
    def amqp(self) -> str:
        """Where Celery finds it."""
        return f"amqp://{PUBLISHER['username']}:{quote(PASSWORD)}@127.0.0.1:{self.amqp_port}//"

    def service(self) -> Service:
        """What the supervisor needs to run it; it is started again whenever it ended."""
        return Service(
            name="rabbitmq",
            argv=[str(SERVER)],
            log=self.folder / "log",
            prepare=self._prepare,
            ready=self._ready,
            ready_timeout_s=WAIT_S,
            cwd=self.folder,
            env={
                "HOME": str(self.folder),  # for Erlang's cookie
                "ERL_EPMD_ADDRESS": "127.0.0.1",
                "ERL_EPMD_PORT": str(self.epmd_port),
                "RABBITMQ_NODENAME": f"wpb-{self.port}@localhost",
                "RABBITMQ_DIST_PORT": str(self.distribution_port),
                "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
                "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
                "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
                "RABBITMQ_PID_FILE": str(self.pid_file),
            },
            # The script would start a second Erlang to ask the first one to end.
            stop_signal=signal.SIGKILL,
            restarts=1000,
        )

    async def _prepare(self) -> None:
        self.pid_file.unlink(missing_ok=True)

    async def _ready(self) -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()
        try:
            connection = await StompConnection.open(StompAddress.parse(self.url("ready")), StompOptions.parse(PUBLISHER))
        except ServiceError:
            return False
        await connection.close()
        return self.pid_file.exists()

    def write_settings(self) -> None:
        """Write its configuration, users and certificates."""
        certificates = Certificates(self.folder)
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        users = {"blueapi": everything, "wpb": PERMISSIONS}
        definitions = {
            "vhosts": [{"name": "/"}],
            "users": [{"name": user, "password": PASSWORD, "tags": ""} for user in users],
            "permissions": [{"user": user, "vhost": "/", **granted} for user, granted in users.items()],
        }
        (self.folder / "definitions.json").write_text(json.dumps(definitions))
        (self.folder / "plugins").write_text("[rabbitmq_stomp].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"""listeners.tcp.1 = 127.0.0.1:{self.amqp_port}
            stomp.listeners.tcp.1 = 127.0.0.1:{self.port}
            stomp.listeners.ssl.1 = 127.0.0.1:{self.tls_port}
            ssl_options.cacertfile = {certificates.authority}
            ssl_options.certfile = {certificates.broker}
            ssl_options.keyfile = {certificates.broker}
            ssl_options.verify = verify_peer
            load_definitions = {self.folder}/definitions.json
            log.console = true
            log.file = false
            """
        )

    def pid(self) -> int:
        """The process id of the node."""
        return int(self.pid_file.read_text())

    def end(self) -> None:
        """Have it end, as for a restart; it is started again at once. See `until_back`."""
        pid = self.pid()
        self.pid_file.unlink()
        os.kill(pid, signal.SIGTERM)

    async def until_back(self) -> None:
        """Wait until it answers again after `end`."""
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    if await self._ready():
                        return
                except OSError:
                    pass
                await asyncio.sleep(0.1)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """While this lasts it keeps its connections and does nothing."""
        pid = self.pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def publish(self, topic: str, *bodies: bytes, persistent: bool = False) -> None:
        """Put messages on a topic, as blueapi does: not persistent. The broker has them all when this returns."""
        connection = await StompConnection.open(StompAddress.parse(self.url(topic)), StompOptions.parse(PUBLISHER))
        headers = {"destination": f"/topic/{topic}", "persistent": str(persistent).lower()}
        try:
            for body in bodies:
                connection.send(Frame("SEND", {**headers, "content-length": str(len(body))}, body))
            connection.send(Frame("SEND", {"destination": "/topic/nobody.listens", "receipt": "all"}))
            async with asyncio.timeout(WAIT_S):
                while Frame("RECEIPT", {"receipt-id": "all"}) not in await connection.receive():
                    continue
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """One RabbitMQ for all tests. Its epmd, which makes itself a daemon, ends with the supervisor's other processes."""
    if not SERVER.exists():
        pytest.fail(f"there is no {SERVER}: apt-get install rabbitmq-server (make test does it as root)", pytrace=False)
    node = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"), *(free_port("127.0.0.1", 0) for _ in range(5)))
    node.write_settings()
    with running(node.service()):
        yield node


@pytest.fixture
def stomp_topic() -> str:
    """The name of a topic that no other test uses."""
    return f"test-{os.getpid()}.{next(_numbers)}"
