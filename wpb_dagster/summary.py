"""One small page a run: what was scanned, when, how it ended, what was found and what is missing, and where to look further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np

from wpb_dagster.metadata import run_tags
from wpb_dagster.reconstruction import Maps, Values
from wpb_stream.core.messages import RunInfo

JSON, MARKDOWN = "summary.json", "summary.md"
"""Names of the files in a run's folder."""


def summary_of(
    info: RunInfo,
    reason: str,
    documents: int,
    values: Values | None,
    maps: Maps | None,
    checks: Sequence[dg.AssetCheckEvaluation],
    links: dict[str, str],
) -> dict[str, Any]:
    """All that is told of a run, for JSON.

    :param reason: why it ended, as its stop document says
    :param values: None where nothing was reconstructed, and then there are no maps either
    """
    return {
        "run": info.uid,
        "scan_id": info.scan_id,
        "plan": info.plan_name,
        "status": info.status,
        "reason": reason,
        "started": info.started,
        "stopped": info.stopped,
        "recipe": info.recipe,
        "shape": info.shape,
        "axes": [{"name": a.name, "start": a.start, "stop": a.stop, "units": a.units, "snaking": a.snaking} for a in info.axes],
        "tags": dict(run_tags(info)),
        "documents": documents,
        "frames": None if values is None else _frames(values),
        "revision": None if values is None else values.revision,
        "maps": [] if maps is None else map_rows(maps),
        "checks": [
            {"check": each.check_name, "passed": each.passed, "severity": each.severity.value, "told": each.description} for each in checks
        ],
        "notices": [] if values is None else [notice.message for notice in values.notices],
        "links": links,
    }


def map_rows(maps: Maps) -> list[dict[str, Any]]:
    """For each channel its units, and the lowest, mean and highest of what was measured; None where nothing was."""
    units = {channel.name: channel.units for channel in maps.info.channels}
    return [_row(name, units.get(name, ""), values) for name, values in maps.channels.items()]


def as_markdown(told: dict[str, Any]) -> str:
    """The same for people; short enough that Dagster shows it in its page where little went wrong."""
    scan = f"scan {told['scan_id']}" if told["scan_id"] is not None else "a scan without a number"
    shape = " x ".join(map(str, told["shape"])) or "of no shape"
    lines = [
        f"**{told['plan'] or 'plan without a name'}, {scan}**, {shape}: {told['status']}{': ' + told['reason'] if told['reason'] else ''}",
        f"{told['started']} to {told['stopped'] or 'now'}",
    ]
    if frames := told["frames"]:
        lines.append(
            f"Frames: {frames['found']} of {frames['expected']}" + (f", **{frames['missing']} missing**" * bool(frames["missing"]))
        )
    for each in told["maps"]:
        measured = f"{each['lowest']:.6g}, {each['mean']:.6g}, {each['highest']:.6g}" if each["measured"] else "nothing was measured"
        lines.append(f"{each['channel']} ({each['units']}): {measured}" if each["units"] else f"{each['channel']}: {measured}")
    passed = sum(each["passed"] for each in told["checks"])
    if told["checks"]:
        lines.append(f"Checks passed: {passed} of {len(told['checks'])}")
    lines += [f"**{each['check']}** ({each['severity']}): {each['told']}" for each in told["checks"] if not each["passed"]]
    lines += [f"[{name}]({address})" if "://" in address else f"{name}: `{address}`" for name, address in told["links"].items()]
    return "\n\n".join(lines) + "\n"


def _frames(values: Values) -> dict[str, int]:
    return {"expected": values.announced, "found": values.announced - len(values.missing), "missing": len(values.missing)}


def _row(name: str, units: str, values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    measured = values[np.isfinite(values)]
    known = (float(measured.min()), float(measured.mean()), float(measured.max())) if measured.size else (None, None, None)
    return {"channel": name, "units": units, "measured": measured.size, **dict(zip(("lowest", "mean", "highest"), known, strict=True))}
