"""Fixtures for all tests, which know no settings of the person who runs them."""

import os
from pathlib import Path

from hypothesis import settings

for _name in [name for name in os.environ if name.startswith("WPB_")]:
    del os.environ[_name]
os.environ["WPB_CONFIG"] = str(Path(__file__).parent / "helpers" / "no-settings.toml")

# How long an example takes is the machine's business.
settings.register_profile("wpb", deadline=None)
settings.load_profile("wpb")

from tests.helpers.apache_kafka import apache_kafka, own_apache_kafka  # noqa: E402
from tests.helpers.rabbitmq import rabbitmq, stomp_topic  # noqa: E402
from tests.helpers.services import broker, kafka_address, kafka_topic, postgres_cluster, postgres_url  # noqa: E402

__all__ = [
    "apache_kafka",
    "broker",
    "kafka_address",
    "kafka_topic",
    "own_apache_kafka",
    "postgres_cluster",
    "postgres_url",
    "rabbitmq",
    "stomp_topic",
]
