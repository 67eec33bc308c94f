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
    missing: int = 0
    """Points given up; one whose frame comes after all was one of them."""
    notices: Counter[str] = field(default_factory=Counter[str])
    """Notices told, by their code."""
    bus_retries: Counter[str] = field(default_factory=Counter[str])
    """Times that a bus was away, or went away, and is asked again, by the scheme of its URL."""
    catalogue_retries: int = 0
    """Times that the catalogue's database did not answer and is asked again."""
    readers_replaced: Callable[[], int] = int
    """Gives the reader processes that hung or died."""
    rows: int = 0
    """Rows placed."""
    ended: Counter[str] = field(default_factory=Counter[str])
    """Ends of runs, by status; one that is made anew, as documents came late, ends again."""
    given_up: Callable[[], int] = int
    """Gives the documents that waited for others and were given up, as too many did."""
    waiting: Callable[[], int] = int
    """Gives the messages that wait between the listeners and the walk."""
    unpublished: Callable[[], int] = int
    """Gives the rows that are not on the topic for gateways yet."""
    unread: Callable[[], int] = int
    """Gives the messages on that topic which this gateway has not taken yet."""
    gaps: int = 0
    """Times that something was missing on that topic."""


def is_power_of_two(number: int) -> bool:
    """Whether this one of many failures in a row is said: the first, the second, the fourth, ..."""
    return number & (number - 1) == 0


def in_a_line(error: BaseException) -> str:
    """The text of an error of somebody else's, as it may stand in a sentence."""
    return " ".join(str(error).split())
