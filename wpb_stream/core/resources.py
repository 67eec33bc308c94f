"""The files that a run's documents tell of, whatever the generation of the documents.

Three have been published: StreamResource as event-model has it since 1.21 (``mimetype``, ``uri``, ``parameters``, ``data_key``), the
StreamResource of 1.18 to 1.20, and the Resource that came before (both ``spec``, ``root``, ``resource_path``, ``resource_kwargs``).
The last two are translated as Bluesky's TiledWriter does (``bluesky.callbacks.tiled_writer``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.window import StreamFile

HDF5 = "application/x-hdf5"
TIFF = "multipart/related;type=image/tiff"
MIMETYPES: Mapping[str, str] = MappingProxyType(
    {
        "AD_TIFF": TIFF,
        "NPY_SEQ": "multipart/related;type=application/x-npy",
        "PIZZABOX_ENC_FILE_TXT_PD": "text/csv",
        **dict.fromkeys(
            (
                *("hdf5", "AD_HDF5", "AD_HDF5_SWMR", "AD_HDF5_SWMR_STREAM", "AD_HDF5_SWMR_SLICE", "AD_HDF5_GERM", "PIL100k_HDF5"),
                *("XSP3", "XPS3", "XSP3_BULK", "XSP3_STEP", "PANDA", "ROI_HDF5_FLY", "ROI_HDF51_FLY", "SIS_HDF51_FLY_STREAM_V1"),
                *("MERLIN_FLY_STREAM_V2", "MERLIN_HDF5_BULK", "TPX_HDF5", "EIGER2_STREAM", "ZEBRA_HDF51_FLY_STREAM_V1"),
            ),
            HDF5,
        ),
    }
)
"""Of the ``spec`` of older documents."""
AREA_DETECTOR_DATASET = "/entry/data/data"
"""Where areaDetector's HDF5 plugin writes; its resources do not say so."""
_HANDLED = frozenset({"frame_per_point", "images_per_file", "path"})

_FileKey = tuple[str, str, tuple[int, ...] | None, str | None]


@dataclass(slots=True)
class Resources:
    """The resources of one run, in the order they came."""

    _docs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    _orders: dict[str, int] = field(default_factory=dict[str, int])
    _files: dict[_FileKey, StreamFile] = field(default_factory=dict[_FileKey, StreamFile])

    def __contains__(self, uid: object) -> bool:
        return uid in self._docs

    def add(self, doc: dict[str, Any]) -> None:
        """Take in a resource or stream resource; the first of a uid stays."""
        if doc["uid"] not in self._docs:
            self.expect(doc["uid"])
            self._docs[doc["uid"]] = doc

    def expect(self, uid: str) -> None:
        """A resource came of which is not known yet whether it belongs to this run; if it does, this is its place among the others."""
        self._orders.setdefault(uid, len(self._orders))

    @property
    def in_order(self) -> list[str]:
        """All uids, the one that came first in front."""
        return list(self._orders)

    def order(self, uid: str) -> int:
        """How many resources came before it."""
        return self._orders[uid]

    def data_key(self, uid: str) -> str | None:
        """What it holds; None where the document is too old to say."""
        return self._docs[uid].get("data_key")

    def file(self, uid: str, data_key: str, shape: object, dataset: str | None = None) -> StreamFile:
        """The file of a resource.

        :param shape: of one datum, as the descriptor has it
        :param dataset: where in the file, if a datum said so
        """
        sides = as_list(shape)
        believed = tuple(sides) if sides is not None and all(type(side) is int and side >= 0 for side in sides) else None
        key = (uid, data_key, believed, dataset)
        if key not in self._files:
            doc = self._docs[uid]
            made = _stream_file if "mimetype" in doc else _older_file
            file = made(doc, data_key, believed)
            self._files[key] = replace(file, parameters={**file.parameters, "dataset": dataset}) if dataset else file
        return self._files[key]


def _stream_file(doc: Mapping[str, Any], data_key: str, shape: tuple[int, ...] | None) -> StreamFile:
    return StreamFile(doc["uid"], data_key, doc["mimetype"], doc["uri"], doc["parameters"], shape)


def _older_file(doc: Mapping[str, Any], data_key: str, shape: tuple[int, ...] | None) -> StreamFile:
    spec = str(doc["spec"])
    asked = as_mapping(doc.get("resource_kwargs"))
    parameters = {name: value for name, value in asked.items() if name not in _HANDLED}
    mimetype = MIMETYPES.get(spec, "application/octet-stream")
    uri = _older_uri(doc)
    if mimetype == HDF5:
        parameters.setdefault("dataset", asked.get("path") or AREA_DETECTOR_DATASET)
    elif mimetype == TIFF:
        uri = uri.rstrip("/") + "/"  # a folder
    elif spec == "NPY_SEQ":
        parameters.setdefault("template", "_%d.npy")  # its files begin with the resource's path
    if "frame_per_point" in asked:
        parameters.setdefault("multiplier", asked["frame_per_point"])
    return StreamFile(doc["uid"], data_key, mimetype, uri, parameters, shape)


def _older_uri(doc: Mapping[str, Any]) -> str:
    """``root`` and ``resource_path`` as one URI; a Windows path keeps its drive, for a path mapping."""
    root, path = str(doc.get("root", "")), str(doc["resource_path"])
    if doc.get("path_semantics") == "windows":
        whole = PureWindowsPath(root, path).as_posix()
        return "file:" + quote(whole) if whole.startswith("//") else "file:///" + quote(whole, safe="/:")
    return "file://localhost" + quote(str(PurePosixPath("/", root.lstrip("/"), path.lstrip("/"))))
