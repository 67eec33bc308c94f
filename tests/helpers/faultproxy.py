"""A network that fails on demand: passes connections on to a server, late, slowly, not at all, or only up to some message."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Self

CHUNK = 2**16


class FaultProxy:
    """Stands between clients and a server; an asynchronous context manager. Its connections are those of one event loop.

    :param target: ``host:port`` of the server, or the path of its unix socket
    :param at: ``host:port`` or path that it is reached at; any free port by default
    """

    def __init__(self, target: str | Path, at: str | Path = "127.0.0.1:0") -> None:
        self._target, self._at = target, at
        self.latency_s = 0.0
        """That each piece of data takes longer, each way."""
        self.bytes_per_s = float("inf")
        """That pass, each way of each connection."""
        self.cut_after: int | None = None
        """Messages of a websocket that a client is let have of the next connection; then it is reset."""
        self.cut_before: bytes | None = None
        """An answer with this in it does not pass, once: its connection is reset instead."""
        self.connections = 0
        """That there were so far."""
        self.held = 0
        """Pieces of data, and new connections, that wait for a partition to heal."""
        self._open = set[_Passage]()
        self._passes = asyncio.Event()
        self._passes.set()
        self._tasks = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        match self._at:
            case Path():
                self._server = await asyncio.start_unix_server(self._serve, self._at)
            case _:
                host, _, port = self._at.rpartition(":")
                self._server = await asyncio.start_server(self._serve, host, int(port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.reset()
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """Where clients reach it, ``host:port``."""
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    def partition(self) -> None:
        """Nothing passes any more, and nobody is told; what is sent waits, as it does in a network that comes back."""
        self._passes.clear()

    def heal(self) -> None:
        """All passes again."""
        self._passes.set()

    def forget(self) -> None:
        """Of the connections that there are nothing passes for ever; new ones are served."""
        for passage in self._open:
            passage.forgotten = True

    def reset(self) -> None:
        """End all connections that there are, on both sides, by a reset."""
        for passage in list(self._open):
            passage.reset()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        cut, self.cut_after = self.cut_after, None
        # Ends without an error also where it is cancelled, which a server of streams would log as one.
        with suppress(OSError, asyncio.CancelledError):
            await self._until_it_passes()
            await self._connect(reader, writer, Frames(cut))
        writer.close()
        self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: Frames) -> None:
        if isinstance(self._target, Path):
            answers, requests = await asyncio.open_unix_connection(self._target)
        else:
            answers, requests = await asyncio.open_connection(*self._target.split(":"))
        passage = _Passage(writer, requests)
        self._open.add(passage)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(passage, reader, requests, Frames(None), answers=False))
                group.create_task(self._pass(passage, answers, writer, frames, answers=True))
        except* OSError:
            pass
        finally:
            self._open.discard(passage)
            passage.reset()

    async def _pass(
        self, passage: _Passage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: Frames, *, answers: bool
    ) -> None:
        while data := await reader.read(CHUNK):
            await asyncio.sleep(self.latency_s + len(data) / self.bytes_per_s)
            await self._until_it_passes()
            if passage.forgotten:
                await asyncio.Event().wait()
            if answers and self.cut_before is not None and self.cut_before in data:
                self.cut_before = None
                raise ConnectionResetError
            writer.write(frames.take(data))
            await writer.drain()
            if frames.over:
                raise ConnectionResetError
        if writer.can_write_eof():
            writer.write_eof()

    async def _until_it_passes(self) -> None:
        self.held += 1
        try:
            await self._passes.wait()
        finally:
            self.held -= 1


class _Passage:
    """One connection."""

    def __init__(self, *ends: asyncio.StreamWriter) -> None:
        self._ends = ends
        self.forgotten = False

    def reset(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()


class Frames:
    """Counts the messages that a server sends on a websocket, as they pass; none of them may be fragmented.

    :param most: how many may pass; None for all
    """

    def __init__(self, most: int | None) -> None:
        self._left, self._held, self._opened = most, b"", False
        self.over = False
        """Whether one came that may not pass."""

    def take(self, data: bytes) -> bytes:
        """What of it passes."""
        if self._left is None:
            return data
        self._held += data
        passed = b""
        while not self.over and (size := self._next()) is not None:
            if self._opened and not self._left:
                self.over = True
                return passed
            self._left -= self._opened
            self._opened = True
            passed, self._held = passed + self._held[:size], self._held[size:]
        return passed

    def _next(self) -> int | None:
        """Bytes of the answer to the handshake, or else of the next frame; None if it has not come whole."""
        held = self._held
        if not self._opened:
            end = held.find(b"\r\n\r\n")
            return end + 4 if end >= 0 else None
        if len(held) < 2:
            return None
        head = {126: 4, 127: 10}.get(held[1], 2)
        size = head + (held[1] if head == 2 else int.from_bytes(held[2:head], "big"))
        return size if len(held) >= max(head, size) else None
