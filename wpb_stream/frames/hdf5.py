"""Frames of an HDF5 file, by the index of a StreamDatum."""

from __future__ import annotations

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.window import StreamFile
from wpb_stream.frames.dataset import Hdf5Dataset
from wpb_stream.frames.entries import EntryFrames
from wpb_stream.frames.roots import DataRoots


def hdf5_frames(roots: DataRoots, file: StreamFile) -> EntryFrames:
    """The frames of the dataset that the documents name.

    :raises FrameError: as :class:`~wpb_stream.frames.dataset.Hdf5Dataset` does, or the documents do not say which dataset
    """
    path = roots.path(file.uri)
    dataset = file.parameters.get("dataset") or file.parameters.get("path")  # `path` until event-model 1.21
    if not isinstance(dataset, str):
        raise FrameBroken(f"the stream resource of {path} does not say which dataset: its parameters are {sorted(file.parameters)}")
    return EntryFrames(file, lambda single: Hdf5Dataset(roots, path, dataset, single))
