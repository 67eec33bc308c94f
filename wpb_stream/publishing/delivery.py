"""Sends what waits in an outbox to Kafka, for ever, and puts into the spool what cannot be sent."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, PolicyViolationError, RecordListTooLargeError

from wpb_stream.publishing.connection import Connection
from wpb_stream.publishing.outbox import Entry, Outbox
from wpb_stream.publishing.spool import Spool

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0
"""A broker that is away is asked again at growing, random intervals between these."""
WINDOW_BYTES, WINDOW_DOCUMENTS = 256 * 2**10, 1000
"""What is under way at most, unless a single document is larger. It is one batch for each partition, so that order survives a failure."""
TICK_S = 0.25
"""How often the spool and the log get what they are owed."""
SPOOL_BYTES = 2**20
"""Spooled at a time."""
REFUSALS = (MessageSizeTooLargeError, RecordListTooLargeError, PolicyViolationError)
"""What a broker says of a document that it will never take."""


class Delivery:
    """What a thread of its own runs, with a new event loop for each connection: what a broken one leaves behind is gone with it."""

    def __init__(self, connection: Connection, outbox: Outbox, spool: Spool) -> None:
        self._connection, self._outbox, self._spool = connection, outbox, spool
        self._window_bytes = WINDOW_BYTES
        self._failures = 0
        self._spool_error: str | None = None
        self._deadline: float | None = None
        self._bell: _Bell | None = None

    def wake(self) -> None:
        """There is something to send. Any thread may call it, and waits for nothing."""
        if self._bell is not None:
            self._bell.ring()

    def finish(self, timeout_s: float) -> None:
        """Send what waits, and end: in time, and as soon as the broker is found to be away. Any thread may call it."""
        self._deadline = monotonic() + timeout_s
        self.wake()

    def run(self) -> None:
        """Send until told to finish; then all that could not be sent is in the spool. The thread's target."""
        wait_s = 0.0
        while self._deadline is None or (self._outbox.has_waiting and not wait_s):
            try:
                asyncio.run(self._one_connection(wait_s))
                wait_s = 0.0
            except Exception as error:  # documents come as long as the RunEngine lives, and so must this
                wait_s = self._failed(error)
        self.abandon()

    def abandon(self) -> None:
        """Put everything into the spool; what that does not take is lost."""
        self._outbox.give_up()
        while self._outbox.has_overflow:
            self._spool_some()
            if self._spool_error is not None:
                self._outbox.lose_overflow(f"the spool cannot be written ({self._spool_error})")
        self._tell()

    def _failed(self, error: Exception) -> float:
        """Tell that the broker went away, once each time; gives how long to wait before the next attempt, in seconds."""
        what = "it is asked again for ever" if self._deadline is None else "what waits goes to the spool"
        level = logging.DEBUG if self._failures and self._deadline is None else logging.WARNING
        log.log(level, "documents cannot be published to %s (%s); %s", self._connection, str(error) or repr(error), what)
        wait_s = min(FIRST_WAIT_S * 2 ** min(self._failures, 10), LONGEST_WAIT_S)
        self._failures += 1
        return wait_s * random.uniform(0.5, 1.5)

    def _spool_some(self) -> bool:
        """Move some of the overflow to the spool; gives whether there is more that it would take."""
        entries = self._outbox.overflow(SPOOL_BYTES)
        if not entries:
            return False
        try:
            self._spool.write(entries)
        except OSError as error:
            if str(error) != self._spool_error:
                log.error("documents can be neither published nor spooled (%s); they wait in memory", error)
            self._spool_error = str(error)
            return False
        self._spool_error = None
        self._outbox.spooled(entries)
        return self._outbox.has_overflow

    def _tell(self) -> None:
        for level, remark in self._outbox.remarks():
            log.log(level, "%s", remark)

    async def _one_connection(self, wait_s: float) -> None:
        """From the wait before it to its end. The end is an error, unless it was told to finish or should connect anew at once."""
        self._bell = _Bell()
        async with asyncio.timeout(None) as bound:
            self._tick(bound)
            begin_at = monotonic() + wait_s
            while self._deadline is None and monotonic() < begin_at:
                await asyncio.sleep(min(TICK_S, wait_s))
            async with self._connection.producer() as producer:
                while await self._send_next(producer):
                    pass

    def _tick(self, bound: asyncio.Timeout) -> None:
        more = self._spool_some()
        self._tell()
        if self._deadline is not None:
            with suppress(RuntimeError):  # it is over already
                bound.reschedule(self._deadline)
        asyncio.get_running_loop().call_later(0 if more else TICK_S, self._tick, bound)

    async def _send_next(self, producer: AIOKafkaProducer) -> bool:
        """Send some, or wait for some; gives whether to go on with this producer."""
        if window := self._outbox.window(self._window_bytes, WINDOW_DOCUMENTS):
            return await self._send(producer, window)
        if self._deadline is not None:
            return False
        assert self._bell is not None
        await self._bell.heard(unless=lambda: self._outbox.has_waiting or self._deadline is not None)
        return True

    async def _send(self, producer: AIOKafkaProducer, window: list[Entry]) -> bool:
        errors = await self._errors(producer, window)
        self._outbox.settle([entry for entry, error in zip(window, errors, strict=True) if error is None])
        if all(error is None for error in errors):
            if self._failures:
                log.info("documents are published again to %s", self._connection)
            self._failures = 0
            return True
        for error in errors:
            if error is not None and not isinstance(error, REFUSALS):
                raise error
        if len(window) > 1:
            self._window_bytes //= 2  # a broker of small batches
        else:
            self._outbox.refuse(window[0], str(errors[0]))
        return False  # in the producer's numbering is a gap now, which the broker would not forgive

    async def _errors(self, producer: AIOKafkaProducer, window: list[Entry]) -> list[BaseException | None]:
        """What went wrong with each document, None for those that the broker has."""
        topic = self._connection.topic
        try:
            async with asyncio.timeout(self._connection.deliver_s):
                sent = [await producer.send(topic, entry.value, key=entry.run.encode() if entry.run else None) for entry in window]
                results = await asyncio.gather(*sent, return_exceptions=True)
        except MessageSizeTooLargeError as error:  # the producer's own word, on the one document that the window holds then
            return [error]
        return [result if isinstance(result, BaseException) else None for result in results]


class _Bell:
    """Lets other threads wake one that waits in the event loop."""

    def __init__(self) -> None:
        self._loop, self._rung = asyncio.get_running_loop(), asyncio.Event()
        self._heeded = False

    def ring(self) -> None:
        """Wake it, if it waits. Any thread may call it."""
        if self._heeded:
            self._heeded = False
            with suppress(RuntimeError):  # its loop has ended; the next one looks before it waits
                self._loop.call_soon_threadsafe(self._rung.set)

    async def heard(self, unless: Callable[[], bool]) -> None:
        """Wait until it rings, unless there is no need to."""
        self._rung.clear()
        self._heeded = True
        if not unless():
            await self._rung.wait()
        self._heeded = False
