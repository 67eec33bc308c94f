"""How commands speak to people."""

from __future__ import annotations

import sys

from rich.console import Console

console = Console(stderr=True)
"""For people; standard output is for what a program may read."""
WIDE = 200
"""Columns of what is piped into another program: nothing is cut to the 80 of a terminal nobody looks at."""


def output() -> Console:
    """Standard output, for what a command was asked for."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


def printable(text: str) -> str:
    """Text from a message or another machine as it may go to a terminal: what could steer that is spelled out."""
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)
