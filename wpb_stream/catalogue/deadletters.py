"""How dead letters are kept: stored with the batch they came in, settled when they were replayed, and bounded.

A person asks for a replay by marking the letter's row; :class:`~wpb_stream.catalogue.replayed.ReplayedLetters` reads it into the walk
like any message, and the transaction that stores what became of it clears the mark. So a replay survives any crash, and happens once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import psycopg

from wpb_stream.catalogue.records import Batch

SOURCE = "dead-letters"
"""Identity of the source that replayed letters come from. A partition for each letter, so that a batch tells which letters it holds."""
CHANNEL = "wpb_replay"
"""What is notified of a request."""
LISTENING_LOCK = 0x77706203
"""Key of the advisory lock that a process which takes in replayed letters shares: whoever asks can see that somebody will answer."""
MOST_LETTERS = 100_000
"""Dead letters that are kept; beyond, those that were taken in go first, then the oldest."""
MOST_BYTES = 2**30
"""Bytes of messages that are kept among them."""
TRIM_LETTERS = 1000
"""How many letters come before the bound is looked after again."""
TRIM_BYTES = 2**26
"""And how many bytes: by this much the bound may be exceeded."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class LetterShelf:
    """Where the writer puts dead letters, in its own transaction."""

    most_letters: int = MOST_LETTERS
    most_bytes: int = MOST_BYTES
    trim_letters: int = TRIM_LETTERS
    _letters: int | None = None
    """Since the bound was looked after; None at the start, when an earlier process may have left it unlooked after."""
    _bytes: int = 0

    async def store(self, connection: psycopg.AsyncConnection, batch: Batch) -> None:
        """Keep the batch's new letters, and settle those that were replayed."""
        new = [letter for letter in batch.dead_letters if letter.message.source != SOURCE]
        if new:
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    """INSERT INTO dead_letters (source, partition, position, value, reason) VALUES (%s, %s, %s, %s, %s)
                    ON CONFLICT DO NOTHING""",
                    [(d.message.source, d.message.partition, d.message.position, d.message.value, d.reason.replace("\0", "")) for d in new],
                )
            await self._trim_if_due(connection, len(new), sum(len(letter.message.value) for letter in new))
        await _settle(connection, batch)

    async def _trim_if_due(self, connection: psycopg.AsyncConnection, letters: int, size: int) -> None:
        due = self._letters is None
        self._letters, self._bytes = (self._letters or 0) + letters, self._bytes + size
        if due or self._letters >= self.trim_letters or self._bytes >= TRIM_BYTES:
            await self._trim(connection)
            self._letters = self._bytes = 0

    async def _trim(self, connection: psycopg.AsyncConnection) -> None:
        cursor = await connection.execute(
            """WITH kept AS (
                SELECT id, row_number() OVER shelf AS letters, sum(octet_length(value)) OVER shelf AS bytes
                FROM dead_letters WINDOW shelf AS (ORDER BY replayed_at IS NOT NULL, id DESC)
            )
            DELETE FROM dead_letters WHERE id IN (SELECT id FROM kept WHERE letters > %s OR bytes > %s) RETURNING replayed_at IS NULL""",
            [self.most_letters, self.most_bytes],
        )
        lost = sum(never_used for (never_used,) in await cursor.fetchall())
        if lost:
            await connection.execute("UPDATE dead_letters_dropped SET letters = letters + %s", [lost])
            log.error(
                "%d dead letters were given up: the newest %d, of %d MiB together, are kept",
                lost,
                self.most_letters,
                self.most_bytes // 2**20,
            )


async def _settle(connection: psycopg.AsyncConnection, batch: Batch) -> None:
    """Say of each replayed letter what became of it: broken still, or taken in."""
    replayed = {position - 1 for (source, _), position in batch.positions.items() if source == SOURCE}
    if not replayed:
        return
    broken = {letter.message.position: letter.reason for letter in batch.dead_letters if letter.message.source == SOURCE}
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "UPDATE dead_letters SET replay_requested_at = NULL, reason = %s WHERE id = %s",
            [(reason.replace("\0", ""), letter) for letter, reason in broken.items()],
        )
        await cursor.execute(
            "UPDATE dead_letters SET replay_requested_at = NULL, replayed_at = clock_timestamp() WHERE id = ANY(%s)",
            [list(replayed - broken.keys())],
        )
    log.info("%d dead letters were replayed, %d of them are broken still", len(replayed), len(broken))
