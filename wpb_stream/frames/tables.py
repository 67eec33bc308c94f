"""Rows of a CSV file that may still be growing: numbers in columns.

A row counts once its line has ended. As with Bluesky's consolidators, the rows of all indices follow each other (``join_method`` "concat"):
a datum of shape ``[F, n]`` is F rows of n columns, and one of ``[F, h, w]``, or whose shape is not told, as many rows as hold its numbers.
Of pandas' parameters, which documents pass on to Tiled, ``sep`` (or ``delimiter``) and ``skiprows`` are followed.
"""

from __future__ import annotations

import os
from array import array
from contextlib import suppress
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.entries import EntryFrames
from wpb_stream.frames.layout import datum_shape
from wpb_stream.frames.roots import DataRoots

ROW_LIMIT_BYTES = 2**20
"""Longest line that is read."""
_BLOCK_BYTES = 2**20


class CsvTable:
    """The rows of one open file. Not thread-safe."""

    grows = True
    dtype = np.dtype(np.float64)

    def __init__(self, roots: DataRoots, path: Path, *, separator: str, header: bool | None, skip: int) -> None:
        """Open it, and find its first row.

        :param header: whether the first line names the columns; None: it does if it does not begin with a number
        :param skip: lines before the header and the rows
        :raises FrameNotYet: it is not there, or has no row yet
        :raises FrameRefused: it may not be read
        :raises FrameBroken: it is no table of numbers
        """
        self.path = path
        self._separator, self._header, self._skip = separator, header, skip
        self._starts = array("q", [0])
        """Where each row begins, and after them where the next one will."""
        self._descriptor = roots.open_path(path)
        try:
            self._opened = os.fstat(self._descriptor)
            self._find_rows(1)
            self.shape = (len(self._starts) - 1, len(self.entry(0)))
        except BaseException:
            self.close()
            raise

    def entry(self, index: int) -> npt.NDArray[np.float64]:
        """See :meth:`wpb_stream.frames.entries.Entries.entry`: one row."""
        if index < 0:
            raise FrameBroken(f"{self.path} cannot have a row {index}")
        self._find_rows(index + 1)
        if index + 1 >= len(self._starts):
            raise FrameNotYet(f"{self.path} has {len(self._starts) - 1} rows so far, row {index} is not among them")
        start, stop = self._starts[index], self._starts[index + 1]
        fields = os.pread(self._descriptor, stop - start, start).decode("utf-8", "replace").rstrip("\r\n").split(self._separator)
        try:
            row = np.array([float(field) for field in fields])
        except ValueError as error:
            raise FrameBroken(f"row {index} of {self.path} is not all numbers: {error}") from error
        if hasattr(self, "shape") and row.shape != self.shape[1:]:
            raise FrameBroken(f"row {index} of {self.path} has {len(row)} columns, where the first has {self.shape[1]}")
        return row

    def current(self) -> bool:
        """See :meth:`wpb_stream.frames.entries.Entries.current`; a file that grows is still the same."""
        try:
            now = os.stat(self.path)
        except OSError:
            return False
        return os.path.samestat(now, self._opened) and now.st_size >= self._starts[-1]

    def close(self) -> None:
        """See :meth:`wpb_stream.frames.entries.Entries.close`."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1

    def _find_rows(self, wanted: int) -> None:
        """Look for the ends of lines until so many rows are known, or the file ends."""
        at, begun = self._starts[-1], self._starts[-1]
        while len(self._starts) <= wanted:
            block = os.pread(self._descriptor, _BLOCK_BYTES, at)
            if not block:
                return
            offset = 0
            while (end := block.find(b"\n", offset)) >= 0:
                offset = end + 1
                self._end_line(begun, at + offset)
                begun = at + offset
            at += len(block)
            if at - begun > ROW_LIMIT_BYTES:
                raise FrameBroken(f"{self.path} has a line of more than {ROW_LIMIT_BYTES} bytes: it is no table of numbers")

    def _end_line(self, start: int, stop: int) -> None:
        """Take in a line: it is skipped, names the columns, or is a row. Empty lines are none."""
        if self._skip or not os.pread(self._descriptor, min(stop - start, 64), start).strip():
            self._skip = max(0, self._skip - 1)
        elif len(self._starts) == 1 and self._is_header(start, stop):
            self._header = False
        else:
            if len(self._starts) == 1:
                self._starts[0] = start
            self._starts.append(stop)
            return
        if len(self._starts) == 1:
            self._starts[0] = stop
        else:
            self._starts[-1] = stop

    def _is_header(self, start: int, stop: int) -> bool:
        if self._header is not None:
            return self._header
        self._header = False
        first = os.pread(self._descriptor, stop - start, start).decode("utf-8", "replace").split(self._separator)[0]
        try:
            float(first)
        except ValueError:
            return True
        return False


def csv_frames(roots: DataRoots, file: StreamFile) -> EntryFrames:
    """The rows of one CSV file, as frames.

    :raises FrameError: as :class:`CsvTable` does
    """
    separator = file.parameters.get("sep") or file.parameters.get("delimiter") or ","
    skip = file.parameters.get("skiprows", 0)
    if not isinstance(separator, str) or len(separator) != 1 or type(skip) is not int:
        raise FrameBroken(
            f"the stream resource of {file.uri} has sep {separator!r} and skiprows {skip!r}; expected a character and a number"
        )
    header = {"absent": False, "present": True}.get(file.mimetype.partition("header=")[2])
    table = CsvTable(roots, roots.path(file.uri), separator=separator, header=header, skip=skip)
    try:
        return EntryFrames(replace(file, shape=_datum_of_rows(file, table.shape[1]), parameters={}), lambda single: table)
    except BaseException:
        table.close()
        raise


def _datum_of_rows(file: StreamFile, columns: int) -> tuple[int, ...]:
    """The shape of one datum as rows of a table."""
    shape = datum_shape(file)
    if shape is None:
        return (columns,)
    rows, rest = divmod(prod(shape), columns)
    return (rows, columns) if rows > 1 and not rest else (columns,)
