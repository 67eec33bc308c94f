"""The images in one file: TIFF with one page or several, JPEG, PNG, NPY.

A file that begins as its format does but cannot be read to its end is taken for one that is still being written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from wpb_stream.core.exceptions import FrameBroken, FrameError, FrameNotYet
from wpb_stream.frames.limits import check_numbers, check_size
from wpb_stream.frames.roots import DataRoots, open_beneath
from wpb_stream.frames.states import state_of

T = TypeVar("T")
NPY_SIGNATURE = b"\x93NUMPY"
_SMALLEST_BYTES = 8
"""No image is smaller; a file that is has only just been made."""
_PLAIN_MODES = frozenset({"1", "L", "I;16", "I;16L", "I;16B", "I;16N", "I", "F", "RGB", "RGBA"})
_CONVERTED_MODES = MappingProxyType({"P": "RGB", "LA": "L", "PA": "RGB", "RGBX": "RGB"})


class Pages(Protocol):
    """The images in one file. ``IndexError`` beyond the last."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, page: int, /) -> npt.NDArray[Any]:
        """One image: rows and columns, and colours last if it has any; an NPY file may hold any other array."""
        ...


class ImageFile:
    """One open file, and the images in it."""

    def __init__(self, roots: DataRoots, path: Path, mimetype: str) -> None:
        """Open it.

        :raises FrameNotYet: it is not there, or not complete
        :raises FrameRefused: it may not be read
        :raises FrameBroken: it is of another format, or of a kind that is not read
        """
        self.path = path
        begins, opener = FORMATS[mimetype]
        self._file = open_beneath(roots, path)
        try:
            self._opened = state_of(os.fstat(self._file.fileno()))
            start = os.pread(self._file.fileno(), _SMALLEST_BYTES, 0)
            if len(start) < _SMALLEST_BYTES or not start.strip(b"\0"):
                raise FrameNotYet(f"{path} is empty so far")
            if not start.startswith(begins):
                raise FrameBroken(f"{path} is no {mimetype} file: it begins with {start!r}")
            self._pages = self._told(lambda: opener(self._file))
        except BaseException:
            self.close()
            raise

    def page(self, number: int) -> npt.NDArray[Any]:
        """One image, counted from 0.

        :raises FrameNotYet: it is not there yet, or not whole
        :raises FrameBroken: it cannot be decoded
        """
        try:
            return self._told(lambda: self._pages[number])
        except IndexError as error:
            raise FrameNotYet(f"{self.path} has no page {number} so far") from error

    @property
    def pages(self) -> int:
        """How many images it has."""
        return self._told(lambda: len(self._pages))

    def current(self) -> bool:
        """Whether what lies at the path is still what was opened, and was not written to since."""
        try:
            return state_of(os.stat(self.path)) == self._opened
        except OSError:
            return False

    def close(self) -> None:
        """Close the file; the images handed out stay valid memory."""
        with suppress(OSError):
            self._file.close()

    def _told(self, read: Callable[[], T]) -> T:
        """What ``read`` gives; its errors name the file."""
        try:
            return read()
        except FrameError as error:
            raise type(error)(f"{self.path}: {error}") from error
        except IndexError:
            raise
        except MemoryError as error:
            raise FrameBroken(f"{self.path} takes more memory than a reader may have: {error}") from error
        except Exception as error:  # decoders raise nearly anything for half a file
            raise FrameNotYet(f"{self.path} is not complete, or damaged: {type(error).__name__}: {error}") from error


class TiffPages:
    """The pages of a TIFF file."""

    def __init__(self, file: BinaryIO) -> None:
        """Read where the pages are."""
        self._size = os.fstat(file.fileno()).st_size
        self._tiff = tifffile.TiffFile(file)

    def __len__(self) -> int:
        """See :class:`Pages`."""
        return len(self._tiff.pages)

    def __getitem__(self, number: int) -> npt.NDArray[Any]:
        """See :class:`Pages`."""
        if number >= len(self._tiff.pages):  # asked for one beyond a circle of pages, tifffile would give another
            raise IndexError
        page = self._tiff.pages[number]
        assert isinstance(page, tifffile.TiffPage), "no page was declared the key frame of others"
        check_numbers(page.dtype)
        check_size(page.shape, page.dtype)
        # The decoder would hand out zeros for strips that have no place yet, and for what lies beyond the end of the file.
        for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
            if not start or not length or start + length > self._size:
                raise FrameNotYet(f"page {number} is not written whole so far")
        try:
            image: npt.NDArray[Any] = page.asarray(maxworkers=1)
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            name = getattr(page.compression, "name", page.compression)
            raise FrameBroken(f"it is compressed with {name}: install the package imagecodecs (wpb's extra 'codecs')") from error
        channels_last = page.axes.endswith("S") and image.shape[-1] not in (3, 4)
        return np.moveaxis(image, -1, 0) if channels_last else image


def pillow_pages(file: BinaryIO) -> Pages:
    """The one image of a JPEG or PNG file."""
    try:
        image = Image.open(file, formats=("JPEG", "PNG"))
    except Image.DecompressionBombError as error:
        raise FrameBroken(f"it declares more pixels than are read: {error}") from error
    check_size((image.height, image.width, len(image.getbands())), np.dtype("u4"))
    if image.mode in ("RGB", "RGBA") and any("16" in str(tile[3]) for tile in image.tile):
        raise FrameBroken("it has colours of 16 bits, of which Pillow would keep 8: write it as TIFF or HDF5")
    if image.mode in _CONVERTED_MODES:
        image = image.convert(_CONVERTED_MODES[image.mode])
    if image.mode not in _PLAIN_MODES:
        raise FrameBroken(f"its colours are {image.mode}; grey and RGB are read")
    return (np.asarray(image),)


class NpyHeader:
    """What the header of an NPY file declares; pickled objects are refused."""

    def __init__(self, file: BinaryIO) -> None:
        """Read it.

        :raises FrameBroken: no array of numbers
        """
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in readers:
            raise FrameBroken(f"it is NPY of version {version}; versions 1.0 and 2.0 hold numbers")
        self.shape, self.fortran, self.dtype = readers[version](file)
        check_numbers(self.dtype)
        self.offset = file.tell()
        """Where the array begins."""


def npy_pages(file: BinaryIO) -> Pages:
    """The one array of an NPY file."""
    header = NpyHeader(file)
    check_size(header.shape, header.dtype)
    data = file.read(prod(header.shape) * header.dtype.itemsize)
    return (np.frombuffer(data, header.dtype).reshape(header.shape, order="F" if header.fortran else "C"),)


FORMATS: Mapping[str, tuple[tuple[bytes, ...], Callable[[BinaryIO], Pages]]] = MappingProxyType(
    {
        "image/tiff": ((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffPages),
        "image/jpeg": ((b"\xff\xd8\xff",), pillow_pages),
        "image/png": ((b"\x89PNG\r\n\x1a\n",), pillow_pages),
        "application/x-npy": ((NPY_SIGNATURE,), npy_pages),
    }
)
"""How files of each type begin, and how they are read."""
