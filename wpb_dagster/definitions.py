"""The Dagster project: every scan an asset partition. All of it is named here; nothing is searched for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from wpb_dagster.assets.acquisition import documents, frames, run_start
from wpb_dagster.assets.reconstruction import arrays, maps, point_values
from wpb_dagster.assets.results import line_fits, line_statistics, nexus_file, preview, summary
from wpb_dagster.checks import all_frames_found, live_equals_batch, values_finite
from wpb_dagster.housekeeping import tidy_up, tidy_up_nightly
from wpb_dagster.io_managers import FramesIOManager, ResultsIOManager
from wpb_dagster.jobs import reconstruct_scan
from wpb_dagster.outcomes import Outcomes
from wpb_dagster.progress import run_progress
from wpb_dagster.reprocess_job import reprocess_runs, reprocess_stale
from wpb_dagster.resources import Catalogue, DetectorFiles, Recipes, ResultsFolder, Viewer
from wpb_dagster.scan_checks import file_unchanged, map_complete, positions_within_extents
from wpb_dagster.sensors import run_started, run_stopped


def resources(
    catalogue: Catalogue | None = None,
    detector_files: DetectorFiles | None = None,
    results_folder: ResultsFolder | None = None,
    recipes: Recipes | None = None,
    viewer: Viewer | None = None,
) -> dict[str, Any]:
    """The resources by the names assets ask for them; those not given follow wpb's settings."""
    detector_files, results_folder = detector_files or DetectorFiles(), results_folder or ResultsFolder()
    return {
        "catalogue": catalogue or Catalogue(),
        "detector_files": detector_files,
        "results_folder": results_folder,
        "recipes": recipes or Recipes(),
        "viewer": viewer or Viewer(),
        "outcomes": Outcomes(),
        # Not as resources within resources: Dagster 1.13 warns of its own code for those.
        "results_io": ResultsIOManager(folder=results_folder.folder),
        "frames_io": FramesIOManager(folder=results_folder.folder, data_roots=detector_files.data_roots, path_map=detector_files.path_map),
    }


def resources_of(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The same from the fields of each: for another process."""
    return resources(
        catalogue=Catalogue(**fields["catalogue"]),
        detector_files=DetectorFiles(**fields["detector_files"]),
        results_folder=ResultsFolder(**fields["results_folder"]),
        recipes=Recipes(**fields["recipes"]),
        viewer=Viewer(**fields["viewer"]),
    )


def definitions(resources: Mapping[str, Any]) -> dg.Definitions:
    """The project, room by room, with these resources."""
    return dg.Definitions.merge(
        dg.Definitions(assets=[run_start, documents, frames]),
        dg.Definitions(assets=[point_values, arrays, maps], asset_checks=[all_frames_found, values_finite, live_equals_batch]),
        dg.Definitions(asset_checks=[file_unchanged, positions_within_extents, map_complete]),
        dg.Definitions(assets=[preview, nexus_file, line_statistics, line_fits, summary]),
        dg.Definitions(jobs=[reconstruct_scan], sensors=[run_started, run_progress, run_stopped]),
        dg.Definitions(jobs=[reprocess_runs, tidy_up], schedules=[reprocess_stale, tidy_up_nightly]),
        # In one process: a process for each asset takes five times as long.
        dg.Definitions(resources=resources, executor=dg.in_process_executor),
    )


defs = definitions(resources())
