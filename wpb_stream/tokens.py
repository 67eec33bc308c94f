"""Tokens as the settings hold them, and new ones."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from wpb_stream.core.access import Access, Grant, digest_of

Scope = Literal["watch", "admin"]


class Token(BaseModel):
    """Somebody who may watch, for ``tokens`` in the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(min_length=1)
    """Whose it is, for logs."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...] = Field(("watch",), min_length=1)
    """``admin`` includes ``watch``; no request asks for it yet."""
    sessions: tuple[str, ...] | None = None
    """Only runs of these sessions are seen; None for all."""


def new_token(name: str, scopes: tuple[Scope, ...] = ("watch",), sessions: Iterable[str] | None = None) -> tuple[str, Token]:
    """A new token: its text, which is kept nowhere, and the entry for the settings."""
    text = f"wpb_{secrets.token_urlsafe(32)}"
    return text, Token(name=name, sha256=digest_of(text), scopes=scopes, sessions=None if sessions is None else tuple(sessions))


def access_of(tokens: Iterable[Token]) -> Access:
    """Whom these tokens let in."""
    return Access((each.sha256, Grant(each.name, None if each.sessions is None else frozenset(each.sessions))) for each in tokens)
