"""How a detector's files were when they were first read, and how they are now: size, time of change, and digests of sampled bytes.

A few kilobytes of each file are read, however large it is: a change of other bytes that leaves size and time as they were is not seen.
Of an HDF5 file with external links, or a virtual dataset, the file that the documents name is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import msgspec

from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.core.exceptions import FrameBroken, FrameError
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.roots import DataRoots
from wpb_stream.frames.sequence import paging_of
from wpb_stream.frames.template import Template

SAMPLES = 16
"""Blocks that are read of the files of one stream resource, or one of each file if there are more."""
BLOCK_BYTES = 4096
MAX_MEMBERS = 4096
"""Files of one stream resource (numbered images, chunks of a Zarr array) that are looked at; of more, as many, evenly chosen."""
MAX_WALKED = 100_000
YOUNG_S = 600.0
"""A file that was changed so shortly before it was first read may still be finished by its writer."""


class Seen(msgspec.Struct, frozen=True):
    """One file as it was."""

    size: int
    """Bytes."""
    modified_ns: int
    """Since 1970."""
    samples: list[tuple[int, str]]
    """Offset of a block of ``BLOCK_BYTES``, and its digest; the first block holds what writers change when they close a file."""
    young: bool = False
    """Whether it had been changed within ``YOUNG_S`` before it was looked at."""


class Kind(IntEnum):
    """What became of a file, the worst last."""

    TOUCHED = 1
    """Another time; what was sampled is the same but, perhaps, the first block."""
    GROWN = 2
    """Longer; of what was sampled only the first block, at most, is another."""
    CHANGED = 3
    GONE = 4


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not what it was."""

    path: Path
    kind: Kind
    told: str
    """What is the matter with it, to follow the file's name."""


def files_of(frames: ScanFrames) -> Iterator[Path]:
    """The files that a scan's frames, and the numbers beside them, are read from. What documents get wrong is left out."""
    last: dict[StreamFile, int] = {}
    for ref in frames.refs:
        own = () if ref.values is not None else ((ref.file, ref.index),)
        for file, index in (*own, *(place for place in ref.beside if isinstance(place, tuple))):
            last[file] = max(index, last.get(file, 0))
    for file, index in last.items():
        try:
            members = _members(file, index, frames.roots)
        except (FrameError, OSError):
            continue
        yield from members


def look(path: Path, roots: DataRoots, now: float, blocks: int = SAMPLES, like: Seen | None = None) -> Seen:
    """How a file is now.

    :param now: seconds since 1970
    :param like: take the same samples as then; by default ``blocks`` of them, evenly over the file
    :raises FrameError: it cannot be opened
    :raises OSError: it cannot be read
    """
    descriptor = roots.open_path(path)
    try:
        found = os.fstat(descriptor)
        size, at = (like.size, [at for at, _ in like.samples]) if like else (found.st_size, _evenly(found.st_size, blocks))
        samples = [(offset, _digest(os.pread(descriptor, min(BLOCK_BYTES, size - offset), offset))) for offset in at]
    finally:
        os.close(descriptor)
    return Seen(found.st_size, found.st_mtime_ns, samples, now - found.st_mtime < YOUNG_S)


def remember(seen: Mapping[str, Seen], frames: ScanFrames, now: float) -> dict[str, Seen]:
    """What is to be kept of a scan's files: as they were when they were first read; those not read before, as they are now.

    A file that was young when it was first read, and of which nothing but its end and its first block has changed, counts as it is now.
    """
    kept = dict(seen)
    paths = list(files_of(frames))
    blocks = max(1, SAMPLES // max(1, len(paths)))
    for path in paths:
        before = kept.get(str(path))
        if before is not None:
            change = _compare(path, before, frames.roots, now)
            if change is None or not before.young or change.kind > Kind.GROWN:
                continue
        try:
            kept[str(path)] = look(path, frames.roots, now, blocks)
        except (FrameError, OSError):
            continue
    return kept


def changes(seen: Mapping[str, Seen], roots: DataRoots, now: float) -> list[Change]:
    """Those files that are not what they were, the worst first."""
    found = [change for path, before in seen.items() if (change := _compare(Path(path), before, roots, now))]
    return sorted(found, key=lambda change: (-change.kind, change.path))


def _compare(path: Path, before: Seen, roots: DataRoots, now: float) -> Change | None:
    try:
        after = look(path, roots, now, like=before)
    except (FrameError, OSError) as error:
        return Change(path, Kind.GONE, f"can no longer be read ({error})")
    if (after.size, after.modified_ns, after.samples) == (before.size, before.modified_ns, before.samples):
        return None
    if after.size < before.size:
        return Change(path, Kind.CHANGED, f"has {after.size} bytes and had {before.size}")
    differ = [offset for (offset, one), (_, other) in zip(before.samples, after.samples, strict=True) if one != other]
    if any(differ) or (differ and len(before.samples) == 1):
        return Change(path, Kind.CHANGED, f"has other bytes than before in {len(differ)} of {len(before.samples)} sampled blocks")
    if after.size > before.size:
        return Change(path, Kind.GROWN, f"has grown from {before.size} to {after.size} bytes, and what was sampled before is the same")
    return Change(path, Kind.TOUCHED, "was written to since, though what was sampled of its data is the same")


def _digest(block: bytes) -> str:
    return blake2b(block, digest_size=16).hexdigest()


def _evenly(size: int, blocks: int) -> list[int]:
    """Offsets of blocks from the first to the last of a file, each once."""
    last = max(0, size - BLOCK_BYTES)
    return sorted({round(last * k / max(1, blocks - 1)) for k in range(blocks)}) if blocks > 1 else [last // 2]


def _members(file: StreamFile, last_index: int, roots: DataRoots) -> list[Path]:
    """The files of one stream resource, as far as they are there.

    :raises FrameError: the documents do not say which
    """
    path = roots.path(file.uri)
    if file.mimetype.startswith("multipart/") and (template := _template(file)) is not None:
        paging = paging_of(file, 2, numbered=True)
        count = paging.place((last_index + 1) * paging.per_index - 1)[0] + 1
        folder = file.uri if not path.is_dir() or file.uri.endswith("/") else file.uri + "/"
        named = (roots.path(folder + quote(template.name(number))) for number in _chosen(count))
        return [member for member in named if member.is_file()]
    if not path.is_dir() or not any(Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)) for root in roots.roots):
        return [path]
    found = sorted(islice(_walk(path), MAX_WALKED))
    return [found[number] for number in _chosen(len(found))]


def _template(file: StreamFile) -> Template | None:
    try:
        template = Template(file.parameters)
    except FrameBroken:
        return None
    return template if template.numbered else None


def _chosen(count: int) -> Iterable[int]:
    if count <= MAX_MEMBERS:
        return range(count)
    return sorted({round((count - 1) * k / (MAX_MEMBERS - 1)) for k in range(MAX_MEMBERS)})


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            yield Path(where, name)
