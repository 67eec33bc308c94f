"""Publishing a RunEngine's documents to Kafka with bluesky-kafka itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from bluesky_kafka import Publisher
from confluent_kafka import KafkaException

from wpb_stream.core.exceptions import ServiceError

logger = logging.getLogger(__name__)

FLUSH_TIMEOUT_S = 1.5
"""How long a run's end may wait for the broker; a broker that is gone must not keep the beamline from stopping."""


class _BoundedPublisher(Publisher):
    """bluesky-kafka's publisher, except that a flush ends."""

    def flush(self) -> None:
        undelivered = self._producer.flush(FLUSH_TIMEOUT_S)
        if undelivered:
            logger.error("%d documents not delivered to %s within %s s", undelivered, self._bootstrap_servers, FLUSH_TIMEOUT_S)


class RunPublisher:
    """A callback for the RunEngine: each run through a publisher of its own, whose key is the run's uid.

    Messages are msgpack of ``[name, document]``. librdkafka sends from a thread of its own, at the latest 5 ms (its ``linger.ms``) after a
    document; only the stop document waits until everything is delivered.

    :param bootstrap_servers: ``host:port``, several separated by commas
    """

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic
        self._publisher: Publisher | None = None

    def check(self, timeout_s: float = 5.0) -> None:
        """Ask the broker for the topic.

        :raises ServiceError: there is no answer in time
        """
        try:
            # Quiet: librdkafka would tell standard error of each attempt, twenty times a second.
            self._publisher_for(None, {"log_level": 0}).get_cluster_metadata(timeout=timeout_s)
        except KafkaException as error:
            raise ServiceError(f"no Kafka broker answers at {self._bootstrap_servers}: {error.args[0].str()}") from error

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Publish one document."""
        if name == "start":
            self._publisher = self._publisher_for(doc["uid"])
        if self._publisher is None:
            raise RuntimeError(f"a {name} document came before any start document")
        self._publisher(name, doc)
        if name == "stop":
            self._publisher = None

    def _publisher_for(self, key: str | None, config: dict[str, Any] | None = None) -> Publisher:
        return _BoundedPublisher(self._topic, self._bootstrap_servers, key, producer_config=config, flush_on_stop_doc=True)
