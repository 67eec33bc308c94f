"""Files: recorded runs, and recordings that are being written.

Each file is a partition; :mod:`wpb_stream.sources.tail` follows one. Here is which files, and in what order.
"""

from __future__ import annotations

import asyncio
import glob
import logging
import os
import re
import stat
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from wpb_stream.core.documents import Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources.tail import Tail, as_text, signature

log = logging.getLogger(__name__)

POLL_S = 0.25
"""How often files are looked at."""
REST = 9
"""How many times longer than a look takes is waited before the next, so that thousands of files take a tenth of one core at most."""
RECENT_S = 600.0
"""Files changed since are taken for being written: they come first, and are opened at each look, as network file systems answer what a
file's size is from memory until it is opened."""
SLOW_S = 30.0
"""A disk that does not answer for so long is told of."""

T = TypeVar("T")


class FileSource:
    """Reads the files of a pattern, and what is added to them. May be entered again after it was left.

    :param url: ``file:///folder/*.jsonl``; what is percent-encoded in it is no wildcard
    :raises ServiceError: the URL has another form
    """

    def __init__(self, url: str) -> None:
        self.url = url
        path = url.removeprefix("file:").removeprefix("//localhost").removeprefix("//")
        if urlsplit(url).netloc not in ("", "localhost") or not path.startswith("/") or "%00" in path:
            raise ServiceError(f"source {url!r} is not of the form file:///folder/*.jsonl; check WPB_SOURCES")
        self.pattern = re.sub(r"(%[0-9A-Fa-f]{2})+", lambda found: glob.escape(os.fsdecode(unquote_to_bytes(found[0]))), path)
        self.identity = f"file:{as_text(self.pattern)}"
        self._tails: dict[str, Tail] = {}
        self._left_out: set[str] = set()

    async def __aenter__(self) -> Self:
        self._tails.clear()
        # One of our own: a disk that hangs must not take the threads that others need.
        self._thread = ThreadPoolExecutor(1, "files")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def batches(self, positions: Mapping[str, int]) -> AsyncIterator[list[Message]]:
        """Messages as they are written; see :class:`wpb_stream.sources.Source`.

        Files that are being written take turns; old ones follow, one after the other.
        """
        waiting = False
        while True:
            found, began = False, time.monotonic()
            for tail, recent in await self._ask(self._due):
                if messages := await self._ask(partial(self._read, tail, positions)):
                    found = True
                    yield messages
                    if not recent:
                        break
            if not self._tails and not waiting:
                log.warning("no file matches %s yet; waiting for one", as_text(self.pattern))
                waiting = True
            if not found:
                await asyncio.sleep(max(POLL_S, REST * (time.monotonic() - began)))

    async def stored(self, positions: Mapping[str, int]) -> None:
        """Nothing to do: files stay."""

    async def probe(self) -> str:
        """See :meth:`wpb_stream.sources.Source.probe`."""
        return await self._ask(self._describe)

    async def _ask(self, look: Callable[[], T]) -> T:
        """Do what may hang, as disks do, in our own thread, and tell when it does."""
        answer = asyncio.get_running_loop().run_in_executor(self._thread, look)
        if not (await asyncio.wait([answer], timeout=SLOW_S))[0]:
            log.warning("the disk of %s has not answered for %g s; waiting for it", as_text(self.pattern), SLOW_S)
        return await answer

    def _due(self) -> list[tuple[Tail, bool]]:
        """Files in which something may be new, and whether each was changed lately; those first, then by name."""
        since = time.time() - RECENT_S
        due: list[tuple[bool, str]] = []
        for path in self._paths():
            try:
                status = os.stat(path)
            except OSError as error:
                self._leave_out(path, error)
                continue
            if not stat.S_ISREG(status.st_mode):
                continue
            if path not in self._tails:
                self._tails[path] = Tail(self.identity, path)
            if status.st_mtime > since or signature(status) != self._tails[path].seen:
                due.append((status.st_mtime <= since, path))
        return [(self._tails[path], not old) for old, path in sorted(due)]

    def _read(self, tail: Tail, positions: Mapping[str, int]) -> list[Message]:
        try:
            messages = tail.read(positions)
        except OSError as error:
            self._leave_out(tail.path, error)
            return []
        if messages:
            self._left_out.discard(tail.path)
        return messages

    def _leave_out(self, path: str, error: OSError) -> None:
        if path not in self._left_out:
            log.warning("%s is left out for now: %s", as_text(path), error.strerror)
            self._left_out.add(path)

    def _paths(self) -> list[str]:
        return glob.glob(self.pattern, recursive=True)

    def _describe(self) -> str:
        paths = [path for path in self._paths() if os.path.isfile(path)]
        unread = [path for path in paths if not os.access(path, os.R_OK)]
        if unread:
            raise ServiceError(f"{as_text(unread[0])} may not be read by this user: change its permissions, or the user wpb runs as")
        if paths:
            return f"{len(paths)} {'files match' if len(paths) > 1 else 'file matches'} {as_text(self.pattern)}"
        raise ServiceError(f"no file matches {as_text(self.pattern)} yet: {self._why_none()}")

    def _why_none(self) -> str:
        if os.path.isdir(self.pattern):
            return "it is a folder; add /*.jsonl to it in WPB_SOURCES"
        fixed = Path(re.split(r"[*?[]", self.pattern)[0] + "x").parent
        if not fixed.is_dir():
            return f"there is no folder {as_text(str(fixed))}; check WPB_SOURCES"
        if not os.access(fixed, os.R_OK | os.X_OK):
            return f"the folder {as_text(str(fixed))} may not be read by this user; change its permissions"
        return "they will be read when they are written; if there should be some, check WPB_SOURCES"
