"""Everything a beamline runs, started and supervised: `wpb up`, and with a simulated beamline `wpb demo`.

What the settings name is used as it is; PostgreSQL and a broker are started from wheels where they name none.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from wpb_stream.core.exceptions import Fenced, ServiceError
from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.gateways.publisher import connection_to
from wpb_stream.host import free_port, lock_folder
from wpb_stream.listeners import open_sources
from wpb_stream.service import Service
from wpb_stream.settings import Settings, environment, split_address
from wpb_stream.sources.kafka_settings import KafkaAddress
from wpb_stream.supervisor import Supervisor
from wpb_stream.tokens import new_token

DEMO_TOPIC = "wpb-demo.bluesky.runengine.documents"
"""Where documents are published to if no source is set: named as Bluesky's beamlines name theirs."""
BROKER_PORT = 9092


@dataclass(frozen=True, slots=True)
class Beamline:
    """What the simulated beamline scans."""

    shape: str = "24x24"
    frame: str = "256x320"
    rate: float = 60.0
    scans: int | None = None
    """None: until it is stopped."""
    on_event: Callable[[dict[str, Any]], None] = lambda event: None
    """Told each ``run_started``, ``progress`` and ``run_stopped``."""


@dataclass(frozen=True, slots=True)
class Running:
    """What runs, and where."""

    settings: Settings
    """With the addresses that were found for what the settings left open."""
    supervisor: Supervisor

    @property
    def viewer(self) -> str:
        """URL of the viewer."""
        return self.settings.viewer

    @property
    def feed(self) -> str:
        """URL of the websocket feed."""
        return self.settings.feed

    @property
    def dagster(self) -> str:
        """URL of Dagster's web server."""
        return self.settings.dagster

    @property
    def logs(self) -> Path:
        """Folder of the logs of all parts."""
        return self.settings.data / "logs"

    async def scan(self, beamline: Beamline) -> None:
        """Start the simulated beamline."""
        await self.supervisor.start(_simulated(self.settings, beamline))


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Start everything; stopped in the reverse order when the context ends, or one part fails for good.

    :raises ServiceError: naming the part that failed, and its log
    """
    settings.check_exposure()
    open_sources(settings)  # a mistake is told before anything is started
    if settings.gateway_topic is not None:
        connection_to(settings.gateway_topic, settings.kafka_options)
    ready = False
    with lock_folder(settings.data):
        settings, services = _with_services(settings)
        async with Supervisor() as supervisor:
            await supervisor.start(*services)
            for address, topic in _embedded_topics(settings, services):
                await create_topic(address, topic)
            await supervisor.start(_stream(settings), *_beside(settings))
            ready = True
            yield Running(settings, supervisor)
        if not ready:  # a signal ends the supervisor's block quietly, whoever waits for us must not go on
            raise ServiceError("stopped before everything was ready")


def _with_services(settings: Settings) -> tuple[Settings, list[Service]]:
    """The settings completed, and the services from wheels that complete them."""
    found: dict[str, Any] = {"data": settings.data.resolve()}
    services: list[Service] = []
    if settings.database_url is None:
        postgres = EmbeddedPostgres(settings.data)
        services.append(postgres.service())
        found.update(database_url=postgres.database_url, dagster_database_url=postgres.dagster_url)
    given: set[int] = set()
    if not settings.sources:
        port = free_port("127.0.0.1", BROKER_PORT)
        given.add(port)
        broker = EmbeddedBroker(settings.data, port)
        services.append(broker.service())
        found["sources"] = (f"kafka://{broker.address}/{DEMO_TOPIC}",)
    host, wanted = split_address(settings.listen)
    port = free_port(host, wanted, besides=given)
    found["listen"] = f"{host}:{port}"
    found["dagster_port"] = dagster_port = free_port("127.0.0.1", settings.dagster_port, besides={*given, port})
    if settings.dagster_url is None:
        found["dagster_url"] = f"http://127.0.0.1:{dagster_port}"  # said, so that the viewer leads there: here it is for sure
    if settings.token is None:  # Dagster's processes watch the feed too, perhaps once there are tokens
        found["token"], _ = new_token("wpb up")
    if not settings.data_roots:
        frames = settings.data.resolve() / "frames"
        frames.mkdir(parents=True, exist_ok=True)
        found["data_roots"] = (frames,)
    return settings.model_copy(update=found), services


def _embedded_topics(settings: Settings, services: list[Service]) -> list[tuple[str, str]]:
    if not any(service.name == "broker" for service in services):
        return []
    address = KafkaAddress.parse(settings.sources[0])
    of_gateways = KafkaAddress.parse(settings.gateway_topic) if settings.gateway_topic else None
    topics = [*address.topics, *(of_gateways.topics if of_gateways and of_gateways.servers == address.servers else ())]
    return [(address.servers, topic) for topic in topics]


def _stream(settings: Settings) -> Service:
    async def ready() -> bool:
        return await asyncio.to_thread(_answers, f"{settings.served}healthz")

    return Service(
        name="wpb stream",
        argv=[sys.executable, "-m", "wpb_stream.cli", "stream"],
        env=environment(settings),
        log=settings.data / "logs" / "stream.log",
        ready=ready,
        final_code=Fenced.exit_code,
    )


def _beside(settings: Settings) -> list[Service]:
    """What other packages run beside the streaming process; Dagster, known here by its entry point alone."""
    variables = environment(settings)
    return [service for point in entry_points(group="wpb.services") for service in point.load()(settings, variables)]


def _simulated(settings: Settings, beamline: Beamline) -> Service:
    address = KafkaAddress.parse(settings.sources[0])
    command = [sys.executable, "-m", "wpb_stream.sim.beamline", "--kafka", address.servers, "--topic", address.topics[0]]
    command += ["--data", str(settings.data / "frames"), "--shape", beamline.shape, "--frame", beamline.frame, "--rate", str(beamline.rate)]
    command += ["--scans", str(beamline.scans)] if beamline.scans else []

    def on_line(line: str) -> None:
        beamline.on_event(json.loads(line))

    return Service(
        name="beamline",
        argv=command,
        log=settings.data / "logs" / "beamline.log",
        on_line=on_line,
        may_finish=beamline.scans is not None,
        restarts=0 if beamline.scans else 3,
    )


def _answers(url: str) -> bool:
    unverified = ssl.create_default_context()  # our own process, asked by its address: the certificate is for its name
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(url, timeout=2.0, context=unverified) as response:  # noqa: S310  our own process
        return response.status == 200


def database_of(settings: Settings) -> str:
    """The catalogue's database: the one the settings name, else the embedded one of the data folder.

    :raises ServiceError: there is neither
    """
    if settings.database_url is not None:
        return settings.database_url
    postgres = EmbeddedPostgres(settings.data)
    if not postgres.socket.exists():
        raise ServiceError(f"wpb is not running on the data folder {settings.data}: start `wpb up` or `wpb demo`, or set WPB_DATABASE_URL")
    return postgres.database_url
