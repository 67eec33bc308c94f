"""What runs inside a reader process: it walls itself in on its first call, then reads and reduces."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import sleep
from types import ModuleType

import h5py

from wpb_stream.core.window import StreamFile, WindowRequest, WindowResult
from wpb_stream.frames.reader import FrameReader, Looked, reader_of
from wpb_stream.frames.roots import DataRoots
from wpb_stream.frames.walls import wall_in

IDLE_S = 60.0
"""A file that nobody asked for this long is closed: open, it keeps the space of a deleted file, and its disk from being unmounted."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_walled: list[DataRoots] = []
_missing: list[Path] = []
"""Roots that did not exist when the walls were built, and so have no gate in them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reader process sends back."""

    pid: int
    result: WindowResult
    frames_read: int
    bytes_read: int


def prepare(roots: DataRoots, idle_s: float = IDLE_S) -> int:
    """Import what reading needs (by being called) and build the walls, once; the process's id.

    :param idle_s: a file that nobody asked for this long is closed; what the first call says holds
    :raises RuntimeError: this process was walled in for other roots; walls cannot be widened
    """
    if not _walled:
        # AnyIO takes the main module away, and libraries look at it: pyFAI cannot be imported without one.
        sys.modules.setdefault("__main__", ModuleType("__main__"))
        logging.disable()  # nobody reads a worker's standard error: faults travel in the results
        while h5py.h5pl.size():  # no filter plugin but the ones we ship; the environment variable was read long ago
            h5py.h5pl.remove(0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a pipe nobody reads would fill up under HDF5's complaints
        _missing.extend(root for root in roots.roots if not root.is_dir())
        _keep_memory()
        wall_in(roots.roots)
        _walled.append(roots)
        Thread(target=_close_idle, args=(reader_of(roots), idle_s), name="close idle files", daemon=True).start()
    if _walled[0] != roots:
        raise RuntimeError("one event loop holds reader processes for one set of data roots at a time")
    if any(root.is_dir() for root in _missing):
        os._exit(0)  # the next process gets a gate for it
    return os.getpid()


def _keep_memory() -> None:
    """Have the C library keep the memory of decoded chunks.

    HDF5 takes and frees whole chunks for each frame; given back to the kernel each time, their page faults cost more than decoding:
    120 frames/s of bitshuffle/LZ4 instead of 400.
    """
    with suppress(AttributeError):  # a C library other than glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(_M_TRIM_THRESHOLD, 512 * 2**20)


def _close_idle(reader: FrameReader, idle_s: float) -> None:
    while True:
        sleep(idle_s / 4)
        with suppress(Exception):  # a damaged file may not even close; the others are closed the next time
            reader.close_idle(idle_s)


def look(file: StreamFile, index: int, max_size: tuple[int, int] | None, roots: DataRoots, idle_s: float = IDLE_S) -> tuple[int, Looked]:
    """This process's id, and the frames of an index as :meth:`FrameReader.look` gives them.

    :raises FrameError: they cannot be read
    """
    return prepare(roots, idle_s), reader_of(roots).look(file, index, max_size)


def work(request: WindowRequest, roots: DataRoots, idle_s: float = IDLE_S) -> Answer:
    """Reduce a window."""
    pid = prepare(roots, idle_s)
    reader = reader_of(roots)
    frames_before, bytes_before = reader.frames_read, reader.bytes_read
    result = reader.reduce(request)
    return Answer(pid, result, reader.frames_read - frames_before, reader.bytes_read - bytes_before)
