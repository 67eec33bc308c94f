"""Which way a dataset's entries are read, by how they are stored."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from wpb_stream.frames.bitshuffle import BitshuffleSlabs, is_bitshuffled
from wpb_stream.frames.slabs import ChunkedSlabs, DirectSlabs, Slabs


def open_slabs(dataset: h5py.Dataset, entry: tuple[int, ...], dtype: np.dtype[Any], descriptor: int, *, check_end: bool) -> Slabs:
    """The fastest way to read a dataset's entries.

    :param entry: shape of one; all of the dataset's axes but the first, or all of them if it is a single one
    :param descriptor: the open file, to ask for its length
    :param check_end: look for chunks beyond the end of the file, because HDF5 has not compared the file's length with its header
    """
    if dataset.chunks is None:
        return Slabs(dataset, entry, dtype, descriptor)
    plain = dataset.id.get_create_plist().get_nfilters() == 0
    same_type = dataset.id.get_type().equal(h5py.h5t.py_create(dtype, logical=True))
    if same_type and tuple(dataset.chunks[dataset.ndim - len(entry) :]) == entry and (plain or is_bitshuffled(dataset)):
        kind = DirectSlabs if plain else BitshuffleSlabs
        return kind(dataset, entry, dtype, descriptor, check_end=check_end)
    return ChunkedSlabs(dataset, entry, dtype, descriptor, check_end=check_end)
