"""Documents on their way to the broker, in their order, between the RunEngine's thread and the one that sends."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass

OVERHEAD_BYTES = 256
"""What a document costs besides its bytes."""
MAX_REMARKS = 100
"""Things to be logged that are kept until somebody logs them."""


@dataclass(slots=True)
class Entry:
    """One document, encoded."""

    number: int
    run: str | None
    """Uid of its run."""
    name: str
    value: bytes

    @property
    def size(self) -> int:
        """What it takes of the memory that is granted, in bytes."""
        return len(self.value) + OVERHEAD_BYTES


class Queue:
    """Entries by their numbers, and their size. Not locked."""

    def __init__(self, max_bytes: int, max_documents: int) -> None:
        self._max_bytes, self._max_documents = max_bytes, max_documents
        self.entries: dict[int, Entry] = {}
        self.bytes = 0

    def add(self, entry: Entry) -> bool:
        """Whether there is room; a single entry has room however large it is."""
        if self.entries and (self.bytes + entry.size > self._max_bytes or len(self.entries) >= self._max_documents):
            return False
        self.entries[entry.number] = entry
        self.bytes += entry.size
        return True

    def first(self, max_bytes: int, max_documents: int) -> list[Entry]:
        """The first ones, one at least."""
        first: list[Entry] = []
        size = 0
        for entry in self.entries.values():
            size += entry.size
            if first and (size > max_bytes or len(first) == max_documents):
                break
            first.append(entry)
        return first

    def remove(self, entry: Entry) -> bool:
        """Whether it was there."""
        if self.entries.pop(entry.number, None) is None:
            return False
        self.bytes -= entry.size
        return True


class Outbox:
    """What waits for the broker, and what must go to the spool because there is no room to wait or the broker refused it.

    Each of the two is bounded; what fits in neither is lost, and counted. Any thread may call it; no call waits for IO.

    :param max_bytes: what may wait for the broker, and as much again for the spool
    :param max_documents: the same in documents
    """

    def __init__(self, max_bytes: int, max_documents: int) -> None:
        self._lock = threading.Lock()
        self._waiting, self._overflow = Queue(max_bytes, max_documents), Queue(max_bytes, max_documents)
        self._remarks: deque[tuple[int, str]] = deque(maxlen=MAX_REMARKS)
        self._number = self._published = self._spooled = self._failed = 0

    def put(self, run: str | None, name: str, value: bytes) -> None:
        """Take one document."""
        with self._lock:
            self._number += 1
            entry = Entry(self._number, run, name, value)
            if not self._waiting.add(entry) and not self._overflow.add(entry):
                self._fail(entry.name, entry.run, "neither the broker nor the spool takes documents, and no more fit in memory")

    def fail(self, name: str, run: str | None, why: str) -> None:
        """A document is lost."""
        with self._lock:
            self._fail(name, run, why)

    def window(self, max_bytes: int, max_documents: int) -> list[Entry]:
        """The documents to be sent next; they stay here until they are settled. The first is given however large it is."""
        with self._lock:
            return self._waiting.first(max_bytes, max_documents)

    def settle(self, entries: list[Entry]) -> None:
        """The broker has these."""
        with self._lock:
            self._published += sum(self._waiting.remove(entry) for entry in entries)

    def refuse(self, entry: Entry, why: str) -> None:
        """The broker will never take this one: it goes to the spool."""
        with self._lock:
            if self._waiting.remove(entry):
                self._overflow.entries[entry.number] = entry
                self._overflow.bytes += entry.size
                self._remark(logging.ERROR, f"a document of run {entry.run} ({entry.name}) goes to the spool, the broker refuses it: {why}")

    def give_up(self) -> None:
        """All that waits for the broker goes to the spool, in its order."""
        with self._lock:
            both = {**self._waiting.entries, **self._overflow.entries}
            self._overflow.entries = dict(sorted(both.items()))
            self._overflow.bytes += self._waiting.bytes
            self._waiting.entries, self._waiting.bytes = {}, 0

    def overflow(self, max_bytes: int) -> list[Entry]:
        """The first documents for the spool, one at least; they stay here until they are spooled."""
        with self._lock:
            return self._overflow.first(max_bytes, len(self._overflow.entries))

    def spooled(self, entries: list[Entry]) -> None:
        """These are in the spool."""
        with self._lock:
            self._spooled += sum(self._overflow.remove(entry) for entry in entries)

    def lose_overflow(self, why: str) -> None:
        """The spool takes nothing and there is no time left."""
        with self._lock:
            for entry in list(self._overflow.entries.values()):
                self._overflow.remove(entry)
                self._fail(entry.name, entry.run, why)

    def remark(self, text: str) -> None:
        """Something that the log should say."""
        with self._lock:
            self._remark(logging.WARNING, text)

    def remarks(self) -> list[tuple[int, str]]:
        """What the log should say, and at which level; each is given once."""
        with self._lock:
            remarks = list(self._remarks)
            self._remarks.clear()
        return remarks

    @property
    def has_waiting(self) -> bool:
        """Whether there is something to send."""
        return bool(self._waiting.entries)

    @property
    def has_overflow(self) -> bool:
        """Whether there is something for the spool."""
        return bool(self._overflow.entries)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is owed."""
        return not self._waiting.entries and not self._overflow.entries

    def statistics(self) -> dict[str, int]:
        """Documents published, waiting, spooled and failed, and the bytes that wait."""
        with self._lock:
            return {
                "published": self._published,
                "waiting": len(self._waiting.entries) + len(self._overflow.entries),
                "waiting_bytes": self._waiting.bytes + self._overflow.bytes,
                "spooled": self._spooled,
                "failed": self._failed,
            }

    def _fail(self, name: str, run: str | None, why: str) -> None:
        self._failed += 1
        self._remark(logging.ERROR, f"a document of run {run} ({name}) is LOST: {why}")

    def _remark(self, level: int, text: str) -> None:
        # Each text once: a thousand events that fail alike are one line.
        if (level, text) not in self._remarks:
            self._remarks.append((level, text))
