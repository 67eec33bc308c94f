"""Files: recorded runs, and recordings that are being written.

A file is a partition, its position a byte offset. It is named after its path and its first message, so that a file that was replaced, or
cut and written anew, is another partition and is read from its beginning.
"""

from __future__ import annotations

import asyncio
import glob
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from wpb_stream.core.documents import MAX_BYTES, Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.recordings import Cut, is_array, next_element, next_line, skip_head, unwrap

log = logging.getLogger(__name__)

POLL_S = 0.25
"""How often files are looked at."""
HEAD_BYTES = 64 * 2**10
"""Of a file's beginning, to tell what it is."""
READ_BYTES = 2**20
"""Read at a time at least; more where a message is larger."""
MAX_RECORDS = 1000
"""Messages in one batch at most."""


@dataclass(slots=True)
class _Tail:
    """A file that is followed."""

    inode: int
    partition: str
    array: bool
    offset: int
    """Of the first byte that was not handed on."""


class FileSource:
    """Reads the files of a pattern, and what is added to them. May be entered again after it was left.

    :raises ServiceError: the URL has another form
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url, allow_fragments=False)
        self.url = url
        self.pattern = unquote(url.removeprefix("file:").removeprefix("//localhost").removeprefix("//").partition("\0")[0])
        if parts.netloc not in ("", "localhost") or not self.pattern.startswith("/"):
            raise ServiceError(f"source {url!r} is not of the form file:///folder/*.jsonl; check WPB_SOURCES")
        self.identity = f"file:{self.pattern}"
        self._tails: dict[Path, _Tail] = {}
        self._unread: set[Path] = set()

    async def __aenter__(self) -> Self:
        self._tails.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held: files are opened for each look."""

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        """Messages as they are written; see :class:`wpb_stream.sources.Source`."""
        while True:
            found = False
            for path in await asyncio.to_thread(self._paths):
                while batch := await asyncio.to_thread(self._look, path, positions):
                    found = True
                    yield batch
            if not found:
                await asyncio.sleep(POLL_S)

    async def stored(self, positions: Mapping[str, int]) -> None:
        """Nothing to do: files stay."""

    async def probe(self) -> str:
        """See :meth:`wpb_stream.sources.Source.probe`."""
        paths = await asyncio.to_thread(self._paths)
        if not paths:
            raise ServiceError(f"no file matches {self.pattern} yet; check WPB_SOURCES")
        unread = [str(path) for path in paths if not os.access(path, os.R_OK)]
        if unread:
            raise ServiceError(f"{unread[0]} may not be read by this user; change its permissions")
        return f"{len(paths)} files match {self.pattern}"

    def _paths(self) -> list[Path]:
        return [path for path in map(Path, sorted(glob.glob(self.pattern, recursive=True))) if path.is_file()]

    def _look(self, path: Path, positions: Mapping[str, int]) -> list[Message]:
        """What was added to a file, as many messages as a batch holds."""
        try:
            with path.open("rb") as file:
                tail = self._tail(path, file.fileno(), positions)
                if tail is None:
                    return []
                size = os.fstat(file.fileno()).st_size
                file.seek(tail.offset)
                data = file.read(READ_BYTES)
                while (cut := _next(tail, data, 0)) is None and tail.offset + len(data) < size and len(data) <= MAX_BYTES:
                    data += file.read(READ_BYTES)
        except OSError as error:
            if path not in self._unread:
                log.warning("%s is left out: %s", path, error.strerror)
                self._unread.add(path)
            return []
        batch: list[Message] = []
        begin = 0
        while cut is not None and len(batch) < MAX_RECORDS:
            begin = cut.end
            value = unwrap(cut.value)
            if value is not None:
                batch.append(Message(self.identity, tail.partition, tail.offset + cut.end - 1, value))
            cut = _next(tail, data, begin)
        tail.offset += begin
        return batch

    def _tail(self, path: Path, descriptor: int, positions: Mapping[str, int]) -> _Tail | None:
        """Where we are in a file; None while there is too little of it."""
        status = os.fstat(descriptor)
        tail = self._tails.get(path)
        if tail is not None and tail.inode == status.st_ino and tail.offset <= status.st_size:
            return tail
        head = os.pread(descriptor, HEAD_BYTES, 0)
        array = is_array(head)
        if array is None:
            return None
        begin = skip_head(head)
        first = next_element(head, begin) if array else next_line(head, begin)
        if first is None and len(head) < HEAD_BYTES:
            return None
        digest = hashlib.sha256(first.value if first else head).hexdigest()[:12]
        partition = f"{path}#{digest}"
        if tail is not None:
            log.warning("%s was replaced, or cut: it is read from its beginning", path)
        self._unread.discard(path)
        offset = max(positions.get(partition, 0), begin)
        if offset > status.st_size:
            log.warning("%s is shorter than it was: what is added to it now is read from its beginning", path)
            offset = begin
        log.info("reading %s from byte %d", path, offset)
        self._tails[path] = _Tail(status.st_ino, partition, array, offset)
        return self._tails[path]


def _next(tail: _Tail, data: bytes, begin: int) -> Cut | None:
    return next_element(data, begin) if tail.array else next_line(data, begin)
