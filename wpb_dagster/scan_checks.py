"""Checks of the scan itself: was all of it measured, was it measured where it was planned, are its files still what they were."""

from typing import Any

import dagster as dg

from wpb_dagster.assets.acquisition import frames
from wpb_dagster.assets.reconstruction import maps, point_values
from wpb_dagster.completeness import completeness_of, told_of
from wpb_dagster.files_seen import changed_since, record_of, stored_seen
from wpb_dagster.fingerprints import Kind
from wpb_dagster.io_managers import stored_documents, stored_values
from wpb_dagster.positions import Along, measured_along, nothing_to_compare
from wpb_dagster.reconstruction import replay
from wpb_dagster.resources import DetectorFiles, Recipes, ResultsFolder
from wpb_dagster.verdicts import nothing, result, run_of, warning
from wpb_stream.core.documents import Document

SHOWN = 20


@dg.asset_check(asset=maps)
def map_complete(context: dg.AssetCheckExecutionContext, results_folder: ResultsFolder) -> dg.AssetCheckResult:
    """Every planned point has a value. A run that was stopped early is a warning; points lost of one that ended well are an error."""
    uid = run_of(context)
    results = results_folder.results()
    values = stored_values(results, uid) if uid else None
    if uid is None or values is None:
        return nothing(uid, "maps")
    found = completeness_of(values, results.load(values.file))
    metadata: dict[str, Any] = {"points measured": found.measured, "status": values.info.status}
    if found.planned is not None:
        metadata |= {"points planned": found.planned, "points after the last one": found.not_reached}
    if found.whole and found.planned is None:
        return result(uid, True, f"All {found.measured} points have a value; how many were planned nobody told.", metadata)
    if found.whole:
        return result(uid, True, f"All {found.planned} planned points have a value.", metadata)
    told = told_of(found, values.info.status, _reason(stored_documents(results, uid)))
    stopped = values.info.status != "success" and not found.unread and not found.skipped
    if stopped:
        return warning(uid, f"{told} The map shows what there is; take the scan again for the rest.", metadata)
    return result(uid, False, f"{told} When what is missing is there, materialise documents and what follows for this run again.", metadata)


@dg.asset_check(asset=point_values)
def positions_within_extents(
    context: dg.AssetCheckExecutionContext, results_folder: ResultsFolder, recipes: Recipes
) -> dg.AssetCheckResult:
    """Where positions were measured, they lie within the planned extents, or not further than half a step outside."""
    uid = run_of(context)
    results = results_folder.results()
    values, documents = (stored_values(results, uid), stored_documents(results, uid)) if uid else (None, [])
    if uid is None or values is None or not documents:
        return nothing(uid, "point_values")
    run, _ = replay(documents, recipes.chooser())
    run.conclude()
    if reason := nothing_to_compare(run):
        return result(uid, True, reason, {})
    found = measured_along(run, documents, results.load(values.file))
    if not found:
        told = "The positions were not measured point by point, or not by the motors' names: there is nothing to compare."
        return result(uid, True, told, {})
    metadata: dict[str, Any] = {}
    for along in found:
        metadata[f"planned: {along.axis.name}"] = f"{along.axis.start:g} to {along.axis.stop:g}"
        metadata[f"measured: {along.axis.name}"] = f"{along.measured.min():.6g} to {along.measured.max():.6g}"
        metadata[f"outside: {along.axis.name}"] = len(along.outside)
    outside = [along for along in found if along.outside.size]
    if not outside:
        names = " and ".join(along.axis.name for along in found)
        return result(uid, True, f"All readings of {names} lie within the planned extents.", metadata)
    told = "; ".join(map(_outside, outside))
    advice = (
        "The map shows these points where they were planned: look at the motors, or have them placed where they were measured (`wpb.bins`)."
    )
    return result(uid, False, f"Points were measured more than half a step outside the planned extents: {told}. {advice}", metadata)


@dg.asset_check(asset=frames)
def file_unchanged(
    context: dg.AssetCheckExecutionContext, results_folder: ResultsFolder, detector_files: DetectorFiles
) -> dg.AssetCheckResult:
    """The detector's files are what they were when they were first read: size, time of change, and digests of sampled bytes."""
    uid = run_of(context)
    results = results_folder.results()
    seen = stored_seen(results, uid) if uid else None
    if uid is None or seen is None:
        return nothing(uid, "frames")
    if not seen:
        return result(uid, True, "This run has no files that could be read: there is nothing to compare.", {"files": 0})
    changed = changed_since(seen, detector_files.roots())
    metadata: dict[str, Any] = {"files": len(seen), "files changed": len(changed)}
    if not changed:
        return result(uid, True, f"All {len(seen)} files are what they were when they were first read.", metadata)
    metadata["changed"] = dg.MetadataValue.table(
        [dg.TableRecord({"file": str(change.path), "what": change.told}) for change in changed[:SHOWN]]
    )
    told = "; ".join(f"{change.path} {change.told}" for change in changed[:3]) + ("; ..." if len(changed) > 3 else "")
    advice = (
        "Restore the file from where the detector's data are archived, or, if the change is meant, delete "
        f"{record_of(results, uid)} and materialise frames of this run again: then the files count as they are now."
    )
    if changed[0].kind < Kind.CHANGED:
        return warning(uid, f"{told}. Frames that came late, or a copy, do that. {advice}", metadata)
    return result(uid, False, f"{told}. {advice}", metadata)


def _reason(documents: list[Document]) -> str:
    """Why the run ended, as its stop document says."""
    return next((str(document.doc.get("reason") or "") for document in documents if document.name == "stop"), "")


def _outside(along: Along) -> str:
    points = ", ".join(map(str, along.outside[:SHOWN])) + (", ..." if along.outside.size > SHOWN else "")
    return f"{len(along.outside)} along {along.axis.name} (points {points})"
