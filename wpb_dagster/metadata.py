"""What people look for on Dagster's pages: which scan it was, where it can be seen, what is missing."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np
import numpy.typing as npt

from wpb_dagster.provenance import TAG_PREFIX, on_behalf
from wpb_dagster.reconstruction import Values
from wpb_dagster.resources import Viewer
from wpb_stream.core.messages import AxisInfo, ChannelInfo, RunInfo
from wpb_stream.core.recipe import Notice

MAX_TAG_CHARACTERS = 128
_TAGGED = {"beamline": "beamline", "instrument": "instrument", "data_session": "data_session", "instrument_session": "instrument_session"}


def about_run(info: RunInfo, viewer: Viewer) -> dict[str, Any]:
    """Metadata of every asset of a run."""
    known = {
        "scan id": info.scan_id,
        "plan": info.plan_name,
        "status": info.status,
        "started": info.started,
        "stopped": info.stopped,
        "recipe": info.recipe,
        "shape (slow axis first)": " x ".join(map(str, info.shape)) or None,
        "points planned": info.points_expected,
    }
    metadata: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
    metadata["viewer"] = dg.MetadataValue.url(viewer.run_url(info.uid))
    return metadata


def plan_of(info: RunInfo) -> dict[str, Any]:
    """The axes and channels as tables."""
    metadata: dict[str, Any] = {}
    if info.axes:
        rows = [_axis_row(axis, points) for axis, points in zip(info.axes, info.shape, strict=True)]
        metadata["axes"] = dg.MetadataValue.table([dg.TableRecord(row) for row in rows])
    if info.channels:
        records = [_channel_row(channel) for channel in info.channels]
        metadata["channels"] = dg.MetadataValue.table([dg.TableRecord(row) for row in records])
    return metadata


def about_frames(values: Values) -> dict[str, Any]:
    """How many frames there should be, and are."""
    return {
        "points planned": values.info.points_expected or 0,
        "frames expected": values.announced,
        "frames found": values.announced - len(values.missing),
        "frames missing": len(values.missing),
    }


def notices_text(notices: list[Notice]) -> dg.MarkdownMetadataValue | None:
    """What was guessed or lost, as a list; None if nothing was."""
    return dg.MetadataValue.md("\n".join(f"- {notice.message}" for notice in notices)) if notices else None


def picture(url: str, png: bytes) -> dict[str, Any]:
    """A picture twice: small by its address, shown in the page itself, and within the metadata, for where the address is not reached."""
    return {"preview": dg.MetadataValue.md(f"![preview]({url})"), "preview (kept here)": kept_picture(png)}


def kept_picture(png: bytes) -> dg.MarkdownMetadataValue:
    """A picture within the metadata."""
    return dg.MetadataValue.md(f"![preview](data:image/png;base64,{base64.b64encode(png).decode()})")


def about_array(name: str, values: npt.NDArray[Any]) -> dict[str, Any]:
    """What is told of an array, as a row of a table."""
    known = values[np.isfinite(values)]
    lowest, highest = (f"{known.min():.6g}", f"{known.max():.6g}") if known.size else ("", "")
    shape = " x ".join(map(str, values.shape))
    return {"name": name, "shape": shape, "type": str(values.dtype), "lowest": lowest, "highest": highest}


def about_maps(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Each map of a run: a row of a table, and the mean as a number, which Dagster plots over the runs.

    :param rows: as :func:`wpb_dagster.summary.map_rows` gives them
    """
    metadata: dict[str, Any] = {}
    if rows:
        told = [{name: "" if value is None else _brief(value) for name, value in row.items()} for row in rows]
        metadata["maps"] = dg.MetadataValue.table([dg.TableRecord(row) for row in told])
    return metadata | {f"mean: {row['channel']}": row["mean"] for row in rows if row["mean"] is not None}


def run_tags(info: RunInfo) -> Mapping[str, str]:
    """Tags by which a scientist finds the Dagster run of a scan: what is remembered of it."""
    told = {"scan_id": info.scan_id, "plan_name": info.plan_name, "status": info.status}
    told |= {tag: info.metadata.get(key) for tag, key in _TAGGED.items()}
    return {
        TAG_PREFIX + tag: str(value)[:MAX_TAG_CHARACTERS] for tag, value in told.items() if isinstance(value, str | int) and value != ""
    }


def tag_run(context: dg.AssetExecutionContext, info: RunInfo) -> None:
    """Give these tags to the Dagster run we are in, if it is of one scan, whoever launched it: the sensor's has them already."""
    if on_behalf(context.run):
        return  # it is of many
    tags = run_tags(info)
    if len(context.partition_keys) == 1 and not tags.items() <= context.run.tags.items():
        context.instance.add_run_tags(context.run.run_id, dict(tags))


def _brief(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _axis_row(axis: AxisInfo, points: int) -> dict[str, Any]:
    return {
        "axis": axis.name,
        "points": points,
        "first": "" if axis.start is None else f"{axis.start:g}",
        "last": "" if axis.stop is None else f"{axis.stop:g}",
        "units": axis.units or "",
        "snaking": axis.snaking,
    }


def _channel_row(channel: ChannelInfo) -> dict[str, Any]:
    return {"channel": channel.label, "units": channel.units, "colour": channel.colour or "", "region": _region_text(channel.region)}


def _region_text(region: Mapping[str, Any] | None) -> str:
    if region is None:
        return "whole frame"
    sides = [f"{side} {ends[0]} to {'end' if ends[1] is None else ends[1]}" for side, ends in region.items() if side in ("rows", "columns")]
    told = f"{shape} in " if (shape := next((key for key in ("ellipse", "annulus", "polygon") if key in region), None)) else ""
    return f"{'all outside ' if region.get('outside') else ''}{told}{', '.join(sides)}"
