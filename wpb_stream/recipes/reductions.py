"""What is made of the frames of a raster or a line, as the start document asks: which channels, and what gives their values.

=============================  ==============================================================================================
key                            what it says
=============================  ==============================================================================================
``wpb.regions``                by name: where on the detector, and which statistic; else ``colour_rois`` of the start document,
                               the plan's entry in the settings, thirds of the frame's height
``wpb.reduction``              ``regions``, ``centre_of_mass``, ``xrf``, or ``azimuthal``
``wpb.mask``                   where the centre of mass is looked for, or what is integrated; else the whole frame
``wpb.elements``               the elements of ``xrf``, see :mod:`wpb_stream.recipes.elements`
``wpb.energy``                 the energies of the channels that they are given in
``wpb.dead_time``              what their spectra are corrected with, see :mod:`wpb_stream.recipes.dead_time`
``wpb.geometry``, ``wpb.unit`` the ranges of ``azimuthal``, see :mod:`wpb_stream.recipes.azimuthal`
``wpb.ranges``, ``wpb.npt``
``wpb.phase``                  what is made of the centres of mass, see :mod:`wpb_stream.recipes.phases`
``wpb.bad_pixels``,            what counts nowhere, and how frames are corrected: see
``wpb.dark``, ``wpb.flat``     :mod:`wpb_stream.recipes.corrections`
``wpb.arrays``                 images that are accumulated, see :mod:`wpb_stream.recipes.accumulations`; else
                               the summed spectrum for ``xrf``
=============================  ==============================================================================================

docs/reference/recipes.md tells all that can be asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from wpb_stream.core.accumulation import Accumulation, Kind
from wpb_stream.core.azimuthal import RangeMeans
from wpb_stream.core.dead_time import LiveCounts
from wpb_stream.core.derived import Derived
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.moments import CentreOfMass
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.needed import FileMask
from wpb_stream.core.recipe import Channel, Notice, PlanDefaults
from wpb_stream.core.reducers import Measure, Reducer, RegionStatistics, Statistic
from wpb_stream.core.regions import Interval, Region, thirds
from wpb_stream.core.spectra import ElementCounts
from wpb_stream.recipes.accumulations import accumulation_of
from wpb_stream.recipes.azimuthal import geometry_of, ranges_of, unit_of
from wpb_stream.recipes.corrections import Corrections, corrections_of
from wpb_stream.recipes.dead_time import dead_time_of
from wpb_stream.recipes.elements import element_of, energies_of
from wpb_stream.recipes.phases import phase_of
from wpb_stream.recipes.regions import PLACE_KEYS, is_number, region_of

COLOURS = ("red", "green", "blue")
MAX_REGIONS = 32
"""Each is a column of the table and a map in the viewer."""
MAX_THRESHOLD = 1e300
"""Counts."""

REDUCTIONS = ("regions", "centre_of_mass", "xrf", "azimuthal")
BELONGS_TO: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mask": ("centre_of_mass", "azimuthal"),
        "phase": ("centre_of_mass",),
        **dict.fromkeys(("elements", "energy", "dead_time"), ("xrf",)),
        **dict.fromkeys(("geometry", "unit", "ranges", "npt"), ("azimuthal",)),
    }
)
"""Keys that say nothing without one of the reductions they are for."""
STATISTIC_KEYS = ("statistic", "threshold")
UNITS: Mapping[Statistic, str] = MappingProxyType(
    {Statistic.SUM: "counts", Statistic.MEAN: "counts/pixel", Statistic.MAXIMUM: "counts", Statistic.ABOVE: "pixels"}
)

_REGION_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .:+-]{0,63}")
"""What may name a column, a dataset and a file."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """The channels of a recipe, and what gives their values, in their order."""

    channels: tuple[Channel, ...]
    reducer: Reducer | None = None
    """None for the sums over the channels' regions."""
    accumulation: Accumulation | None = None
    """What becomes of all frames together."""
    derived: tuple[Derived, ...] = ()
    """What makes arrays of the channels' maps."""


def reduction_of(start: Mapping[str, Any], defaults: PlanDefaults, notices: list[Notice], arrays: tuple[str, ...] = ()) -> Reduction:
    """What the start document asks for; what was guessed is added to ``notices``.

    :param arrays: what is accumulated where nobody says so
    :raises RecipeError: the ``wpb`` entry, or the settings, ask for something impossible
    """
    wanted = as_mapping(start.get("wpb"))
    kind = "regions" if wanted.get("reduction") is None else wanted["reduction"]
    if kind not in REDUCTIONS:
        raise RecipeError(f"wpb.reduction: there is no {str(kind)[:80]!r}; known are {', '.join(REDUCTIONS)}")
    corrections = corrections_of(wanted)
    for key, of in BELONGS_TO.items():
        if wanted.get(key) not in (None, False) and kind not in of:
            named = " or ".join(f'"{one}"' for one in of)
            raise RecipeError(f'wpb.{key} is for "reduction": {named} only')
    if kind != "regions" and wanted.get("regions"):
        raise RecipeError(f'wpb.regions cannot be had together with "reduction": "{kind}"')
    if kind == "xrf" and (frame := next((key for key in ("dark", "flat") if wanted.get(key) is not None), None)):
        raise RecipeError(f'wpb.{frame} is for frames of an area detector: spectra ("reduction": "xrf") have none')
    if kind == "centre_of_mass":
        made = _centre_of_mass(wanted, corrections)
    elif kind == "xrf":
        made, arrays = _elements(wanted, corrections), (Kind.SPECTRUM.value,)
    elif kind == "azimuthal":
        made = _ranges(wanted, corrections)
    else:
        made = _statistics(_measures(start, defaults, notices), corrections)
    asked = as_list(wanted.get("arrays"))
    accumulated = accumulation_of(asked if asked is not None else arrays, corrections.listed)
    return replace(made, accumulation=accumulated)


def _masked(wanted: Mapping[str, Any]) -> tuple[Region, Region | None]:
    """The region that ``wpb.mask`` tells, the whole frame without it; and, for the channels, None then."""
    asked = wanted.get("mask")
    given = as_mapping(asked)
    if asked is not None and (not given or not set(PLACE_KEYS) >= set(given)):
        known = _told(PLACE_KEYS)
        raise RecipeError(
            f'wpb.mask must be like {{"ellipse": {{"centre": [128, 128], "radii": [20, 20]}}}}, not {repr(asked)[:80]}; it may have {known}'
        )
    region = region_of("wpb.mask", "total", given)
    return region, region if given else None


def _centre_of_mass(wanted: Mapping[str, Any], corrections: Corrections) -> Reduction:
    region, place = _masked(wanted)
    channels = (
        Channel("row", "Row of the centre of mass", "pixels", region=place),
        Channel("column", "Column of the centre of mass", "pixels", region=place),
        Channel("total", "Total", region=place),
    )
    return Reduction(channels, corrections.applied(CentreOfMass(region, corrections.listed)), derived=phase_of(wanted.get("phase")))


def _ranges(wanted: Mapping[str, Any], corrections: Corrections) -> Reduction:
    asked = _by_name(wanted, "ranges", "ranges", '{"110": [29.5, 30.5]}')
    unit = unit_of(wanted.get("unit"))
    geometry, ranges = geometry_of(wanted.get("geometry"), unit), ranges_of(asked, wanted.get("npt"))
    region, place = _masked(wanted)
    channels = [
        Channel(name, f"{name} ({low:g} to {high:g} {unit})", "counts/pixel", colour, place)
        for (name, (low, high)), colour in zip_longest(ranges.given.items(), COLOURS[: len(asked)])
    ]
    reducer = RangeMeans(geometry, unit, ranges.span, ranges.npt, ranges.bins, region, corrections.listed)
    return Reduction((*channels, Channel("total", "Total", region=place)), corrections.applied(reducer))


def _by_name(wanted: Mapping[str, Any], key: str, what: str, example: str) -> Mapping[str, Any]:
    asked = {str(name): given for name, given in as_mapping(wanted.get(key)).items()}
    if not asked or len(asked) > MAX_REGIONS:
        raise RecipeError(f"wpb.{key} must name 1 to {MAX_REGIONS} {what}, like {example}")
    for name in asked:
        if not _may_name(name):
            raise RecipeError(f"wpb.{key}: {name[:80]!r} is no name: letters, digits and `_ .:+-`, not point, cell or total")
    return asked


def _elements(wanted: Mapping[str, Any], corrections: Corrections) -> Reduction:
    asked = _by_name(wanted, "elements", "elements", '{"Fe": {"window": [620, 660]}}')
    energies = energies_of(wanted.get("energy"))
    elements = tuple(element_of(name, given, energies) for name, given in asked.items())
    channels = [
        # The first three are the composite, as people name first what they look for.
        Channel(element.name, element.name, "counts", colour, Region(element.name, columns=element.window))
        for element, colour in zip_longest(elements, COLOURS[: len(elements)])
    ]
    counts, dead_time = ElementCounts(elements, corrections.listed), dead_time_of(wanted.get("dead_time"))
    reducer = counts if dead_time is None else LiveCounts(counts, dead_time)
    return Reduction((*channels, Channel("total", "Total")), corrections.applied(reducer))


def _statistics(measures: Sequence[Measure], corrections: Corrections) -> Reduction:
    channels = [_channel(measure) for measure in measures]
    channels.append(Channel("total", "Total"))
    plain = all(measure.statistic is Statistic.SUM and not isinstance(measure.region.shape, FileMask) for measure in measures)
    if plain and not corrections:
        return Reduction(tuple(channels))
    statistics = RegionStatistics((*measures, Measure(Region("total"))), corrections.listed)
    return Reduction(tuple(channels), corrections.applied(statistics))


def _channel(measure: Measure) -> Channel:
    name, statistic = measure.region.name, measure.statistic
    label = name.capitalize()
    if statistic is Statistic.ABOVE:
        label = f"{label} above {measure.threshold:.12g}"
    elif statistic is not Statistic.SUM:
        label = f"{label} ({statistic.value})"
    return Channel(name, label, UNITS[statistic], name if name in COLOURS else None, measure.region)


def _measures(start: Mapping[str, Any], defaults: PlanDefaults, notices: list[Notice]) -> Sequence[Measure]:
    asked = as_mapping(as_mapping(start.get("wpb")).get("regions")) or defaults.regions
    if len(asked) > MAX_REGIONS:
        raise RecipeError(f"wpb.regions: {len(asked)} regions, more than the {MAX_REGIONS} allowed")
    if asked:
        return [_measure(str(name), entry) for name, entry in asked.items()]
    boxes = start.get("colour_rois") or start.get("color_rois")
    found = _pixel_boxes(boxes)
    if found:
        return [Measure(region) for region in found]
    if boxes:
        notices.append(
            Notice(
                "regions_guessed",
                "The colour regions in the start document are no pixel boxes (stage units, perhaps): "
                "thirds of the frame's height are used instead, red at the top, then green, then blue.",
            )
        )
    else:
        notices.append(
            Notice("regions_guessed", "The start document names no regions: thirds of the frame's height are used, red at the top.")
        )
    return [Measure(region) for region in thirds()]


def _measure(name: str, entry: Any) -> Measure:
    given = as_mapping(entry)
    if not _may_name(name):
        raise RecipeError(f"wpb.regions: {name[:80]!r} is no name for a region: letters, digits and `_ .:+-`, not point, cell or total")
    key = f"wpb.regions.{name}"
    if not given or not {*PLACE_KEYS, *STATISTIC_KEYS} >= set(given):
        known = _told((*PLACE_KEYS, *STATISTIC_KEYS))
        raise RecipeError(f'{key} must be like {{"rows": [0, 100], "columns": [20, 80]}}, not {repr(entry)[:80]}; it may have {known}')
    statistic = _statistic(f"{key}.statistic", given.get("statistic"))
    return Measure(region_of(key, name, given), statistic, _threshold(f"{key}.threshold", statistic, given.get("threshold")))


def _statistic(key: str, value: Any) -> Statistic:
    if value is None:
        return Statistic.SUM
    known = [statistic.value for statistic in Statistic]
    if value not in known:
        raise RecipeError(f"{key}: there is no {str(value)[:80]!r}; known are {', '.join(known)}")
    return Statistic(value)


def _threshold(key: str, statistic: Statistic, value: Any) -> float | None:
    if statistic is not Statistic.ABOVE:
        if value is not None:
            raise RecipeError(f'{key} is for "statistic": "above" only')
        return None
    if not is_number(value, MAX_THRESHOLD):
        raise RecipeError(f"{key} must be a number of counts, above which pixels are counted, not {str(value)[:80]}")
    return value


def _may_name(name: str) -> bool:
    return _REGION_NAME.fullmatch(name) is not None and name not in ("point", "cell", "total")


def _told(keys: Sequence[str]) -> str:
    return ", ".join(keys)


def _pixel_boxes(boxes: Any) -> list[Region] | None:
    """Regions from ``{"R": [row, column, row, column], ...}``: first corner, last corner, in whole pixels; None if it is not that."""
    regions: dict[str, Region] = {}
    for name, box in as_mapping(boxes).items():
        match as_list(box):
            case [int() as top, int() as left, int() as bottom, int() as right] if 0 <= top < bottom and 0 <= left < right:
                full = {"R": "red", "G": "green", "B": "blue"}.get(str(name), str(name))
                if not _may_name(full) or full in regions or len(regions) == MAX_REGIONS:
                    return None
                regions[full] = Region(full, Interval(top, bottom), Interval(left, right))
            case _:
                return None
    return list(regions.values()) or None
