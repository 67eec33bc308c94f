"""What people take away: a picture to look at, a file to open elsewhere."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt

from wpb_dagster.assets.acquisition import OWNERS, run_row
from wpb_dagster.formats import write_whole
from wpb_dagster.io_managers import stored_maps, stored_values
from wpb_dagster.line_fits import as_csv as fits_as_csv
from wpb_dagster.line_fits import asked_of, fits_of
from wpb_dagster.line_statistics import COLUMNS, as_csv, statistics_of
from wpb_dagster.metadata import about_run, picture, plan_of, tag_run
from wpb_dagster.outcomes import Outcomes
from wpb_dagster.partitions import run_partitions
from wpb_dagster.previews import KEPT_PREVIEW_BYTES, shrink
from wpb_dagster.reconstruction import Maps, Values, replay
from wpb_dagster.resources import Catalogue, Recipes, ResultsFolder, Viewer
from wpb_dagster.summary import JSON, MARKDOWN, as_markdown, summary_of
from wpb_stream.catalogue.results import LINE_FITS, LINE_STATISTICS, NEXUS, PREVIEW
from wpb_stream.core.derived import grid_of
from wpb_stream.core.documents import Document
from wpb_stream.core.recipe import Channel
from wpb_stream.frames.nexus import write_nexus
from wpb_stream.pictures import COLOURS, composite, draw

GROUP = "results"
_FILES = {"NeXus file": NEXUS, "picture": PREVIEW, "peak statistics": LINE_STATISTICS, "fits": LINE_FITS}
SHOWN_LINES = 20
"""Rows of the table on Dagster's page; the file has them all."""


@dg.asset(partitions_def=run_partitions, group_name=GROUP, owners=OWNERS, kinds={"image"}, code_version="1")
def preview(context: dg.AssetExecutionContext, maps: Maps, results_folder: ResultsFolder, viewer: Viewer) -> dg.MaterializeResult:
    """The maps as one picture: the composite of the colour channels, then each channel; hatched where nothing was measured."""
    uid = context.partition_key
    tag_run(context, maps.info)
    png = draw(maps.info, maps.channels)
    path = results_folder.results().folder(uid) / PREVIEW
    write_whole(path, png)
    metadata = picture(viewer.preview_url(uid), shrink(png, KEPT_PREVIEW_BYTES)) | about_run(maps.info, viewer)
    return dg.MaterializeResult(metadata=metadata | {"file": dg.MetadataValue.path(path), "bytes": len(png)})


@dg.asset(partitions_def=run_partitions, group_name=GROUP, owners=OWNERS, kinds={"hdf5", "nexus"}, code_version="1")
def nexus_file(
    context: dg.AssetExecutionContext,
    documents: list[Document],
    point_values: Values,
    maps: Maps,
    results_folder: ResultsFolder,
    viewer: Viewer,
) -> dg.MaterializeResult:
    """The maps with their axes, and what was accumulated, as a NeXus file, which h5web and silx open at the map."""
    info = maps.info
    tag_run(context, info)
    start = next(document.doc for document in documents if document.name == "start")
    stop = next((document.doc for document in documents if document.name == "stop"), None)
    path = write_nexus(
        results_folder.results().folder(context.partition_key) / NEXUS,
        start=start,
        stop=stop,
        maps=maps.channels,
        grid=grid_of(info),
        channels=[Channel(channel.name, channel.label, channel.units, channel.colour) for channel in info.channels],
        composite=_composite(maps),
        revision=maps.revision,
        notices=[notice.message for notice in maps.notices],
        arrays={name: each.values for name, each in results_folder.results().arrays(point_values.file).items()},
    )
    found = {"NeXus file": dg.MetadataValue.path(path), "bytes": path.stat().st_size, "revision": maps.revision}
    return dg.MaterializeResult(metadata=about_run(info, viewer) | plan_of(info) | found)


@dg.asset(partitions_def=run_partitions, group_name=GROUP, owners=OWNERS, kinds={"csv", "table"}, code_version="1")
def line_statistics(context: dg.AssetExecutionContext, maps: Maps, results_folder: ResultsFolder, viewer: Viewer) -> dg.MaterializeResult:
    """Peak statistics along the fast axis, line by line and channel by channel, as Bluesky's PeakStats gives them."""
    tag_run(context, maps.info)
    found = list(statistics_of(maps))
    path = results_folder.results().folder(context.partition_key) / LINE_STATISTICS
    write_whole(path, as_csv(found))
    shown = [dg.TableRecord(dict(zip(COLUMNS, map(_brief, each.row()), strict=True))) for each in found[:SHOWN_LINES]]
    metadata = about_run(maps.info, viewer) | {"lines": len(found), "file": dg.MetadataValue.path(path)}
    return dg.MaterializeResult(metadata=metadata | ({"first lines": dg.MetadataValue.table(shown)} if shown else {}))


@dg.asset(partitions_def=run_partitions, group_name=GROUP, owners=OWNERS, kinds={"csv", "table"}, code_version="1", output_required=False)
def line_fits(
    context: dg.AssetExecutionContext,
    documents: list[Document],
    maps: Maps,
    recipes: Recipes,
    results_folder: ResultsFolder,
    viewer: Viewer,
) -> Iterator[dg.MaterializeResult]:
    """What the plan asked to be fitted to each line along the fast axis. Skipped where it asked for nothing."""
    run, _ = replay(documents, recipes.chooser())
    found = [fit for fits in asked_of(run) for fit in fits_of(fits, maps)]
    if not found:
        return
    path = results_folder.results().folder(context.partition_key) / LINE_FITS
    write_whole(path, fits_as_csv(found))
    models = ", ".join(dict.fromkeys(fit.model.title for fit in found))
    metadata = about_run(maps.info, viewer) | {"model": models, "lines": len(found), "file": dg.MetadataValue.path(path)}
    shown = [dg.TableRecord({name: _brief(value) for name, value in fit.cells().items()}) for fit in found[:SHOWN_LINES]]
    yield dg.MaterializeResult(metadata=metadata | {"first lines": dg.MetadataValue.table(shown)})


@dg.asset(
    partitions_def=run_partitions,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"json", "markdown"},
    code_version="1",
    deps=[preview, nexus_file, line_statistics],
    # Of the steps that could run now the last: checks, and what is made only where it is asked for, come before.
    op_tags={"dagster/priority": "-1"},
)
def summary(
    context: dg.AssetExecutionContext,
    documents: list[Document],
    catalogue: Catalogue,
    results_folder: ResultsFolder,
    viewer: Viewer,
    outcomes: Outcomes,
) -> dg.MaterializeResult:
    """What was scanned, when, how it ended, what was found and what is missing, each check, and where to look further."""
    uid, results = context.partition_key, results_folder.results()
    with catalogue.reader() as reader:
        row = run_row(reader, uid)
    tag_run(context, row.info)
    values, maps = stored_values(results, uid), stored_maps(results, uid)
    links = {"viewer": viewer.run_url(uid)}
    links |= {name: str(results.folder(uid) / file) for name, file in _FILES.items() if (results.folder(uid) / file).exists()}
    checks = outcomes.evaluations(context)
    told = summary_of(row.info, row.reason, len(documents), values, maps, checks, links)
    text = as_markdown(told)
    write_whole(results.folder(uid) / MARKDOWN, text.encode())
    path = results.folder(uid) / JSON
    write_whole(path, json.dumps(told, indent=2, allow_nan=False).encode() + b"\n")
    if values is not None and not outcomes.failed(context):  # the summary comes last
        with catalogue.reader() as reader:
            reader.finish_revision(uid, values.revision)
    failed = [each.check_name for each in checks if not each.passed]
    metadata: dict[str, Any] = {"summary": dg.MetadataValue.md(text), "file": dg.MetadataValue.path(path)}
    metadata |= {"checks passed": len(checks) - len(failed), "checks not passed": ", ".join(failed) or "none"}
    return dg.MaterializeResult(metadata=about_run(row.info, viewer) | metadata)


def _brief(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _composite(maps: Maps) -> npt.NDArray[np.uint8] | None:
    """The picture of the colour channels; None where there is none, or the scan has not two dimensions."""
    coloured = {channel.colour: maps.channels[channel.name] for channel in maps.info.channels if channel.colour in COLOURS}
    if len(coloured) < 2 or len(maps.info.shape) != 2:
        return None
    return composite([coloured.get(colour) for colour in COLOURS])[0]
