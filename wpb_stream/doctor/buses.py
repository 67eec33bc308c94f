"""Whether a source can be listened to: it is opened as the streaming process opens it, and asked. So is the topic of gateways."""

from __future__ import annotations

import asyncio
import logging

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from wpb_stream.doctor.findings import Finding, ok, warning, wrong
from wpb_stream.gateways.reader import source_of
from wpb_stream.listeners import open_source
from wpb_stream.settings import Settings, load
from wpb_stream.sources.kafka_settings import KafkaAddress, KafkaOptions


def probe(url: str) -> Finding:
    """What there is to listen to at a URL of ``WPB_SOURCES``; the other settings come from the environment.

    :raises ServiceError: it cannot be listened to
    """
    logging.disable()  # what clients log of their attempts is told by the finding
    return ok(asyncio.run(_probe(url, load())))


async def _probe(url: str, settings: Settings) -> str:
    async with open_source(url, settings) as source:
        return await source.probe()


def look_at_gateway_topic(url: str) -> Finding:
    """Whether gateways find there what they need, and for long enough; the other settings come from the environment.

    :raises ServiceError: the topic cannot be read
    """
    logging.disable()
    return asyncio.run(_look_at_gateway_topic(url, load()))


async def _look_at_gateway_topic(url: str, settings: Settings) -> Finding:
    async with source_of(url, settings.kafka_options) as source:
        found = await source.probe()
    told = await _settings_of_topic(KafkaAddress.parse_one(url), settings)
    kept_s, again_s = int(told.get("retention.ms", -1)) / 1000, settings.gateway_again_s
    if "compact" in told.get("cleanup.policy", ""):
        return wrong(f"{found}; it is compacted: of each run the last message alone is kept", "set its cleanup.policy to delete")
    if 0 <= kept_s < 2 * again_s:
        short = f"{found}; it keeps messages {kept_s:g} s, and running runs are published whole every {again_s:g} s"
        return warning(short, "set its retention.ms to twice that or more, or WPB_GATEWAY_AGAIN_S lower")
    return ok(found)


async def _settings_of_topic(address: KafkaAddress, settings: Settings) -> dict[str, str]:
    """What the broker tells of the topic; not every one tells."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address.servers, **KafkaOptions.parse(settings.kafka_options).connection)
    try:
        await admin.start()
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, address.topics[0])])
    except KafkaError:
        return {}
    finally:
        await admin.close()
    resources = [resource for answer in answers for resource in answer.to_object()["resources"]]
    return {entry["config_names"]: entry["config_value"] for resource in resources for entry in resource["config_entries"]}
