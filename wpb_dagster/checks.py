"""Checks of every run: are the frames there, are the values numbers, is what was shown live what the files say.

A check that cannot be made does not pass: it warns, and says why and what to do. Each evaluation names its run, because
Dagster keeps a check's results by asset, not by partition.
"""

from typing import Any

import dagster as dg
import numpy as np

from wpb_dagster.assets.reconstruction import maps, point_values
from wpb_dagster.comparison import Difference, differences
from wpb_dagster.io_managers import stored_maps, stored_values
from wpb_dagster.metadata import about_frames
from wpb_dagster.resources import Catalogue, ResultsFolder
from wpb_dagster.verdicts import nothing, result, run_of, warning
from wpb_stream.core.board import Versioned
from wpb_stream.core.messages import RunInfo

SHOWN_POINTS = 20
_ADVICE = "Look whether the detector's file changed after the scan; otherwise this is a bug in wpb worth reporting."


@dg.asset_check(asset=point_values)
def all_frames_found(context: dg.AssetCheckExecutionContext, results_folder: ResultsFolder) -> dg.AssetCheckResult:
    """Every frame that the documents announced was read from its file."""
    uid = run_of(context)
    values = stored_values(results_folder.results(), uid) if uid else None
    if uid is None or values is None:
        return nothing(uid, "point_values")
    metadata = about_frames(values) | {"first missing points": ", ".join(map(str, values.missing[:SHOWN_POINTS]))}
    if not values.missing:
        return result(uid, True, f"All {values.announced} frames are there.", metadata)
    reasons = " ".join(notice.message for notice in values.notices if notice.code in ("frame_missing", "companion_missing"))
    advice = "When the files are there, materialise frames and what follows for this run again."
    return result(uid, False, f"{len(values.missing)} of {values.announced} frames are missing. {reasons} {advice}", metadata)


@dg.asset_check(asset=point_values)
def values_finite(context: dg.AssetCheckExecutionContext, results_folder: ResultsFolder) -> dg.AssetCheckResult:
    """Every value of a frame that was read is a finite number."""
    uid = run_of(context)
    results = results_folder.results()
    values = stored_values(results, uid) if uid else None
    if uid is None or values is None:
        return nothing(uid, "point_values")
    table = results.load(values.file)
    counts = {name: int((~np.isfinite(table.data[name])).sum()) for name in table.channels}
    bad = {name: count for name, count in counts.items() if count}
    metadata = {"rows": table.rows} | {f"not finite: {name}": count for name, count in counts.items()}
    if not bad:
        return result(uid, True, f"All values of {table.rows} points are finite.", metadata)
    told = ", ".join(f"{count} in {name}" for name, count in bad.items())
    return result(uid, False, f"Values are NaN or infinite: {told}. Look at the detector's frames there.", metadata)


@dg.asset_check(asset=maps)
def live_equals_batch(context: dg.AssetCheckExecutionContext, catalogue: Catalogue, results_folder: ResultsFolder) -> dg.AssetCheckResult:
    """What was shown while the scan ran is, bit for bit, what the files give when it is recomputed."""
    uid = run_of(context)
    results = results_folder.results()
    batch = stored_maps(results, uid) if uid else None
    if uid is None or batch is None:
        return nothing(uid, "maps")
    with catalogue.reader() as reader:
        row = reader.live_revision(uid)
    if row is None:
        return warning(uid, "There is no live revision of this run to compare with: it was not reconstructed while it ran.")
    if _described(row.info) != _described(batch.info):
        return warning(
            uid,
            "The recomputed maps have another shape or other channels than those shown live: the recipe has changed since. "
            "They cannot be compared; materialise the run with the settings of that time to do so.",
        )
    values = stored_values(results, uid)
    try:
        live = results.load(row.file).maps(row.info.shape)
        arrays, recomputed = results.arrays(row.file), results.arrays(values.file) if values else {}
    except OSError as error:
        return warning(uid, f"The live revision's file cannot be read ({error}); is the results folder the one `wpb stream` writes to?")
    others = sorted(name for name in {*arrays, *recomputed} if not _equal(arrays.get(name), recomputed.get(name)))
    found = differences(live, batch.channels)
    cells = {f"differing cells: {name}": 0 for name in batch.channels} | {f"differing cells: {d.channel}": d.cells for d in found}
    metadata: dict[str, Any] = {"live revision": row.revision, "recomputed revision": batch.revision, **cells}
    if not found and not others:
        told = f" and {len(recomputed)} arrays" if recomputed else ""
        return result(uid, True, f"All {len(batch.channels)} maps{told} are equal to the last bit.", metadata)
    if not found:
        return result(uid, False, f"The maps are equal, but not what was made besides: {', '.join(others)}. {_ADVICE}", metadata)
    records = [dg.TableRecord(line) for difference in found for line in _lines(difference)]
    return result(uid, False, _sentence(found), metadata | {"first differences": dg.MetadataValue.table(records)})


def _described(info: RunInfo) -> object:
    return info.shape, [(channel.name, channel.label, channel.region) for channel in info.channels]  # the label tells the statistic


def _sentence(found: list[Difference]) -> str:
    told = ", ".join(f"{difference.cells} in {difference.channel}" for difference in found)
    late = max(difference.only_batch for difference in found)
    hint = f" {late} of them were measured in the recomputed map alone: their frames came late." if late else ""
    return f"Cells differ between the live map and the recomputed one: {told}.{hint} {_ADVICE}"


def _equal(one: Versioned | None, other: Versioned | None) -> bool:
    if one is None or other is None:
        return one is other
    a, b = one.values, other.values
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def _lines(difference: Difference) -> list[dict[str, str]]:
    return [
        {"channel": difference.channel, "cell": str(list(index)), "live": repr(live), "recomputed": repr(batch)}
        for index, live, batch in difference.first
    ]
