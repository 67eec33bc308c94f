"""Files that are there whole or not at all: whoever looks finds the old one or the new one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wpb_stream.failpoints import reached


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write a file at; it takes the place of ``path`` once the block is done and it is on the disk.

    Whatever goes wrong before that, nothing is left of it and an earlier file stays. Several may write the same file: the last one wins.

    :param path: its folder must exist
    :raises OSError: it cannot be written
    """
    # Not a file of the tempfile module: those can be read by their owner alone, and results are there for others.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        yield unfinished
        _to_disk(unfinished)
        reached("written")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    _to_disk(path.parent)  # the new name


def _to_disk(path: Path) -> None:
    # Whoever opened the file before: the kernel knows the file's pages, not who wrote them.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
