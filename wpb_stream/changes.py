"""Waiting for what changes."""

from __future__ import annotations

import asyncio


class Changes:
    """Wakes all who wait for the next change, each once: those who wait later wait for the one after it."""

    def __init__(self) -> None:
        self.next = asyncio.Event()
        """Set with the next change. Whoever looks at what may change takes it before, so that a change meanwhile is not missed."""

    def tell(self) -> None:
        """Something has changed."""
        self.next.set()
        self.next = asyncio.Event()
