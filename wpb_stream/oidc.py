"""An OpenID provider as the settings describe it, and what the claims of its tokens let in for.

Claims are those of RFC 7519 (JSON Web Token); ``scope`` is a string with spaces by RFC 9068, and roles and groups are lists, as Keycloak
(``realm_access.roles``, ``resource_access.CLIENT.roles``) and Authentik (``groups``) have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from wpb_stream.core.access import Grant, Scope, is_loopback
from wpb_stream.core.narrow import as_label, as_list, as_mapping

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Those by which whoever checks a signature cannot make one: with a shared secret the public key would be it."""


class Oidc(BaseModel):
    """Whose tokens let in besides those of the settings, for ``oidc`` in the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=1)
    """``iss`` of its tokens, letter by letter."""
    audience: tuple[str, ...] = Field(min_length=1)
    """One of these must be in ``aud``: tokens for other services count for nothing here."""
    jwks: str = Field(min_length=1)
    """Its keys as a JSON Web Key Set (RFC 7517): a URL, or a file."""
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "PS256", "ES256", "ES384", "EdDSA"), min_length=1)
    leeway_s: float = Field(30.0, ge=0, le=300)
    """Seconds by which its clock and ours may differ."""
    scope_claims: tuple[str, ...] = ("scope",)
    """Claims that hold scopes, roles or groups: a string with spaces, or a list; ``a.b`` is ``b`` in ``a``."""
    watch: tuple[str, ...] = ("watch",)
    """Any of these values lets watch; if there are none, all tokens do."""
    admin: tuple[str, ...] = ("admin",)
    sessions_claim: str | None = None
    """Claim that holds data sessions, likewise: only runs of these are seen, but by ``admin``; None: all runs are."""
    name_claim: str = "sub"
    """Claim that is told in logs."""

    @field_validator("audience", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("jwks")
    @classmethod
    def _check_source(cls, value: str) -> str:
        parts = urlsplit(value)
        if "://" in value and not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
            raise ValueError("keys must be fetched over https, so that nobody on the way can put in their own")
        return value

    def grant_of(self, claims: Mapping[str, Any]) -> Grant:
        """What a token lets in for, whose signature and times are in order; perhaps for nothing.

        :param claims: with ``exp``
        """
        values = {value for claim in self.scope_claims for value in _values(claims, claim)}
        scopes = set[Scope]()
        if not self.watch or values.intersection(self.watch):
            scopes.add("watch")
        if values.intersection(self.admin):
            scopes.add("admin")
        sessions = None
        if self.sessions_claim is not None and "admin" not in scopes:
            sessions = frozenset(_values(claims, self.sessions_claim))
        return Grant(
            as_label(_claim(claims, self.name_claim)) or "?", sessions, frozenset(scopes), expires=float(claims["exp"]) + self.leeway_s
        )


def _values(claims: Mapping[str, Any], name: str) -> list[str]:
    """What a claim holds, one by one."""
    found = _claim(claims, name)
    if isinstance(found, str):
        return found.split()
    return [value for value in as_list(found) or [] if isinstance(value, str)]


def _claim(claims: Mapping[str, Any], name: str) -> object:
    """A claim by its name, which may have dots of its own, as those that are URLs; or by the way to it."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        found = as_mapping(found).get(part)
    return found
