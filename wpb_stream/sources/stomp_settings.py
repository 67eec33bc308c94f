"""Where a STOMP source listens, and how it connects: the URL and the options of the settings, checked before anything connects."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wpb_stream.core.exceptions import ServiceError

PORTS = {"stomp": 61613, "stomp+ssl": 61614}
"""By scheme (ActiveMQ's names), what RabbitMQ and ActiveMQ listen on by default."""
OPTIONS: dict[str, type] = {
    "username": str,
    "username_file": str,
    "password": str,
    "password_file": str,
    "vhost": str,
    "heartbeat_s": float,
    "durable": bool,
    "subscription": str,
    "keep_s": int,
    "keep_bytes": int,
    "queue_type": str,
    "ssl_cafile": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_password": str,
}
"""What may be set."""
QUEUE_TYPES = ("classic", "quorum")
LARGEST = {"keep_s": (2**32 - 1) // 1000, "keep_bytes": 2**63 - 1}
"""RabbitMQ counts in milliseconds of 32 bits, and bytes of 64."""
MAX_NAME = 100
"""Characters of a subscription's name: the queue is called after it and the destination, and RabbitMQ allows 255 bytes."""


@dataclass(frozen=True, slots=True)
class StompAddress:
    """Where to listen: ``stomp://host:61613/topic/name[,/topic/other]``, or ``stomp+ssl://`` for TLS."""

    host: str
    port: int
    tls: bool
    destinations: tuple[str, ...]

    @classmethod
    def parse(cls, url: str) -> StompAddress:
        """The address in a URL.

        :raises ServiceError: the URL has another form, or holds credentials
        """
        parts = urlsplit(url, allow_fragments=False)  # RabbitMQ's # stands for any number of words
        if parts.username is not None or parts.password is not None:
            raise ServiceError(
                f"a source {parts.scheme}:// holds credentials, which everybody who sees the settings would read; "
                "give username and password_file in WPB_STOMP_OPTIONS instead"
            )
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        destinations = tuple(parts.path.split(","))
        if parts.scheme not in PORTS or not host or parts.query or not all(len(name) > 1 and name[0] == "/" for name in destinations):
            raise ServiceError(f"source {url!r} is not of the form stomp://host:61613/topic/name[,/topic/other]; check WPB_SOURCES")
        return cls(host, port or PORTS[parts.scheme], parts.scheme == "stomp+ssl", destinations)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class StompOptions:
    """How to connect and to subscribe, checked."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    username_file: Path | None = None
    password_file: Path | None = None
    vhost: str | None = None
    """RabbitMQ's virtual host; None: the one the broker takes by default, as blueapi does."""
    heartbeat_s: float = 10.0
    """How often either side says that it lives; twice as long in silence, and the connection counts as dead."""
    durable: bool = True
    """Whether the broker keeps what is published on topics while we are away."""
    subscription: str | None = None
    """What the broker keeps it under."""
    keep_s: int = 3 * 24 * 3600
    """How long RabbitMQ keeps that, 0 for ever: a weekend. Then it deletes the queue, lest one nobody comes back to fills its disk."""
    keep_bytes: int = 2**30
    """How much of it, 0 for all: beyond, it drops the oldest messages, before a broker without memory stops those who publish."""
    queue_type: str = "classic"
    """RabbitMQ's. A classic queue loses at a restart of the broker what waits there and is not persistent, as blueapi's messages are not.
    A quorum queue keeps it, but one that lost its leader (seen with 3.10 on one node, killed) stops those who publish as well."""
    tls: ssl.SSLContext | None = None

    @classmethod
    def parse(cls, options: Mapping[str, Any], *, tls: bool = False) -> StompOptions:
        """The options as ``WPB_STOMP_OPTIONS`` names them. Reads the files of certificates and credentials.

        :param tls: whether the URL asks for it
        :raises ServiceError: an option is unknown, of another type, contradicts another one, or names a file that cannot be used
        """
        for name, value in options.items():
            _check_option(name, value)
        for name in ("username", "password"):
            if name in options and f"{name}_file" in options:
                raise _mistake(f"{name} and {name}_file exclude each other")
        if ("username" in options or "username_file" in options) != ("password" in options or "password_file" in options):
            raise _mistake("a username and a password belong together, and one is missing")
        certificates = {name.removeprefix("ssl_"): value for name, value in options.items() if name.startswith("ssl_")}
        if certificates and not tls:
            raise _mistake(
                f"{', '.join(f'ssl_{name}' for name in certificates)} with a source stomp:// would mean no TLS: write stomp+ssl://"
            )
        files = {name: Path(value) for name, value in options.items() if name in ("username_file", "password_file")}
        plain = {name: value for name, value in options.items() if not name.startswith("ssl_")}
        parsed = cls(**{**plain, **files}, tls=_tls_context(certificates) if tls else None)
        parsed.login()
        return parsed

    def login(self) -> dict[str, str]:
        """The headers that say who we are. Files are read anew each time: secrets are changed while we run.

        :raises ServiceError: a file cannot be read
        """
        username = self.username if self.username_file is None else _secret("username_file", self.username_file)
        password = self.password if self.password_file is None else _secret("password_file", self.password_file)
        return {} if username is None or password is None else {"login": username, "passcode": password}


def subscription_name(data: Path) -> str:
    """The name of this installation: another data folder, or another computer, is another subscription, with all messages of its own."""
    return f"wpb-{socket.gethostname()[:64]}-{hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:8]}"


def _mistake(what: str) -> ServiceError:
    return ServiceError(f"WPB_STOMP_OPTIONS: {what}")


def _check_option(name: str, value: object) -> None:
    """Never names the value of what may be a secret."""
    if name not in OPTIONS:
        raise _mistake(f"{name!r} is not an option here; these are: {', '.join(sorted(OPTIONS))}")
    wanted = OPTIONS[name]
    if type(value) is not wanted and not (wanted is float and type(value) is int):
        described = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}[wanted]
        raise _mistake(f"{name} must be {described}, and is of type {type(value).__name__}")
    if isinstance(value, str) and (not value or any(character in value for character in "\r\n\0")):
        raise _mistake(f"{name} must be one line of text, and not empty")
    if name == "heartbeat_s" and not 0.1 <= float(value) <= 3600:  # pyright: ignore[reportArgumentType]
        raise _mistake(f"heartbeat_s must be between 0.1 and 3600, and is {value}")
    if name in LARGEST and not 0 <= int(value) <= LARGEST[name]:  # pyright: ignore[reportArgumentType]
        raise _mistake(f"{name} must be between 0 and {LARGEST[name]}, and is {value}")
    if name == "queue_type" and value not in QUEUE_TYPES:
        raise _mistake(f"queue_type must be one of {', '.join(QUEUE_TYPES)}, and is {value!r}")
    if name == "subscription" and len(str(value)) > MAX_NAME:
        raise _mistake(f"subscription must have {MAX_NAME} characters at most")


def _secret(option: str, file: Path) -> str:
    try:
        text = file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _mistake(f"{option} {file} cannot be read ({reason})") from None
    if not text or any(character in text for character in "\r\n\0"):
        raise _mistake(f"{option} {file} must hold one line")
    return text


def _tls_context(certificates: Mapping[str, str]) -> ssl.SSLContext:
    if "certfile" not in certificates and ("keyfile" in certificates or "password" in certificates):
        raise _mistake("ssl_keyfile and ssl_password belong to an ssl_certfile, which is missing")
    try:
        context = ssl.create_default_context(cafile=certificates.get("cafile"))
        if "certfile" in certificates:
            # Without any password OpenSSL would ask the terminal for that of a locked key.
            context.load_cert_chain(certificates["certfile"], certificates.get("keyfile"), certificates.get("password", ""))
    except OSError as error:  # SSLError is one; neither names the file
        files = ", ".join(f"ssl_{name} {path}" for name, path in certificates.items() if name != "password")
        raise _mistake(f"no TLS context can be made with {files} ({error})") from error
    return context
