"""Arrays in files, as a start document names them: by a URI, and by the dataset in it where files of that kind have any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.needed import FileArray

HDF5 = "application/x-hdf5"
MIMETYPES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((".h5", ".hdf5", ".hdf", ".nxs"), HDF5),
        ".npy": "application/x-npy",
        **dict.fromkeys((".tif", ".tiff"), "image/tiff"),
        ".png": "image/png",
    }
)
"""By the end of a file's name, as nobody tells the type of these files."""
MAX_LENGTH = 4096
"""Of a URI, and of a dataset's path."""


def file_array_of(key: str, given: Mapping[str, Any], name: str, *, averaged: bool = False) -> FileArray:
    """The array that ``name`` and ``dataset`` of an entry tell.

    :param key: of the entry
    :param averaged: whether several frames may lie there, whose mean is meant
    :raises RecipeError: they tell none
    """
    uri, dataset = given.get(name), given.get("dataset")
    if not isinstance(uri, str) or not uri.startswith("file:") or len(uri) > MAX_LENGTH:
        raise RecipeError(f"{key}.{name} must be like file://localhost/data/mask.h5, not {repr(uri)[:80]}")
    mimetype = MIMETYPES.get(PurePosixPath(unquote(uri)).suffix.lower())
    if mimetype is None:
        raise RecipeError(f"{key}.{name}: {uri[-80:]!r} does not end like a file that is read: {', '.join(MIMETYPES)}")
    if mimetype != HDF5 and dataset is not None:
        raise RecipeError(f"{key}.dataset is for HDF5 files only")
    if mimetype == HDF5 and (not isinstance(dataset, str) or not dataset or len(dataset) > MAX_LENGTH):
        raise RecipeError(f"{key}.dataset must be the path of a dataset in the file, like /mask, not {repr(dataset)[:80]}")
    return FileArray(key, uri, mimetype, dataset, averaged)
