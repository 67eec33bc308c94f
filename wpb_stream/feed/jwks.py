"""The keys of an OpenID provider: fetched from a file or a URL, kept, and fetched again when they change.

https://www.rfc-editor.org/rfc/rfc7517
"""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.request
from http.client import HTTPException
from pathlib import Path
from time import monotonic
from typing import Any

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.narrow import as_list, as_mapping

log = logging.getLogger(__name__)

Key = dict[str, Any]
"""A public key, as a JSON Web Key."""

REFRESH_S = 600.0
"""How often keys are fetched anew by themselves, so that those that were withdrawn go."""
MIN_REFRESH_S = 10.0
"""At least this long between two times: whoever shows tokens of keys that are not known must not have the provider asked each time."""
FETCH_TIMEOUT_S = 5.0
MAX_BYTES = 2**20


class KeySet:
    """The keys, as they were when they could be fetched last: while the provider is away its tokens are known.

    :param source: a URL, or the path of a file
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._keys: list[Key] = []
        self._tried = float("-inf")
        self._lock = asyncio.Lock()

    async def of(self, kid: str | None) -> list[Key]:
        """The keys of that id, all if it is None; they are fetched anew where there are none. Takes at most twice ``FETCH_TIMEOUT_S``."""
        found = self._named(kid)
        if not found:
            await self.refresh()
            found = self._named(kid)
        return found

    async def refresh(self) -> None:
        """Fetch the keys, unless that was just tried; where they cannot be had, those from before are kept."""
        async with self._lock:
            if monotonic() - self._tried < MIN_REFRESH_S:
                return
            self._tried = monotonic()
            try:
                async with asyncio.timeout(FETCH_TIMEOUT_S):
                    self._keys = await asyncio.to_thread(fetch, self._source)
            except TimeoutError:
                log.warning("the keys at %s did not come within %g s; those from before are kept", self._source, FETCH_TIMEOUT_S)
            except ServiceError as error:
                log.warning("%s; those from before are kept", error)

    async def keep_fresh(self) -> None:
        """Fetch the keys now and then, for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S)

    def _named(self, kid: str | None) -> list[Key]:
        return [key for key in self._keys if kid is None or key.get("kid") == kid]


def fetch(source: str) -> list[Key]:
    """The keys for signatures; blocks.

    :param source: a URL, or the path of a file
    :raises ServiceError: they cannot be had
    """
    try:
        told = json.loads(_read(source))
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise ServiceError(f"the keys at {source} cannot be read ({error}); check oidc.jwks in the settings") from error
    keys = [as_mapping(key) for key in as_list(as_mapping(told).get("keys")) or []]
    usable = [dict(key) for key in keys if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"]
    if not usable:
        raise ServiceError(f"what is at {source} is no JSON Web Key Set with public keys for signatures; check oidc.jwks in the settings")
    return usable


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """To somewhere else than the settings say, perhaps without TLS, nobody is followed."""

    def redirect_request(self, req: object, fp: object, code: int, msg: str, headers: object, newurl: str) -> None:
        """Leave it an error."""


def _read(source: str) -> bytes:
    if "://" not in source:
        return Path(source).read_bytes()
    with urllib.request.build_opener(_NoRedirect).open(source, timeout=FETCH_TIMEOUT_S) as answer:
        return answer.read(MAX_BYTES)
