"""Tokens as the settings hold them, and new ones."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from wpb_stream.core.access import Grant, Scope, digest_of


class Token(BaseModel):
    """Somebody who may watch, for ``tokens`` in the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(min_length=1)
    """Whose it is, for logs."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = Field(("watch",), min_length=1)
    """``admin`` includes ``watch``, and allows the request ``reprocess``."""
    sessions: tuple[str, ...] | None = None
    """Only runs of these sessions are seen; None for all."""

    @property
    def grant(self) -> Grant:
        """What it lets in for."""
        return Grant(self.name, None if self.sessions is None else frozenset(self.sessions), frozenset(self.scopes), self.sha256)


def new_token(name: str, scopes: Iterable[Scope] = ("watch",), sessions: Iterable[str] | None = None) -> tuple[str, Token]:
    """A new token: its text, which is kept nowhere, and the entry for the settings."""
    text = f"wpb_{secrets.token_urlsafe(32)}"
    return text, Token(name=name, sha256=digest_of(text), scopes=tuple(scopes), sessions=None if sessions is None else tuple(sessions))
