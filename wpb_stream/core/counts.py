"""What the walk has done since the process began, in plain numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """Written by the walk alone, read by whoever asks; they only grow."""

    documents: Counter[str] = field(default_factory=Counter[str])
    """Documents taken in, each once, by name."""
    dead_letters: int = 0
    """Messages that could not be used."""
    losses: int = 0
    """Times that a bus had let go of messages before they were read."""
    lost: int = 0
    """How many these were, as far as that is known."""
    frames: int = 0
    """Frames read; all that a file holds for one point are one."""
    retries: int = 0
    """Times that a frame was looked for again, as it had not been there."""
    rows: int = 0
    """Rows placed."""
    ended: Counter[str] = field(default_factory=Counter[str])
    """Ends of runs, by status; one that is made anew, as documents came late, ends again."""
    waiting: Callable[[], int] = int
    """Gives the messages that wait between the listeners and the walk."""
    unpublished: Callable[[], int] = int
    """Gives the rows that are not on the topic for gateways yet."""
    unread: Callable[[], int] = int
    """Gives the messages on that topic which this gateway has not taken yet."""
    gaps: int = 0
    """Times that something was missing on that topic."""
