"""Fixtures for all tests."""

from tests.helpers.services import broker, kafka_address, kafka_topic, postgres_cluster, postgres_url

__all__ = ["broker", "kafka_address", "kafka_topic", "postgres_cluster", "postgres_url"]
