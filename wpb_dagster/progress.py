"""Runs that stream now, as Dagster sees them: how far each has come, with a picture of what there is, every few seconds at most."""

import time
from collections.abc import Mapping
from typing import Any

import dagster as dg
import msgspec

from wpb_dagster.assets.reconstruction import maps
from wpb_dagster.metadata import about_maps, about_run, kept_picture
from wpb_dagster.partitions import add_runs
from wpb_dagster.previews import KEPT_PREVIEW_BYTES, shrink
from wpb_dagster.reconstruction import Maps
from wpb_dagster.resources import Catalogue, Viewer
from wpb_dagster.sensors import ask, report_start
from wpb_dagster.summary import map_rows
from wpb_dagster.watching import look_at
from wpb_stream import settings
from wpb_stream.client import Update
from wpb_stream.pictures import draw

LOOKED_AT_A_TICK = 8
"""Runs that are looked at in one tick, those first that were not looked at for longest."""
RUNNING_SEEN = 200
OBSERVE_EVERY_S = 5.0
"""A run is reported no more often."""


class Looked(msgspec.Struct, frozen=True):
    """The last look at a run."""

    at: float
    """Seconds since 1970."""
    rows: int
    revision: str


@dg.sensor(minimum_interval_seconds=2, default_status=dg.DefaultSensorStatus.RUNNING)
def run_progress(context: dg.SensorEvaluationContext, catalogue: Catalogue, viewer: Viewer) -> dg.SensorResult | dg.SkipReason:
    """A run that streams is reported as an observation of `maps`: how many points it has, and a picture of them."""
    rows = ask(catalogue, lambda reader: reader.runs(status="running", limit=RUNNING_SEEN))
    if isinstance(rows, dg.SkipReason):
        return rows
    if not rows:
        return dg.SensorResult(skip_reason="No run streams now.", cursor="{}")
    looked = _cursor(context.cursor)
    now = time.time()
    due = [row for row in rows if row.uid not in looked or now - looked[row.uid].at >= OBSERVE_EVERY_S]
    due = sorted(due, key=lambda row: looked[row.uid].at if row.uid in looked else 0.0)[:LOOKED_AT_A_TICK]
    if not due:
        return dg.SkipReason(f"Each of the {len(rows)} runs that stream was looked at less than {OBSERVE_EVERY_S:g} s ago.")
    report_start(context.instance, [row for row in due if row.generation > 1], viewer)
    found = look_at(viewer.feed_url(), [row.uid for row in due], token=settings.load().token)
    add_runs(context.instance, list(found))
    reported = 0
    for uid, update in found.items():
        before = looked.get(uid)
        if update.rows and (before is None or (update.rows, update.revision) != (before.rows, before.revision)):
            context.instance.report_runless_asset_event(dg.AssetObservation(maps.key, partition=uid, metadata=_told(update, viewer)))
            reported += 1
        looked[uid] = Looked(now, update.rows, update.revision)
    # A run of which nothing was heard is not asked again at once: it would take the place of others.
    looked |= {row.uid: Looked(now, 0, "") for row in due if row.uid not in looked}
    kept = {row.uid: looked[row.uid] for row in rows if row.uid in looked}
    told = f"Looked at {len(due)} of {len(rows)} runs that stream; {reported} have come further."
    if not found:
        told = (
            f"The feed at {viewer.feed_url()} tells of none of the {len(due)} runs that stream: is `wpb stream` there? "
            "See WPB_VIEWER_URL, and WPB_TOKEN."
        )
    return dg.SensorResult(skip_reason=told, cursor=msgspec.json.encode(kept).decode())


def _told(update: Update, viewer: Viewer) -> dict[str, Any]:
    info = update.run
    made = Maps(info, update.revision, list(update.notices), update.table.maps(info.shape))
    metadata: dict[str, Any] = about_run(info, viewer) | {"points so far": update.rows, "revision": update.revision}
    if info.points_expected:
        metadata["percent"] = round(100 * update.rows / info.points_expected, 1)
    picture = shrink(draw(info, made.channels), KEPT_PREVIEW_BYTES)
    return metadata | {"so far": kept_picture(picture)} | about_maps(map_rows(made))


def _cursor(cursor: str | None) -> dict[str, Looked]:
    try:
        looked: Mapping[str, Looked] = msgspec.json.decode(cursor or "{}", type=dict[str, Looked])
    except msgspec.MsgspecError:  # a person set it
        return {}
    return dict(looked)
