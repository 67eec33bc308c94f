"""Iterating over the updates of a run, in asynchronous code and in ordinary code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from threading import Thread
from typing import TYPE_CHECKING, Any
from weakref import finalize

from wpb_stream.update import Update

if TYPE_CHECKING:
    from wpb_stream.notebook import Showing

SHOWN_A_SECOND = 4.0
"""Pictures at most: each is a hundred times what is new in it."""


class Watching(AsyncIterator[Update]):
    """The updates of a run, as they come: ``async for update in watch(...)``.

    :param begin: begins to watch, with so many updates a second at most
    """

    def __init__(self, begin: Callable[[float], AsyncGenerator[Update, None]], max_rate: float) -> None:
        self._begin, self._max_rate = begin, max_rate
        self._updates = begin(max_rate)

    async def __anext__(self) -> Update:
        return await anext(self._updates)

    async def aclose(self) -> None:
        """Leave the feed."""
        await self._updates.aclose()

    def show(self) -> Showing:
        """Show the maps in a Jupyter notebook, in a picture that changes as they grow, while other cells run; returns at once.

        :raises ServiceError: this is no notebook
        """
        from wpb_stream.notebook import Showing

        return Showing(Watching(self._begin, min(self._max_rate, SHOWN_A_SECOND)))


class BlockingWatching(Iterator[Update]):
    """The same for ordinary code: ``for update in watch_sync(...)``.

    An event loop in a thread of its own watches, so that it may be used where another loop runs, and the server's signs of life are
    answered however long the body of the loop takes. The thread ends with the iteration: when the loop is left, by :meth:`close`, by an
    error or Ctrl-C, or when Python ends.
    """

    def __init__(self, updates: Watching) -> None:
        self._looped = _Looped(updates)
        started: Future[asyncio.AbstractEventLoop] = Future()
        thread = Thread(target=asyncio.run, args=(self._looped.run(started),), name="watching", daemon=True)
        thread.start()
        self._loop = started.result()
        self._end = finalize(self, _end, self._loop, self._looped, thread)

    def __next__(self) -> Update:
        if not self._end.alive:
            raise StopIteration
        try:
            return asyncio.run_coroutine_threadsafe(self._looped.next(), self._loop).result()
        except CancelledError:  # closed by another thread meanwhile
            raise StopIteration from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the feed, and end the thread. Another thread that waits for an update finds the iteration over."""
        self._end()


class _Looped:
    """What happens in the event loop."""

    def __init__(self, updates: Watching) -> None:
        self._updates = updates
        self._waiting: asyncio.Task[Any] | None = None
        self.stop = asyncio.Event()

    async def run(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        """Keep the loop running until :attr:`stop`, and leave the feed."""
        async with aclosing(self._updates):
            started.set_result(asyncio.get_running_loop())
            await self.stop.wait()
            if self._waiting is not None:
                self._waiting.cancel()
                await asyncio.wait([self._waiting])

    async def next(self) -> Update:
        self._waiting = asyncio.current_task()
        return await anext(self._updates)


def _end(loop: asyncio.AbstractEventLoop, looped: _Looped, thread: Thread) -> None:
    loop.call_soon_threadsafe(looped.stop.set)
    thread.join()
