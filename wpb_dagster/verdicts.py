"""What a check says: passed or not, how bad that is, of which run, and what to do."""

from typing import Any

import dagster as dg

from wpb_dagster.assets.reconstruction import maps


def run_of(context: dg.AssetCheckExecutionContext) -> str | None:
    """The run to check: the partition; for a check started by itself, which has none, the run materialised last; None if none was."""
    if context.op_execution_context.has_partition_key:
        return context.op_execution_context.partition_key
    event = context.instance.get_latest_materialization_event(maps.key)
    return event.asset_materialization.partition if event and event.asset_materialization else None


def nothing(uid: str | None, asset: str) -> dg.AssetCheckResult:
    """There is nothing to check."""
    if uid is None:
        return warning("", "No run has maps yet: materialise a run first.")
    return warning(
        uid,
        f"This run has no {asset}: not materialised yet, or no recipe fits the run because its start document names no shape. "
        "Materialise it; if frames is skipped, give its plan a shape in the settings (`plans`) first.",
    )


def result(uid: str, passed: bool, description: str, metadata: dict[str, Any]) -> dg.AssetCheckResult:
    """A check that was made; not passed, it is an error."""
    return dg.AssetCheckResult(
        passed=passed, severity=dg.AssetCheckSeverity.ERROR, description=description, metadata={"run": uid, **metadata}
    )


def warning(uid: str, description: str, metadata: dict[str, Any] | None = None) -> dg.AssetCheckResult:
    """A check that could not be made, or found what may be meant."""
    return dg.AssetCheckResult(
        passed=False, severity=dg.AssetCheckSeverity.WARN, description=description, metadata={"run": uid, **(metadata or {})}
    )
