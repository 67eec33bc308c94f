"""What is made of the frames: values point by point, and the maps."""

from collections.abc import Iterator

import dagster as dg

from wpb_dagster import versions
from wpb_dagster.assets.acquisition import OWNERS, run_row
from wpb_dagster.metadata import about_array, about_frames, about_maps, about_run, kept_picture, notices_text, plan_of, tag_run
from wpb_dagster.partitions import run_partitions
from wpb_dagster.previews import KEPT_PREVIEW_BYTES, shrink
from wpb_dagster.provenance import revision_of
from wpb_dagster.reconstruction import Maps, Values, code_version_of, reconstruct_run, replay
from wpb_dagster.resources import Catalogue, DetectorFiles, Recipes, ResultsFolder, Viewer
from wpb_dagster.scan_frames import ScanFrames
from wpb_dagster.summary import map_rows
from wpb_stream.catalogue.records import MadeWith
from wpb_stream.core.documents import Document
from wpb_stream.pictures import draw_images

GROUP = "reconstruction"
FILE_POOL = "detector_files"
"""The concurrency pool of steps that read detectors' files; without a limit, which a deployment may set, none waits."""


@dg.asset(
    partitions_def=run_partitions,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"numpy", "table"},
    code_version="1",
    io_manager_key="results_io",
    pool=FILE_POOL,
)
def point_values(
    context: dg.AssetExecutionContext,
    documents: list[Document],
    frames: ScanFrames,
    catalogue: Catalogue,
    detector_files: DetectorFiles,
    results_folder: ResultsFolder,
    recipes: Recipes,
    viewer: Viewer,
) -> dg.MaterializeResult[Values]:
    """One row a point: its cell and the value of each channel, computed anew from the files. A new revision, told to all who watch."""
    uid, (revision, produced_by) = context.partition_key, revision_of(context.run)
    run, _ = replay(documents, recipes.chooser())
    results = results_folder.results()
    with catalogue.reader() as reader:
        ended_seq = run_row(reader, uid).ended_seq
        made = reconstruct_run(
            run,
            frames,
            window_frames=detector_files.frames_in_window(),
            ended=ended_seq is not None,
            produced_by=produced_by,
            revision=revision,
        )
        file = results.save(uid, revision, made.table, made.arrays)
        made_with = MadeWith(code_version_of(run), recipes.defaults_of()(run.start).digest, recipes.wpb or {}, len(made.missing), ended_seq)
        reader.add_revision(made.info, revision, produced_by, file, made_with)
    announced = len({*(ref.point for ref in frames.refs), *made.table.data["point"].tolist(), *made.missing})
    values = Values(made.info, revision, file, announced, made.missing, made.notices)
    metadata = about_run(made.info, viewer) | plan_of(made.info) | about_frames(values)
    metadata |= {"revision": revision, "rows": made.table.rows, "table": dg.MetadataValue.path(results.root / file)}
    notices = notices_text(made.notices)
    metadata |= {"notices": notices} if notices else {}
    tag_run(context, made.info)
    return dg.MaterializeResult(value=values, metadata=metadata, data_version=versions.of_values(made.table, made.arrays))


@dg.asset(partitions_def=run_partitions, group_name=GROUP, owners=OWNERS, kinds={"numpy"}, code_version="1", output_required=False)
def arrays(
    context: dg.AssetExecutionContext, point_values: Values, results_folder: ResultsFolder, viewer: Viewer
) -> Iterator[dg.MaterializeResult]:
    """What is accumulated of all frames, and made of the maps: images, spectra, fits. Skipped where the run asks for none."""
    results = results_folder.results()
    found = {name: each.values for name, each in results.arrays(point_values.file).items()}
    if not found:
        context.log.info("Nothing is accumulated of this run, nor made of its maps.")
        return
    rows = [dg.TableRecord(about_array(name, values)) for name, values in found.items()]
    metadata = about_run(point_values.info, viewer) | {"revision": point_values.revision, "arrays": dg.MetadataValue.table(rows)}
    if images := {name: values for name, values in found.items() if values.ndim == 2}:
        metadata["images"] = kept_picture(shrink(draw_images(images), KEPT_PREVIEW_BYTES))
    yield dg.MaterializeResult(metadata=metadata, data_version=versions.of_arrays(found))


@dg.asset(partitions_def=run_partitions, group_name=GROUP, owners=OWNERS, kinds={"numpy"}, code_version="1", io_manager_key="results_io")
def maps(
    context: dg.AssetExecutionContext, point_values: Values, results_folder: ResultsFolder, viewer: Viewer
) -> dg.MaterializeResult[Maps]:
    """The values scattered over the scan's grid: a map a channel, empty (NaN) where nothing was measured."""
    table = results_folder.results().load(point_values.file)
    made = Maps(point_values.info, point_values.revision, point_values.notices, table.maps(point_values.info.shape))
    tag_run(context, made.info)
    metadata = about_run(made.info, viewer) | about_frames(point_values) | about_maps(map_rows(made))
    return dg.MaterializeResult(value=made, metadata=metadata, data_version=versions.of_maps(made))
