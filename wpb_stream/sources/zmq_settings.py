"""Where a ZMQ source listens, and with which keys: the URL and the options of the settings, checked before anything connects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import zmq
import zmq.auth

from wpb_stream.core.exceptions import ServiceError

OPTIONS = ("secret_path", "server_public_key")
"""As ``bluesky.callbacks.zmq.ClientCurve`` calls them: our key pair, and the proxy's public key."""


@dataclass(frozen=True, slots=True)
class ZmqAddress:
    """Where to listen: ``zmq://host:port[/prefix]``, or ``zmq+bind://address:port`` for publishers that connect to us, without a proxy."""

    host: str
    port: int
    prefix: bytes
    bind: bool

    @classmethod
    def parse(cls, url: str) -> ZmqAddress:
        """The address in a URL.

        :raises ServiceError: the URL has another form
        """
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        prefix = unquote_to_bytes(parts.path.strip("/"))
        usable = parts.scheme in ("zmq", "zmq+bind") and host and port and not (parts.query or parts.fragment or "@" in parts.netloc)
        if not usable or not host or not port or b"/" in prefix or b" " in prefix:
            raise ServiceError(f"source {url!r} is not of the form zmq://host:5578[/prefix]; check WPB_SOURCES")
        return cls(host, port, prefix, parts.scheme == "zmq+bind")

    @property
    def endpoint(self) -> str:
        """As ZeroMQ names it."""
        return f"tcp://[{self.host}]:{self.port}" if self.is_ipv6 else f"tcp://{self.host}:{self.port}"

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address. A name never counts as one: ZeroMQ would then ask for no other, and few proxies have one."""
        return ":" in self.host


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """Keys of a connection that is encrypted and whose ends know each other."""

    public: bytes
    secret: bytes = field(repr=False)
    server: bytes

    @classmethod
    def load(cls, options: Mapping[str, Any]) -> CurveKeys | None:
        """The keys in the files that the options name; None if there are no options.

        :raises ServiceError: an option is unknown or missing, or a file holds no key
        """
        if not options:
            return None
        if set(options) != set(OPTIONS) or not all(isinstance(path, str) for path in options.values()):
            given = ", ".join(sorted(options))
            raise ServiceError(f"zmq_options must be {' and '.join(OPTIONS)}, each the path of a file; got {given}; check WPB_ZMQ_OPTIONS")
        public, secret = _keys(options["secret_path"])
        server, _ = _keys(options["server_public_key"])
        if secret is None:
            raise ServiceError(f"{options['secret_path']} holds no secret key: give the file whose name ends in .key_secret as secret_path")
        return cls(public, secret, server)

    def apply(self, socket: zmq.Socket[Any]) -> None:
        """Have a socket use them when it connects."""
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.secret)
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.server)


def _keys(path: str) -> tuple[bytes, bytes | None]:
    try:
        Path(path).open("rb").close()  # to tell what is wrong: load_certificate does not
        return zmq.auth.load_certificate(path)
    except OSError as error:
        raise ServiceError(f"the key file {path} cannot be read: {error.strerror}; check WPB_ZMQ_OPTIONS") from error
    except ValueError as error:
        raise ServiceError(f"the key file {path} is none that zmq.auth.create_certificates wrote; check WPB_ZMQ_OPTIONS") from error
