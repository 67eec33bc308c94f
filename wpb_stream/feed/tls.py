"""TLS, where the feed is to serve it without a proxy in front."""

from __future__ import annotations

import ssl
from pathlib import Path

from wpb_stream.core.exceptions import ServiceError


def context_of(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """A server's side of TLS 1.2 or newer.

    :param certificate: PEM: the server's, then those of the authorities between
    :param key: PEM, without a password; None if it is in the same file
    :raises ServiceError: they cannot be read, or do not belong together
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key with a password would be asked for at the terminal, or hang where there is none.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        named = " and ".join(str(path) for path in (certificate, key) if path is not None)
        told = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ServiceError(f"TLS cannot be served with {named} ({told}); see WPB_TLS_CERTIFICATE and WPB_TLS_KEY") from error
    return context
