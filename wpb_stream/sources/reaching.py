"""Why a server cannot be reached, in words: a client of its protocol often knows no more than that it could not."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from socket import gaierror
from urllib.parse import urlsplit

CONNECT_S = 5.0
"""How long a server may take to answer."""


async def why_not(servers: str, protocol: str, port: int) -> str:
    """Connect to each server once more, without saying anything.

    :param servers: ``host:port``, separated by commas
    :param port: of those that name none
    :param protocol: that was expected there
    :returns: what became of it, a clause for each
    """
    return ", ".join([await _why_not(server.strip(), protocol, port) for server in servers.split(",")])


async def _why_not(where: str, protocol: str, usual_port: int) -> str:
    host = where
    try:
        address = urlsplit(f"//{where}")
        host = address.hostname or ""
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, address.port or usual_port)
    except ValueError:
        return f"{where} is no address: host:port is wanted"
    except gaierror:
        return f"no host called {host} is known"
    except ConnectionRefusedError:
        return f"nobody listens at {where}"
    except TimeoutError:
        return f"{where} does not answer"
    except OSError as error:
        return f"{where} cannot be connected to ({error.strerror or error})"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return f"{where} listens, but the two do not agree on {protocol}: is it one, and are passwords, certificates and TLS as it wants them?"
