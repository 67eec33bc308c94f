"""Files of frames as detectors write them, one kind each: how a frame is added, and what the stream resource says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import zarr
from PIL import Image

Frame = npt.NDArray[np.uint8]
Write = Callable[[Path, str, int, Frame], Frame]
"""Folder, name, number of the frame, and the frame; gives it as the files have it."""
Resource = Callable[[str], tuple[str, str, dict[str, Any]]]
"""Of that name: mimetype, what follows the folder in the URI, parameters."""


def _tiff(folder: Path, name: str, number: int, frame: Frame) -> Frame:
    tifffile.imwrite(folder / f"{name}_{number:06d}.tiff", frame)
    return frame


def _jpeg(folder: Path, name: str, number: int, frame: Frame) -> Frame:
    path = folder / f"{name}_{number:06d}.jpeg"
    Image.fromarray(frame).save(path, quality=90)
    with Image.open(path) as image:
        return np.asarray(image)


def _png(folder: Path, name: str, number: int, frame: Frame) -> Frame:
    Image.fromarray(frame).save(folder / f"{name}_{number:06d}.png")
    return frame


def _npy(folder: Path, name: str, number: int, frame: Frame) -> Frame:
    np.save(folder / f"{name}_{number}.npy", frame)
    return frame


def _pages(folder: Path, name: str, number: int, frame: Frame) -> Frame:
    tifffile.imwrite(folder / f"{name}.tif", frame, append=True)
    return frame


def _csv(folder: Path, name: str, number: int, frame: Frame) -> Frame:
    with (folder / f"{name}.csv").open("a") as file:
        np.savetxt(file, frame, fmt="%d", delimiter=",")
    return frame


def _zarr(folder: Path, name: str, number: int, frame: Frame) -> Frame:
    path = folder / f"{name}.zarr"
    array = zarr.open_array(path, mode="a", shape=(0, *frame.shape), chunks=(1, *frame.shape), dtype="u1")
    array.resize((number + 1, *frame.shape))
    array[number] = frame
    return frame


def _numbered(kind: str, extension: str) -> Resource:
    return lambda name: (f"multipart/related;type=image/{kind}", "", {"template": name + "_{:06d}" + extension})


KINDS: dict[str, tuple[Write, Resource]] = {
    "tiffs": (_tiff, lambda name: ("multipart/related;type=image/tiff", "", {"template": "%s%s_%6.6d.tiff", "filename": name})),
    "jpegs": (_jpeg, _numbered("jpeg", ".jpeg")),
    "pngs": (_png, _numbered("png", ".png")),
    "npys": (_npy, lambda name: ("multipart/related;type=application/x-npy", "", {"filename": name})),
    "pages": (_pages, lambda name: ("image/tiff", f"{name}.tif", {})),
    "csvs": (_csv, lambda name: ("text/csv;header=absent", f"{name}.csv", {})),
    "zarrs": (_zarr, lambda name: ("application/x-zarr", f"{name}.zarr", {})),
}
"""By the name of the detector that writes them."""
