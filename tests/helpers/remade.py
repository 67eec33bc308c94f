"""A finished run reconstructed again with other regions and put into the catalogue, as Dagster's asset `point_values` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from wpb_dagster.reconstruction import Reconstructed, reconstruct_run, replay
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.core.documents import Document
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes import chooser
from wpb_stream.settings import Settings, load

UPPER_ROWS = {"red": {"rows": [0, 1]}, "green": {"rows": [1, 6]}}


def reconstructed(documents: list[Document], folder: Path, regions: dict[str, Any], revision: str = "") -> Reconstructed:
    """What the batch reconstruction of a run with these regions gives."""
    documents = [Document(each.name, {**each.doc, "wpb": {"regions": regions}} if each.name == "start" else each.doc) for each in documents]
    run, refs = replay(documents, chooser(load().defaults_of))
    frames = ScanFrames(tuple(refs), DataRoots((folder,)))
    return reconstruct_run(run, frames, window_frames=3, ended=True, produced_by="a test", revision=revision)


def revise(settings: Settings, uid: str, regions: dict[str, Any] = UPPER_ROWS, revision: str | None = None) -> tuple[str, Reconstructed]:
    """Reconstruct a run of the catalogue again; gives the new revision's name, and what is in it."""
    revision = revision or str(uuid4())
    results = Results(settings.results)
    with CatalogueReader(settings.database_url or "") as catalogue:
        made = reconstructed(catalogue.documents(uid), settings.data_roots[0], regions, revision)
        catalogue.add_revision(made.info, revision, "a test", results.save(uid, revision, made.table, made.arrays))
    return revision, made
