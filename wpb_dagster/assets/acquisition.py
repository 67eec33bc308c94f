"""What was acquired: the request, the documents, and the frames they announce."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import dagster as dg

from wpb_dagster import versions
from wpb_dagster.files_seen import keep_seen
from wpb_dagster.metadata import about_run, notices_text, plan_of, tag_run
from wpb_dagster.partitions import run_partitions
from wpb_dagster.reconstruction import replay
from wpb_dagster.resources import Catalogue, DetectorFiles, Recipes, ResultsFolder, Viewer
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.records import RunRow
from wpb_stream.core.documents import Document

GROUP = "acquisition"
OWNERS = ["team:beamline"]


def run_row(reader: CatalogueReader, uid: str) -> RunRow:
    """The catalogue's row of a run.

    :raises dagster.Failure: there is none
    """
    row = reader.run(uid)
    if row is None:
        raise dg.Failure(f"The catalogue has no run {uid}: delete the partition, or check that WPB_DATABASE_URL is the right database.")
    return row


@dg.asset(partitions_def=run_partitions, group_name=GROUP, owners=OWNERS, kinds={"bluesky"}, code_version="1")
def run_start(context: dg.AssetExecutionContext, catalogue: Catalogue, viewer: Viewer) -> dg.MaterializeResult:
    """What the start document asks for: plan, grid, channels. Known as soon as the run begins; the sensor `run_started` reports it then."""
    with catalogue.reader() as reader:
        row = run_row(reader, context.partition_key)
    tag_run(context, row.info)
    version = versions.of_start(row.info, row.generation)
    return dg.MaterializeResult(metadata=about_run(row.info, viewer) | plan_of(row.info), data_version=version)


@dg.asset(
    partitions_def=run_partitions,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"bluesky", "json"},
    code_version="1",
    deps=[run_start],
    io_manager_key="results_io",
)
def documents(context: dg.AssetExecutionContext, catalogue: Catalogue, viewer: Viewer) -> dg.MaterializeResult[list[Document]]:
    """All documents of the run in the order they came, as JSON Lines that `wpb replay` plays."""
    with catalogue.reader() as reader:
        row, found = run_row(reader, context.partition_key), reader.documents(context.partition_key)
    counts = {f"documents: {name}": sum(document.name == name for document in found) for name in dict.fromkeys(d.name for d in found)}
    tag_run(context, row.info)
    ending: dict[str, Any] = {"reason": row.reason} if row.reason else {}
    metadata = about_run(row.info, viewer) | ending | {"documents": len(found)} | counts
    return dg.MaterializeResult(value=found, metadata=metadata, data_version=versions.of_documents(found))


@dg.asset(
    partitions_def=run_partitions,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"hdf5"},
    code_version="1",
    io_manager_key="frames_io",
    output_required=False,
)
def frames(
    context: dg.AssetExecutionContext,
    documents: list[Document],
    recipes: Recipes,
    detector_files: DetectorFiles,
    results_folder: ResultsFolder,
    viewer: Viewer,
) -> Iterator[dg.MaterializeResult[ScanFrames]]:
    """Which frames of which files make which point: a reference, read in slices by whoever needs pixels. Skipped where there are none."""
    run, refs = replay(documents, recipes.chooser())
    if run.recipe is None or not run.measures:
        context.log.warning(" ".join(notice.message for notice in run.notices))
        return
    found = ScanFrames(tuple(refs), detector_files.roots())
    keep_seen(results_folder.results(), context.partition_key, found)
    metadata = {
        **({} if run.recipe.grows else {"points planned": run.recipe.grid.points}),
        "points announced": found.points,
        "shape a point": str(list(refs[0].file.shape or ())) if refs else "",
        "detector": refs[0].file.data_key if refs else "",
        "detector files": dg.MetadataValue.json([unquote(urlsplit(file.uri).path) for file in found.files]),
        "file names": ", ".join(PurePosixPath(unquote(urlsplit(file.uri).path)).name for file in found.files),
        "viewer": dg.MetadataValue.url(viewer.run_url(run.uid)),
    }
    notices = notices_text(run.notices)
    metadata |= {"notices": notices} if notices else {}
    yield dg.MaterializeResult(value=found, metadata=metadata, data_version=versions.of_frames(found))
