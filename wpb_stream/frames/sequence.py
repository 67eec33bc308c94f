"""Frames in image files: numbered ones (a multipart mimetype), or one file of several pages.

The parameters mean what they mean to Bluesky's consolidators (``bluesky.consolidators.MultipartRelatedConsolidator``): the URI is a folder
(or what all names begin with), ``template`` and ``filename`` give the name of each file, counted from 0, and ``chunk_shape`` how many
images each holds. With F images an index and P a file, image k of the F of index i is page ``(i*F + k) % P`` of file ``(i*F + k) // P``.

F is what the descriptor's shape has in front of an image's own axes (see :mod:`~wpb_stream.frames.layout`), as the images really are. P is
what ``chunk_shape`` has there; else, of stacked datums, F (a file is an index), and of others 1. A single file holds all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.narrow import as_list
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.images import ImageFile
from wpb_stream.frames.layout import MAX_FRAMES_PER_INDEX, Layout, datum_shape, multiplier_of
from wpb_stream.frames.roots import DataRoots
from wpb_stream.frames.template import Template

MULTIPART = "multipart/related;type="
NPY = "application/x-npy"
_NPY_TEMPLATE = "%s_%d.npy"
"""Of Bluesky's own simulated devices, whose documents leave it out."""


@dataclass(frozen=True, slots=True)
class Paging:
    """How the images of an index lie in files."""

    per_index: int
    per_file: int | None
    """None: there is one file, which has them all."""

    def place(self, image: int) -> tuple[int, int]:
        """Number of the file, and page in it, of an image."""
        return (0, image) if self.per_file is None else divmod(image, self.per_file)


def paging_of(file: StreamFile, axes: int, *, numbered: bool) -> Paging:
    """How the images of a resource lie in files, by its documents.

    :param axes: of one image
    :param numbered: whether there are several files
    """
    shape = datum_shape(file)
    counts = () if shape is None else shape[: max(0, len(shape) - axes)]
    per_index = _believed(counts if shape is not None else (multiplier_of(file) or 1,))
    if not numbered:
        return Paging(per_index, None)
    chunk = as_list(file.parameters.get("chunk_shape")) or []
    of_datum = shape is not None and len(chunk) == len(shape)
    stacked = file.parameters.get("join_method", "stack" if file.mimetype.endswith(NPY) else "concat") == "stack"
    if stacked and not of_datum:
        return Paging(per_index, per_index)
    return Paging(per_index, _believed(chunk[: len(counts)] if of_datum else chunk[:1]))


def _believed(sides: Sequence[object]) -> int:
    """The product of some sides; 1 if documents that are not sane named them."""
    count = 1
    for side in sides:
        count *= side if type(side) is int else 0
    return count if 0 < count <= MAX_FRAMES_PER_INDEX else 1


class SequenceFrames:
    """The images of one stream resource. Not thread-safe."""

    def __init__(self, roots: DataRoots, file: StreamFile) -> None:
        """Nothing is opened yet.

        :raises FrameBroken: the documents do not say how the files are called
        """
        self._roots, self._file = roots, file
        self._mimetype = file.mimetype.removeprefix(MULTIPART)
        self._template: Template | None = None
        if file.mimetype != self._mimetype:
            parameters = {"template": _NPY_TEMPLATE, **file.parameters} if self._mimetype == NPY else file.parameters
            template = Template(parameters)
            self._template = template if template.numbered else None
            self._single = self._beside(template.name(0))
        else:
            self._single = file.uri
        self._open: tuple[int, ImageFile] | None = None
        self._paging: Paging | None = None
        self.frame_shape: tuple[int, int] | None = None
        self.dtype: np.dtype[Any] | None = None

    def frames_of(self, index: int) -> Iterator[npt.NDArray[Any]]:
        """See :meth:`wpb_stream.frames.reader.Frames.frames_of`."""
        if index < 0:
            raise FrameBroken(f"{self._file.uri} cannot have a frame {index}")
        paging = self._paging = self._paging or self._find_paging(index)
        for image in range(index * paging.per_index, (index + 1) * paging.per_index):
            page = self._page(*paging.place(image))
            layout = Layout(1, page.shape)
            self.frame_shape, self.dtype = layout.frame_shape, page.dtype
            yield from layout.frames(iter([page]))

    def count(self) -> int:
        """See :class:`wpb_stream.frames.needed.Counted`: the pages of the first file."""
        self._page(0, 0)
        assert self._open is not None, "a page was read"
        return self._open[1].pages

    def current(self) -> bool:
        """See :meth:`wpb_stream.frames.reader.Frames.current`: the one file that is kept open is looked at as it is used."""
        return True

    def close(self) -> None:
        """Close the file; the frames handed out stay valid memory."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _find_paging(self, index: int) -> Paging:
        """How the images lie in files. Whether an image has colours, and so how many make an index, only a file can tell."""
        shape = datum_shape(self._file)
        numbered = self._template is not None
        grey = paging_of(self._file, min(2, len(shape or ())), numbered=numbered)
        if shape is None or len(shape) < 3:
            return grey
        if self._mimetype == NPY:
            return paging_of(self._file, len(shape), numbered=numbered)
        coloured = paging_of(self._file, 3, numbered=numbered)
        if coloured == grey:
            return grey
        # Whichever it is, this file is there if those of the index are: files are written in the order of their numbers.
        probed = min(grey.place(index * grey.per_index), coloured.place(index * coloured.per_index))
        return coloured if self._page(*probed).ndim > 2 else grey

    def _page(self, number: int, page: int) -> npt.NDArray[Any]:
        """A page of the file of that number."""
        if self._open is None or self._open[0] != number or not self._open[1].current():
            self.close()
            uri = self._single if self._template is None else self._beside(self._template.name(number))
            self._open = (number, ImageFile(self._roots, self._roots.path(uri), self._mimetype))
        return self._open[1].page(page)

    def _beside(self, name: str) -> str:
        """The URI of a file of that name: in the folder that the resource's URI is, or begins with what it ends with."""
        uri = self._file.uri
        folder = "" if uri.endswith("/") or not self._roots.path(uri).is_dir() else "/"
        return uri + folder + quote(name)
