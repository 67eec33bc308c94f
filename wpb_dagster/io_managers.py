"""Where assets' values go and come from: files in the run's own folder, named after the asset.

A partition key is a stranger's text: ``Results.folder`` makes a safe name of it, and nothing else here makes paths.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from wpb_dagster import scan_frames
from wpb_dagster.formats import decode_documents, decode_maps, decode_values, encode, write_whole
from wpb_dagster.reconstruction import Maps, Values
from wpb_dagster.resources import DetectorFiles, ResultsFolder
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.catalogue.results import Results
from wpb_stream.core.documents import Document

_DECODERS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "documents": (".jsonl", decode_documents),
    "point_values": (".json", decode_values),
    "maps": (".npz", decode_maps),
}
"""By asset: the suffix of its file, and how it is read."""


def stored_file(results: Results, uid: str, asset: str, suffix: str) -> Path:
    """The file of an asset's value for a run."""
    return results.folder(uid) / f"{asset}{suffix}"


def stored_values(results: Results, uid: str) -> Values | None:
    """The newest reconstruction of a run that Dagster made; None if there is none."""
    file = stored_file(results, uid, "point_values", ".json")
    return decode_values(file.read_bytes()) if file.exists() else None


def stored_maps(results: Results, uid: str) -> Maps | None:
    """The newest maps of a run that Dagster made; None if there are none."""
    file = stored_file(results, uid, "maps", ".npz")
    return decode_maps(file.read_bytes()) if file.exists() else None


def stored_documents(results: Results, uid: str) -> list[Document]:
    """The documents of a run as they were materialised; none if they were not."""
    file = stored_file(results, uid, "documents", ".jsonl")
    return decode_documents(file.read_bytes()) if file.exists() else []


class _FilesIOManager(dg.ConfigurableIOManager):
    """Writes an asset's value into the run's folder."""

    folder: str | None = None
    """As :class:`ResultsFolder` has it."""

    def results(self) -> Results:
        """The results, as the streaming process finds them too."""
        return self._folder.results()

    @cached_property
    def _folder(self) -> ResultsFolder:
        return ResultsFolder(folder=self.folder)

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Write a value, and say where."""
        suffix, value = encode(obj)
        path = stored_file(self.results(), context.partition_key, context.asset_key.path[-1], suffix)
        write_whole(path, value)
        context.add_output_metadata({"file": dg.MetadataValue.path(path), "bytes": len(value)})


class ResultsIOManager(_FilesIOManager):
    """Documents, descriptions of reconstructions and maps, as files in the run's folder."""

    def load_input(self, context: dg.InputContext) -> Any:
        """Read the value of the run whose partition this is."""
        suffix, decode = _DECODERS[context.asset_key.path[-1]]
        return decode(_read(context, self.results(), suffix))


class FramesIOManager(_FilesIOManager):
    """Frames, as a reference to the detectors' files: nothing is copied, pixels are read in slices by whoever asks for them."""

    data_roots: list[str] | None = None
    """As :class:`DetectorFiles` has it."""
    path_map: list[str] | None = None
    """As :class:`DetectorFiles` has it."""

    def load_input(self, context: dg.InputContext) -> ScanFrames:
        """The reference; no pixel is read yet."""
        roots = DetectorFiles(data_roots=self.data_roots, path_map=self.path_map).roots()
        return scan_frames.decode(_read(context, self.results(), ".npz"), roots)


def _read(context: dg.InputContext, results: Results, suffix: str) -> bytes:
    uid, asset = context.partition_key, context.asset_key.path[-1]
    path = stored_file(results, uid, asset, suffix)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise dg.Failure(f"{asset} of run {uid} is not in the results folder ({path}): materialise {asset} of this run first.") from None
