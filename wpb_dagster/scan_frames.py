"""The frames of a scan as a reference: which frames of which files make which point. Pixels are read when they are asked for."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import msgspec
import numpy as np
import numpy.typing as npt

from wpb_stream.core.accumulation import Accumulation, Tally, merged
from wpb_stream.core.reducers import Reducer
from wpb_stream.core.window import IN_THE_EVENT, Beside, FrameRef, FrameStatus, StreamFile, WindowResult, window_request
from wpb_stream.frames.reader import read_frames, reduce_window
from wpb_stream.frames.roots import DataRoots

_REF = np.dtype([("point", "<u4"), ("file", "<u4"), ("index", "<i8"), ("version", "<i8")])
_BESIDE = np.dtype([("file", "<i4"), ("index", "<i8"), ("value", "<f8")])
"""``file`` is -1 where ``value`` is the number itself."""


@dataclass(frozen=True, slots=True)
class ScanFrames:
    """The frames of one scan in the order the documents announced them, in the detectors' files."""

    refs: tuple[FrameRef, ...]
    """Of two for one point the later counts: the scan was rewound in between."""
    roots: DataRoots
    """Where the files may be read."""

    def __len__(self) -> int:
        return len(self.refs)

    def __getitem__(self, key: slice) -> npt.NDArray[np.generic]:
        """Pixels of a stretch of ``refs``, read now: shape (refs, frames a point, rows, columns), in the file's dtype.

        :raises FrameError: any of them cannot be read
        """
        if not isinstance(key, slice):
            raise TypeError("frames are read in slices: frames[10:11] is the one of entry 10")
        refs = [ref for ref in self.refs[key] if ref.values is None]
        stretches = [list(stretch) for _, stretch in groupby(refs, key=lambda ref: ref.file)]
        if not stretches:
            return np.empty((0, 0, 0, 0))
        read = [read_frames(stretch[0].file, [ref.index for ref in stretch], self.roots) for stretch in stretches]
        return np.concatenate(read) if len(read) > 1 else read[0]

    @property
    def files(self) -> list[StreamFile]:
        """The files, in the order they are first needed; none for points whose events carry their values."""
        return list(dict.fromkeys(ref.file for ref in self.refs if ref.values is None))

    @property
    def points(self) -> int:
        """Points of the scan that have frames."""
        return len({ref.point for ref in self.refs})

    def windows(self, size: int) -> Iterator[ScanFrames]:
        """The same frames in pieces of at most ``size`` entries."""
        for first in range(0, len(self.refs), size):
            yield ScanFrames(self.refs[first : first + size], self.roots)


def reduce_frames(refs: Sequence[FrameRef], reducer: Reducer, roots: DataRoots, accumulation: Accumulation | None = None) -> WindowResult:
    """Read and reduce frames here and now, file by file; never raises for a file's fault.

    The reader processes of :mod:`wpb_stream.frames.pool` do the same for the streaming process, with deadlines.

    :returns: one row for each of ``refs``, in their order
    """
    values = np.full((len(refs), reducer.size), np.nan)
    status = np.full(len(refs), FrameStatus.BROKEN, np.uint8)
    shape: tuple[int, int] | None = None
    reason: str | None = None
    tally: Tally | None = None
    for rows in _by_file(refs):
        result = reduce_window(window_request([refs[row] for row in rows], reducer, accumulation), roots)
        values[rows], status[rows] = result.values, result.status
        shape, reason = shape or result.frame_shape, reason or result.reason
        tally = merged([tally, result.tally])
    return WindowResult(values, status, shape, reason, tally)


def _by_file(refs: Sequence[FrameRef]) -> Iterable[list[int]]:
    groups: dict[StreamFile, list[int]] = {}
    for row, ref in enumerate(refs):
        groups.setdefault(ref.file, []).append(row)
    return groups.values()


def encode(frames: ScanFrames) -> bytes:
    """The reference as the bytes of an ``.npz`` file: an entry of 24 bytes a point, and what is known of the files."""
    named = (file for ref in frames.refs for file in (ref.file, *(place[0] for place in ref.beside if isinstance(place, tuple))))
    files = {file: number for number, file in enumerate(dict.fromkeys(named))}
    table = np.array([(ref.point, files[ref.file], ref.index, ref.version) for ref in frames.refs], _REF)
    carried = np.array([ref.values for ref in frames.refs if ref.values is not None], np.float64)
    beside = np.array([[_place(place, files) for place in ref.beside] for ref in frames.refs], _BESIDE)
    out = io.BytesIO()
    files_told = np.frombuffer(msgspec.json.encode(list(files)), np.uint8)
    np.savez_compressed(out, allow_pickle=False, refs=table, files=files_told, carried=carried, beside=beside)
    return out.getvalue()


def decode(value: bytes, roots: DataRoots) -> ScanFrames:
    """The reference from the bytes that :func:`encode` made."""
    with np.load(io.BytesIO(value), allow_pickle=False) as stored:
        files = msgspec.json.decode(stored["files"].tobytes(), type=list[StreamFile])
        rows: list[tuple[int, int, int, int]] = stored["refs"].tolist()
        carried = iter(stored["carried"].tolist() if "carried" in stored else [])
        places: list[list[tuple[int, int, float]]] = stored["beside"].tolist() if "beside" in stored else []
    values = [tuple(next(carried)) if files[file] == IN_THE_EVENT else None for _, file, _, _ in rows]
    beside = [tuple((files[file], index) if file >= 0 else value for file, index, value in each) for each in places] or [()] * len(rows)
    refs = (
        FrameRef(point, files[file], index, version, told, joined)
        for (point, file, index, version), told, joined in zip(rows, values, beside, strict=True)
    )
    return ScanFrames(tuple(refs), roots)


def _place(place: Beside, files: Mapping[StreamFile, int]) -> tuple[int, int, float]:
    """A number beside the frames as an entry of ``_BESIDE``."""
    return (files[place[0]], place[1], np.nan) if isinstance(place, tuple) else (-1, 0, place)
