"""Data versions from content: recomputed with the same result, an asset is the same to Dagster, and nothing made of it is stale.

What belongs to one reconstruction alone (its revision, its time) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import dagster as dg
import msgspec
import numpy as np
import numpy.typing as npt

from wpb_dagster.formats import encode_documents
from wpb_dagster.reconstruction import Maps
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.core.board import Versioned
from wpb_stream.core.documents import Document
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.table import PointTable


def of_start(info: RunInfo, generation: int) -> dg.DataVersion:
    """Of what a start document asks for. A run that the streaming process made anew, after documents that came late, is another."""
    return _version([msgspec.json.encode([info.uid, info.metadata, generation])])


def of_documents(documents: list[Document]) -> dg.DataVersion:
    """Of the documents, in their order."""
    return _version([encode_documents(documents)])


def of_frames(frames: ScanFrames) -> dg.DataVersion:
    """Of which frames of which files make which point; what is in the files is not looked at: that is of point values."""
    return _version(repr(ref).encode() for ref in frames.refs)


def of_values(table: PointTable, arrays: Mapping[str, Versioned]) -> dg.DataVersion:
    """Of the rows, and what was accumulated besides."""
    return _version([repr(table.data.dtype.descr).encode(), table.data.tobytes(), *_parts({n: v.values for n, v in arrays.items()})])


def of_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> dg.DataVersion:
    """Of arrays by their names."""
    return _version(_parts(arrays))


def of_maps(maps: Maps) -> dg.DataVersion:
    """Of the maps by the names of their channels, and of the axes they are drawn over."""
    axes = msgspec.json.encode([maps.info.axes, maps.info.channels, maps.info.status])
    return _version([axes, *_parts(maps.channels)])


def _parts(arrays: Mapping[str, npt.NDArray[Any]]) -> Iterable[bytes]:
    for name, values in arrays.items():
        yield f"{name!r} {values.dtype.str} {values.shape}".encode()
        yield np.ascontiguousarray(values).tobytes()


def _version(parts: Iterable[bytes]) -> dg.DataVersion:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return dg.DataVersion(digest.hexdigest())
