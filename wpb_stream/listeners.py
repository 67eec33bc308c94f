"""Which source each URL of ``WPB_SOURCES`` means."""

from __future__ import annotations

import pickle  # noqa: TID251  for those who ask for it in so many words: the setting zmq_pickle
from collections.abc import Callable, Mapping
from types import MappingProxyType

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.settings import Settings
from wpb_stream.sources import Source
from wpb_stream.sources.file import FileSource
from wpb_stream.sources.kafka import KafkaSource
from wpb_stream.sources.stomp import StompSource
from wpb_stream.sources.stomp_settings import subscription_name
from wpb_stream.sources.zmq import ZmqSource


def open_sources(settings: Settings) -> list[Source]:
    """The sources the settings name, not connected yet.

    :raises ServiceError: a URL or an option is wrong
    """
    return [open_source(url, settings) for url in settings.sources]


def open_source(url: str, settings: Settings) -> Source:
    """One source, not connected yet.

    :raises ServiceError: the URL or an option is wrong
    """
    scheme = url.partition(":")[0]
    if scheme not in SCHEMES:
        raise ServiceError(f"source {url!r}: begins with none of {', '.join(f'{known}:' for known in SCHEMES)}; check WPB_SOURCES")
    return SCHEMES[scheme](url, settings)


def _kafka(url: str, settings: Settings) -> Source:
    earliest = settings.kafka_start == "earliest"
    return KafkaSource(url, fetch_wait_ms=settings.kafka_fetch_wait_ms, earliest=earliest, options=settings.kafka_options)


def _file(url: str, settings: Settings) -> Source:
    return FileSource(url)


def _stomp(url: str, settings: Settings) -> Source:
    return StompSource(url, name=subscription_name(settings.data), options=settings.stomp_options)


def _zmq(url: str, settings: Settings) -> Source:
    unpickle = pickle.loads if settings.zmq_pickle == "run code of whoever publishes" else None
    return ZmqSource(url, unpickle=unpickle, options=settings.zmq_options)


SCHEMES: Mapping[str, Callable[[str, Settings], Source]] = MappingProxyType(
    {"kafka": _kafka, "file": _file, "stomp": _stomp, "stomp+ssl": _stomp, "zmq": _zmq, "zmq+bind": _zmq}
)
"""By the URL's scheme."""
