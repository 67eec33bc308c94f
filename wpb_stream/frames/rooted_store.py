"""A Zarr store whose files are opened beneath the roots, and are never written."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet
from wpb_stream.frames.limits import FRAME_LIMIT_BYTES
from wpb_stream.frames.roots import DataRoots


class RootedStore(Store):
    """A folder beneath the roots, read-only."""

    def __init__(self, roots: DataRoots, folder: Path) -> None:
        super().__init__(read_only=True)
        self._roots, self._folder = roots, folder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RootedStore) and (self._roots, self._folder) == (other._roots, other._folder)

    def read(self, key: str, request: ByteRequest | None = None) -> bytes | None:
        """The bytes of a file, or of the part asked for; None if it does not exist.

        :raises FrameError: it cannot be opened
        """
        descriptor = self._descriptor(key)
        if descriptor is None:
            return None
        try:
            size = os.fstat(descriptor).st_size
            start, stop = _part(request, size)
            if stop - start > FRAME_LIMIT_BYTES:
                raise FrameBroken(f"{self._folder / key} has {size} bytes; chunks must be at most 1 GiB")
            return os.pread(descriptor, max(0, stop - start), start)
        finally:
            os.close(descriptor)

    def has(self, key: str) -> bool:
        """Whether there is such a file.

        :raises FrameError: it cannot be opened
        """
        descriptor = self._descriptor(key)
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is not None

    def _descriptor(self, key: str) -> int | None:
        try:
            return self._roots.open_path(self._folder / key)
        except FrameNotYet as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise  # a disk that does not answer must not look like a chunk that holds nothing

    @property
    def supports_writes(self) -> bool:
        """See the base class."""
        return False

    @property
    def supports_deletes(self) -> bool:
        """See the base class."""
        return False

    @property
    def supports_listing(self) -> bool:
        """See the base class."""
        return False

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """See the base class."""
        data = self.read(key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """See the base class."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """See the base class."""
        return self.has(key)

    async def set(self, key: str, value: Buffer) -> None:
        """See the base class."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """See the base class."""
        raise NotImplementedError

    async def list(self) -> AsyncIterator[str]:
        """See the base class."""
        raise NotImplementedError
        yield  # an iterator, to the type checker

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """See the base class."""
        raise NotImplementedError
        yield  # an iterator, to the type checker

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """See the base class."""
        raise NotImplementedError
        yield  # an iterator, to the type checker


def _part(request: ByteRequest | None, size: int) -> tuple[int, int]:
    """First byte and the one after the last of a request on a file of that size."""
    match request:
        case RangeByteRequest(start, end):
            return start, min(end, size)
        case OffsetByteRequest(offset):
            return offset, size
        case SuffixByteRequest(suffix):
            return max(0, size - suffix), size
        case _:
            return 0, size
