"""What one check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one thing, in a line."""

    state: State
    """``wrong``: something the settings ask for will not work. ``warning``: it works, though maybe not as meant."""
    found: str
    remedy: str = ""
    """What to do; empty where nothing is to be done, or where `found` says so already."""
    subject: str = ""
    """What it is about; set by whoever asked."""


def ok(found: str) -> Finding:
    """All is well."""
    return Finding("ok", found)


def warning(found: str, remedy: str) -> Finding:
    """Somebody should have a look."""
    return Finding("warning", found, remedy)


def wrong(found: str, remedy: str = "") -> Finding:
    """It will not work."""
    return Finding("wrong", found, remedy)
