"""Who may watch which runs. Tokens are known by their hash alone: whoever reads the settings cannot use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any

SESSION_KEYS = ("data_session", "instrument_session")
"""Keys of a start document that name the session of a run: as NSLS-II's and Diamond's plans have it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody was let in for."""

    name: str
    """Of the token, for logs."""
    sessions: frozenset[str] | None = None
    """Only runs of these sessions are seen; None for all runs, also those without a session."""

    def sees(self, start: Mapping[str, Any]) -> bool:
        """Whether a run may be seen, by its start document or by the metadata of its run object."""
        told = [start.get(key) for key in SESSION_KEYS]
        return self.sessions is None or any(isinstance(session, str) and session in self.sessions for session in told)


EVERYTHING = Grant("anybody")


class Access:
    """Whom a token lets in.

    :param grants: SHA-256 of a token as hexadecimal digits, and what it is for; where there are none, nobody is asked for a token
    """

    def __init__(self, grants: Iterable[tuple[str, Grant]] = ()) -> None:
        self._grants = tuple(grants)

    @property
    def anonymous(self) -> Grant | None:
        """What those may who show no token; None if they must show one."""
        return None if self._grants else EVERYTHING

    def grant(self, token: str) -> Grant | None:
        """What the token lets in for; None if it is not known."""
        digest, found = digest_of(token), None
        for known, grant in self._grants:  # all of them: how long it takes tells nothing
            if compare_digest(known, digest):
                found = grant
        return found or self.anonymous

    def bearer(self, authorization: str | None) -> Grant | None:
        """What an ``Authorization`` header lets in for; None if it must be another one."""
        scheme, _, token = (authorization or "").partition(" ")
        return self.grant(token.strip()) if scheme.lower() == "bearer" else self.anonymous


def digest_of(token: str) -> str:
    """What is kept of a token. Tokens are long and random, so that nothing slower than SHA-256 is needed."""
    return sha256(token.encode(errors="surrogatepass")).hexdigest()
