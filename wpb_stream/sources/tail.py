"""One recording that is followed while it is written, and however it is cut, replaced or written anew."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Mapping
from typing import BinaryIO

from wpb_stream.core.documents import MAX_BYTES, Message
from wpb_stream.core.recordings import Cut, Layout, find_layout, has_more_after_end, next_element, next_line, unwrap

log = logging.getLogger(__name__)

HEAD_BYTES = 64 * 2**10
"""Of a file's beginning, to tell what it is."""
MARK_BYTES = 64
"""What was read last of a file: while that and the first message still stand there, it is the same file. The end alone does not tell: stop
documents of two runs end alike, and their files may be equally long."""
BINARY_BYTES = 16
"""Every binary format has a NUL among so many of its first bytes, no recording has."""
READ_BYTES = 2**20
"""Read at a time; more where a message is larger."""
MAX_RECORDS = 1000
"""Messages in one batch at most."""

Signature = tuple[int, int, int, int]


def signature(status: os.stat_result) -> Signature:
    """What of a file's status changes when anything in it does."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def as_text(path: str) -> str:
    """A path for people and for the catalogue: names need not be text."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class Tail:
    """How far one file is read.

    Its partition is named after its path and its first message, so that another file of the same name is another partition; a recorded
    STOMP frame that carries no message is none. The position is a byte offset.

    :param source: identity of the source
    """

    def __init__(self, source: str, path: str) -> None:
        self.path = path
        self.seen: Signature | None = None
        """Of the file as it was when all of it was read."""
        self._source = source
        self._partition = ""
        self._layout = Layout(False, 0)
        self._offset = 0
        self._head = (0, "")
        """How many bytes the file had at its beginning, to the end of its first message or of what was looked at, and their hash."""
        self._mark = b""
        self._skipping = False

    def read(self, positions: Mapping[str, int]) -> list[Message]:
        """What was added, as many messages as a batch holds. Blocks as long as the disk does.

        :param positions: where to begin a file that was not read yet, by partition
        :raises OSError: it cannot be read, or is no recording
        """
        with open(self.path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "it is no file")
            same = self._is_same(file)
            if signature(status) == self.seen and (same or not self._mark):  # times may be coarse, and the new file as long as the old one
                return []
            messages, all_read = [], not same and not self._begin(file, status, positions)
            before = -1
            while not (messages or all_read or self._offset == before):
                before = self._offset
                messages, all_read = self._cut(file, status.st_size)
            if all_read:
                self.seen = signature(status)
            return messages

    def _is_same(self, file: BinaryIO) -> bool:
        """Whether the first message and what was read last still stand where they stood."""
        if not self._mark or os.pread(file.fileno(), len(self._mark), self._offset - len(self._mark)) != self._mark:
            return False
        length, digest = self._head
        return _hash(os.pread(file.fileno(), length, 0)) == digest

    def _begin(self, file: BinaryIO, status: os.stat_result, positions: Mapping[str, int]) -> bool:
        """Find out what the file is and where to read on; False while there is too little of it."""
        head = os.pread(file.fileno(), HEAD_BYTES, 0)
        if b"\0" in head[:BINARY_BYTES]:
            self.seen = signature(status)
            raise OSError(0, "it is no recording: JSON in UTF-8 was expected")
        enough = len(head) == HEAD_BYTES
        layout = find_layout(head, enough=enough)
        first = self._first(layout, head, at_end=not enough) if layout else None
        if layout is None or (first is None and not enough):
            return False
        name, again = as_text(self.path), bool(self._mark)
        partition = f"{name}#{_hash(first.value if first else head)[:12]}"
        stored = 0 if again else positions.get(partition, 0)
        if again or stored > status.st_size:
            log.warning("%s was replaced, or cut, or written anew: it is read from its beginning", name)
            stored = 0
        self._layout, self._offset, self._skipping = layout, max(stored, layout.begin), False
        length = min(MARK_BYTES, self._offset)
        self._mark = os.pread(file.fileno(), length, self._offset - length)
        end = first.end if first else len(head)
        self._head = (end, _hash(head[:end]))
        if partition != self._partition:
            log.info("reading %s from byte %d", name, self._offset)
            self._partition = partition
        return True

    def _cut(self, file: BinaryIO, size: int) -> tuple[list[Message], bool]:
        """The next messages, and whether these are all there are for now."""
        file.seek(self._offset)
        data, at = file.read(READ_BYTES), 0
        if self._skipping:
            at = data.find(b"\n") + 1 or len(data)
            self._skipping = data[at - 1 : at] != b"\n"
        while not self._skipping and (more := self._missing(file, data, at, size)):
            data += more
        messages: list[Message] = []
        while len(messages) < MAX_RECORDS and not self._skipping and (cut := self._next_of(data, at, size)):
            at, self._skipping = cut.end, cut.unfinished
            value = unwrap(cut.value)
            if value is not None:
                messages.append(Message(self._source, self._partition, self._offset + at - 1, value))
        full = len(messages) == MAX_RECORDS
        all_read = not full and self._offset + len(data) >= size and (not self._skipping or at == len(data))
        if not full and self._layout.array and has_more_after_end(data, at):
            log.warning("%s: what follows the end of its array, from byte %d on, is not read", as_text(self.path), self._offset + at)
            all_read = True
        self._mark = (self._mark + data[max(0, at - MARK_BYTES) : at])[-MARK_BYTES:]
        self._offset += at
        return messages, all_read

    def _missing(self, file: BinaryIO, data: bytes, at: int, size: int) -> bytes:
        """More of a message that ``data`` holds the beginning of; nothing if there is none, or it is too long already."""
        if self._offset + len(data) >= size or len(data) > MAX_BYTES or self._next_of(data, at, size):
            return b""
        return file.read(min(len(data), MAX_BYTES))

    def _first(self, layout: Layout, head: bytes, *, at_end: bool) -> Cut | None:
        """The first message, past what carries none."""
        at = layout.begin
        while (cut := self._next(layout, head, at, at_end=at_end)) and unwrap(cut.value) is None:
            at = cut.end
        return cut

    def _next_of(self, data: bytes, at: int, size: int) -> Cut | None:
        return self._next(self._layout, data, at, at_end=self._offset + len(data) >= size)

    def _next(self, layout: Layout, data: bytes, at: int, *, at_end: bool) -> Cut | None:
        return next_element(data, at) if layout.array else next_line(data, at, at_end=at_end)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _open(path: str, flags: int) -> int:
    # Not blocking: a pipe that took the file's name would be waited for, for ever.
    return os.open(path, flags | os.O_NONBLOCK)
