"""Who may watch which runs, and what else. Tokens are known by their hash alone: whoever reads the settings cannot use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any, Literal

SESSION_KEYS = ("data_session", "instrument_session")
"""Keys of a start document that name the session of a run: as NSLS-II's and Diamond's plans have it."""

Scope = Literal["watch", "admin"]


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody was let in for."""

    name: str
    """Of the token, for logs."""
    sessions: frozenset[str] | None = None
    """Only runs of these sessions are seen; None for all runs, also those without a session."""
    scopes: frozenset[Scope] = frozenset({"watch"})
    proof: str = field(default="", repr=False)
    """SHA-256 of the token, as hexadecimal digits, if it is one of the settings; else empty."""
    expires: float | None = None
    """Seconds since 1970; None for never."""

    def may(self, scope: Scope) -> bool:
        """Whether it is for that; ``admin`` includes all else."""
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, start: Mapping[str, Any]) -> bool:
        """Whether a run may be seen, by its start document or by the metadata of its run object."""
        told = [start.get(key) for key in SESSION_KEYS]
        return self.sessions is None or any(isinstance(session, str) and session in self.sessions for session in told)


EVERYTHING = Grant("anybody")
"""All runs may be watched."""
ON_THIS_MACHINE = Grant("anybody on this machine", scopes=frozenset({"watch", "admin"}))
"""Who reaches loopback reaches Dagster's web server too, which asks nobody for anything."""


class Access:
    """Whom a token of the settings lets in.

    :param grants: with the proof of each
    :param anonymous: what those may who show no token, or one that is not known; None if they must show one
    """

    def __init__(self, grants: Iterable[Grant] = (), anonymous: Grant | None = None) -> None:
        self._grants, self.anonymous = tuple(grants), anonymous

    def grant(self, token: str) -> Grant | None:
        """What the token lets in for; None if it is not known."""
        digest, found = digest_of(token), None
        for grant in self._grants:  # all of them: how long it takes tells nothing
            if compare_digest(grant.proof, digest):
                found = grant
        return found or self.anonymous

    def knows(self, grant: Grant) -> bool:
        """Whether the token it was given for is still one of the settings, perhaps for something else by now."""
        return any(known.proof == grant.proof for known in self._grants)

    def stands(self, grant: Grant) -> bool:
        """Whether a grant still holds that was given by other settings; one that expires ends by itself."""
        return grant in (*self._grants, self.anonymous) or grant.expires is not None


def digest_of(token: str) -> str:
    """What is kept of a token. Tokens are long and random, so that nothing slower than SHA-256 is needed."""
    return sha256(token.encode(errors="surrogatepass")).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on that host."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
