"""What the stop sensor launches."""

from __future__ import annotations

import dagster as dg

from wpb_dagster.assets.acquisition import documents, frames
from wpb_dagster.assets.reconstruction import arrays, maps, point_values
from wpb_dagster.assets.results import line_fits, line_statistics, nexus_file, preview, summary

MAX_RUNTIME_S = 3600
"""A Dagster run that takes longer is ended by run monitoring: file systems hang."""

reconstruct_scan = dg.define_asset_job(
    "reconstruct_scan",
    selection=dg.AssetSelection.assets(
        documents, frames, point_values, arrays, maps, preview, nexus_file, line_statistics, line_fits, summary
    ),
    description="Everything that is made of a run once it is over: documents, frames, values, maps, picture, file, and their checks.",
    tags={"dagster/max_runtime": str(MAX_RUNTIME_S)},
)
"""All but `run_start`, which the start sensor reports while the run begins."""
