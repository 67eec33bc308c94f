"""Tokens of an OpenID provider: JSON Web Tokens, which show by their signature who made them.

https://www.rfc-editor.org/rfc/rfc7519, and for what to beware of https://www.rfc-editor.org/rfc/rfc8725
"""

from __future__ import annotations

import logging
from typing import Any

import jwt

from wpb_stream.core.access import Grant
from wpb_stream.feed.jwks import Key, KeySet
from wpb_stream.oidc import Oidc

log = logging.getLogger(__name__)


class Provider:
    """Knows the tokens of one provider."""

    def __init__(self, oidc: Oidc) -> None:
        self._oidc = oidc
        self.keys = KeySet(oidc.jwks)

    async def grant(self, token: str) -> Grant | None:
        """What a token lets in for; None if it is none of this provider's, for somebody else, or not valid now."""
        try:
            header = jwt.get_unverified_header(token)
            keys = await self.keys.of(header.get("kid"))
            return self._oidc.grant_of(self._claims(token, header["alg"], keys))
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, OverflowError) as error:
            # The kind of error alone: its text may repeat what is in the token.
            log.info("a token that is not one of the settings is none of %s either: %s", self._oidc.issuer, type(error).__name__)
            return None

    def _claims(self, token: str, algorithm: str, keys: list[Key]) -> dict[str, Any]:
        """The claims of a token that one of the keys has signed.

        :raises jwt.PyJWTError: none has, or the claims do not let in
        """
        if algorithm not in self._oidc.algorithms:
            raise jwt.InvalidAlgorithmError
        for key in keys:
            if key.get("alg", algorithm) != algorithm:
                continue  # a key is for one algorithm, if it says so
            try:
                return jwt.decode(
                    token,
                    jwt.PyJWK(key, algorithm),
                    algorithms=self._oidc.algorithms,
                    audience=self._oidc.audience,
                    issuer=self._oidc.issuer,
                    leeway=self._oidc.leeway_s,
                    options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
                )
            except (jwt.InvalidSignatureError, jwt.InvalidKeyError, jwt.PyJWKError):
                continue
        raise jwt.InvalidSignatureError
