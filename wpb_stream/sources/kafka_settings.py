"""Where a Kafka source listens, and how it connects: the URL and the options of the settings, checked before anything connects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

from aiokafka.conn import collect_hosts
from aiokafka.helpers import create_ssl_context

from wpb_stream.core.exceptions import ServiceError

CONNECTION_OPTIONS: dict[str, type] = {
    "client_id": str,
    "request_timeout_ms": int,
    "security_protocol": str,
    "sasl_mechanism": str,
    "sasl_plain_username": str,
    "sasl_plain_password": str,
    "sasl_kerberos_service_name": str,
    "sasl_kerberos_domain_name": str,
}
"""What may be set for each connection."""
TLS_OPTIONS: dict[str, type] = {"ssl_cafile": str, "ssl_certfile": str, "ssl_keyfile": str, "ssl_password": str}
"""What the TLS context is made of."""
CONSUMER_OPTIONS: dict[str, type] = {
    "check_crcs": bool,
    "client_rack": str,
    "connections_max_idle_ms": int,
    "fetch_max_bytes": int,
    "fetch_min_bytes": int,
    "isolation_level": str,
    "max_partition_fetch_bytes": int,
    "retry_backoff_ms": int,
}
"""What may be set for reading."""
PRODUCER_OPTIONS: dict[str, type] = {"compression_type": str}
"""What may be set for writing."""
CHOICES = {
    "security_protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "sasl_mechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"),
    "isolation_level": ("read_uncommitted", "read_committed"),
    "compression_type": ("gzip", "snappy", "lz4", "zstd"),
}
"""OAUTHBEARER is missing because it needs a function that gives tokens, which no setting can hold."""

_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
"""What a topic may be called."""


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where to listen: ``kafka://host:9092[,host:9092]/topic[,topic]``; a topic may be a pattern with ``*``."""

    servers: str
    topics: tuple[str, ...]

    @classmethod
    def parse(cls, url: str) -> KafkaAddress:
        """The address in a URL.

        :raises ServiceError: the URL has another form, or holds credentials
        """
        parts = urlsplit(url)
        if "@" in parts.netloc:  # not told whole: it would go to the log
            raise ServiceError(
                "a kafka:// URL holds credentials, which everybody who sees the settings would read: leave them out, and give them as "
                "options sasl_plain_username and sasl_plain_password (WPB_KAFKA_OPTIONS, or options= of the Publisher)"
            )
        topics = tuple(topic for topic in parts.path.strip("/").split(",") if topic)
        if parts.scheme != "kafka" or not parts.netloc or not topics:
            raise ServiceError(f"source {url!r} is not of the form kafka://host:9092/topic[,topic]")
        try:
            collect_hosts(parts.netloc)
        except ValueError as error:
            raise ServiceError(
                f"{url!r} names no host and port that can be understood ({error}): expected kafka://host:9092/topic"
            ) from error
        return cls(parts.netloc, topics)

    @classmethod
    def parse_one(cls, url: str) -> KafkaAddress:
        """The address in the URL of one topic, to publish to.

        :raises ServiceError: the URL has another form
        """
        address = cls.parse(url)
        if not _TOPIC.fullmatch(urlsplit(url).path.strip("/")):
            raise ServiceError(f"{url!r} is not of the form kafka://host:9092/topic, with one topic to publish to")
        return address


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """How to connect and to read, checked."""

    connection: dict[str, Any]
    """For any client of aiokafka; with ``ssl_context`` where TLS is asked for."""
    client: dict[str, Any]
    """For the consumer or the producer, besides those."""

    @classmethod
    def parse(
        cls, options: Mapping[str, Any], of_client: Mapping[str, type] = CONSUMER_OPTIONS, *, setting: str = "WPB_KAFKA_OPTIONS"
    ) -> KafkaOptions:
        """The options as ``WPB_KAFKA_OPTIONS`` names them. Reads the files of certificates.

        :param of_client: what may be set besides connections
        :param setting: where the options come from, for messages
        :raises ServiceError: an option is unknown, of another type, lacks another one, or names a file that cannot be used
        """
        try:
            return cls._parse(options, of_client)
        except ValueError as error:
            raise ServiceError(f"{setting}: {error}") from error

    @classmethod
    def _parse(cls, options: Mapping[str, Any], of_client: Mapping[str, type]) -> KafkaOptions:
        for name, value in options.items():
            _check_option(name, value, {**CONNECTION_OPTIONS, **TLS_OPTIONS, **of_client})
        protocol = options.get("security_protocol", "PLAINTEXT")
        logins = [name for name in options if name.startswith("sasl_")]
        if protocol.startswith("SASL_"):
            _check_login(options)
        elif logins:
            raise ValueError(f"{', '.join(logins)} without security_protocol SASL_PLAINTEXT or SASL_SSL would mean no login")
        connection = {name: value for name, value in options.items() if name in CONNECTION_OPTIONS}
        tls = {name.removeprefix("ssl_"): value for name, value in options.items() if name in TLS_OPTIONS}
        if protocol in ("SSL", "SASL_SSL"):
            connection["ssl_context"] = _tls_context(tls)
        elif tls:
            raise ValueError(f"{', '.join(f'ssl_{name}' for name in tls)} without security_protocol SSL or SASL_SSL would mean no TLS")
        return cls(connection, {name: value for name, value in options.items() if name in of_client})


def _check_option(name: str, value: object, known: Mapping[str, type]) -> None:
    """Never names the value of what may be a secret.

    :raises ValueError: with what is wrong
    """
    if name not in known:
        raise ValueError(f"{name!r} is not an option here; these are: {', '.join(sorted(known))}")
    if type(value) is not known[name]:
        wanted = {str: "a text", int: "a whole number", bool: "true or false"}[known[name]]
        raise ValueError(f"{name} must be {wanted}, and is of type {type(value).__name__}")
    if isinstance(value, int) and value < 0:
        raise ValueError(f"{name} must not be negative")
    if name in CHOICES and value not in CHOICES[name]:
        raise ValueError(f"{name} must be one of {', '.join(CHOICES[name])}, and is {value!r}")


def _check_login(options: Mapping[str, Any]) -> None:
    mechanism = options.get("sasl_mechanism", "PLAIN")
    if mechanism == "GSSAPI":
        if find_spec("gssapi") is None:
            raise ValueError("sasl_mechanism GSSAPI needs the Python package gssapi, which is not installed")
        return
    for name in ("sasl_plain_username", "sasl_plain_password"):
        if not options.get(name):
            raise ValueError(f"{name} is missing: security_protocol {options['security_protocol']} with {mechanism} needs it")


def _tls_context(tls: dict[str, str]) -> SSLContext:
    if "certfile" not in tls and ("keyfile" in tls or "password" in tls):
        raise ValueError("ssl_keyfile and ssl_password belong to an ssl_certfile, which is missing")
    try:
        # Without any password OpenSSL would ask the terminal for that of a locked key.
        return create_ssl_context(**{"password": "", **tls})
    except OSError as error:  # SSLError is one; neither names the file
        files = ", ".join(f"ssl_{name} {path}" for name, path in tls.items() if name != "password")
        raise ValueError(f"no TLS context can be made with {files} ({error})") from error
