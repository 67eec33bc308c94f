"""What a start document may ask of the frames, and what it is told where it asks for something that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.frames.conftest import folder, roots, stream_file  # noqa: F401
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.masks import MAX_BAD_PIXELS, BadPixels
from wpb_stream.core.moments import CentreOfMass
from wpb_stream.core.recipe import Channel, PlanDefaults, Recipe
from wpb_stream.core.reducers import Measure, RegionStatistics, RegionSums, Statistic
from wpb_stream.core.regions import Interval, Region
from wpb_stream.core.shapes import MAX_COORDINATE, MAX_VERTICES, Annulus, Ellipse, Polygon
from wpb_stream.core.spectra import ElementCounts, ElementWindow
from wpb_stream.core.window import StreamFile, WindowRequest
from wpb_stream.frames.reader import reduce_window
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes.line import Line
from wpb_stream.recipes.raster import Raster
from wpb_stream.recipes.reductions import reduction_of

DISK = {"ellipse": {"centre": [5, 6], "radii": [3, 3]}}
RING = {"annulus": {"centre": [5, 6], "inner": 3, "outer": 5.5}}
IRON = {"Fe": {"window": [6, 9], "background": [[3, 5], [10, 12]]}}
TRIANGLE = {"polygon": [[0, 0], [0, 9.5], [9, 0]]}


def make(wpb: dict[str, Any], defaults: PlanDefaults | None = None) -> Recipe:
    return Raster().make({"shape": [3, 3], "snaking": [False, True], "wpb": wpb}, defaults or PlanDefaults())


def refused(wpb: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as told:
        make(wpb)
    assert len(str(told.value)) < 300
    return str(told.value)


def test_a_reduction_that_is_null_is_absent() -> None:
    assert make({"reduction": None}) == make({})


def test_shapes_become_regions() -> None:
    wanted = {"disk": DISK, "ring": RING, "triangle": TRIANGLE, "rest": {**DISK, "outside": True}, "box": {"rows": [0, 5], "outside": True}}
    assert make({"regions": wanted}).regions[:5] == (
        Region("disk", shape=Ellipse((5, 6), (3, 3))),
        Region("ring", shape=Annulus((5, 6), 3, 5.5)),
        Region("triangle", shape=Polygon(((0, 0), (0, 9.5), (9, 0)))),
        Region("rest", shape=Ellipse((5, 6), (3, 3)), outside=True),
        Region("box", Interval(0, 5), outside=True),
    )


def test_sums_alone_are_made_as_they_always_were() -> None:
    recipe = make({"regions": {"disk": DISK, "red": {"rows": [0, 5], "statistic": "sum"}}, "bad_pixels": []})
    assert recipe.reducer == RegionSums(recipe.regions)
    assert recipe.reduction is None


def test_units_and_labels_follow_the_statistic() -> None:
    wanted = {
        "red": {**DISK, "statistic": "mean"},
        "peak": {"statistic": "maximum"},
        "hits": {**RING, "statistic": "above", "threshold": 12.5},
        "sum": TRIANGLE,
    }
    recipe = make({"regions": wanted})
    assert [(channel.name, channel.label, channel.units, channel.colour) for channel in recipe.channels] == [
        ("red", "Red (mean)", "counts/pixel", "red"),
        ("peak", "Peak (maximum)", "counts", None),
        ("hits", "Hits above 12.5", "pixels", None),
        ("sum", "Sum", "counts", None),
        ("total", "Total", "counts", None),
    ]
    statistics = (Statistic.MEAN, Statistic.MAXIMUM, Statistic.ABOVE, Statistic.SUM, Statistic.SUM)
    assert isinstance(recipe.reducer, RegionStatistics)
    assert [measure.statistic for measure in recipe.reducer.measures] == [*statistics]
    assert recipe.reducer.measures[2].threshold == 12.5
    assert tuple(measure.region for measure in recipe.reducer.measures) == recipe.regions


def test_bad_pixels_are_left_out_of_every_channel() -> None:
    recipe = make({"regions": {"disk": DISK}, "bad_pixels": [[5, 6], (0, 0)]})
    measures = (Measure(Region("disk", shape=Ellipse((5, 6), (3, 3)))), Measure(Region("total")))
    assert recipe.reducer == RegionStatistics(measures, BadPixels.of([(0, 0), (5, 6)]))


@pytest.mark.parametrize("maker", [Raster(), Line()])
def test_the_centre_of_mass_is_three_channels_of_a_map_or_a_line(maker: Raster | Line) -> None:
    wpb = {"reduction": "centre_of_mass", "mask": DISK, "bad_pixels": [[1, 2]]}
    recipe = maker.make({"shape": [3, 3], "wpb": wpb}, PlanDefaults(regions={"edge": {"rows": (0, 5)}}))
    region = Region("total", shape=Ellipse((5, 6), (3, 3)))
    assert recipe.reducer == CentreOfMass(region, BadPixels.of([(1, 2)]))
    assert recipe.channels == (
        Channel("row", "Row of the centre of mass", "pixels", region=region),
        Channel("column", "Column of the centre of mass", "pixels", region=region),
        Channel("total", "Total", region=region),
    )


def test_without_a_mask_the_centre_of_mass_is_that_of_the_whole_frame() -> None:
    recipe = make({"reduction": "centre_of_mass"})
    assert recipe.reducer == CentreOfMass(Region("total"))
    assert [channel.region for channel in recipe.channels] == [None] * 3


def test_the_settings_name_shapes_and_statistics_as_the_start_document_does() -> None:
    recipe = make({}, PlanDefaults(regions={"a": {"polygon": ((0, 0), (0, 9), (9, 0)), "statistic": "mean"}}))
    assert recipe.reducer == RegionStatistics(
        (Measure(Region("a", shape=Polygon(((0, 0), (0, 9), (9, 0)))), Statistic.MEAN), Measure(Region("total")))
    )


NOT_NUMBERS = ("5", None, True, float("nan"), float("inf"), 2 * MAX_COORDINATE, 10**400, [5], {})


@pytest.mark.parametrize("value", NOT_NUMBERS)
@pytest.mark.parametrize(
    ("entry", "key"),
    [
        (lambda x: {"ellipse": {"centre": [x, 5], "radii": [3, 3]}}, "wpb.regions.red.ellipse.centre"),
        (lambda x: {"ellipse": {"centre": [5, 5], "radii": [3, x]}}, "wpb.regions.red.ellipse.radii"),
        (lambda x: {"annulus": {"centre": [5, x], "inner": 1, "outer": 2}}, "wpb.regions.red.annulus.centre"),
        (lambda x: {"annulus": {"centre": [5, 5], "inner": x, "outer": 2}}, "wpb.regions.red.annulus.inner"),
        (lambda x: {"annulus": {"centre": [5, 5], "inner": 1, "outer": x}}, "wpb.regions.red.annulus.outer"),
        (lambda x: {"polygon": [[0, 0], [0, 5], [5, x]]}, "wpb.regions.red.polygon"),
    ],
)
def test_a_place_that_is_no_number_of_pixels_is_refused_by_its_key(entry: Callable[[object], Any], key: str, value: object) -> None:
    assert key in refused({"regions": {"red": entry(value)}})


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"ellipse": {"centre": [5, 5], "radii": [3, 0]}}, "red.ellipse.radii"),
        ({"ellipse": {"centre": [5, 5], "radii": [3, -1]}}, "red.ellipse.radii"),
        ({"ellipse": {"centre": [5, 5, 5], "radii": [3, 3]}}, "red.ellipse.centre"),
        ({"ellipse": {"centre": [5, 5], "radius": 3}}, "red.ellipse must be like"),
        ({"ellipse": [5, 5]}, "red.ellipse must be like"),
        ({"annulus": {"centre": [5, 5], "inner": 3, "outer": 3}}, "red.annulus.inner"),
        ({"annulus": {"centre": [5, 5], "inner": -1, "outer": 3}}, "red.annulus.inner"),
        ({"annulus": {"centre": [5, 5], "inner": 0, "outer": 1e-300}}, "red.annulus.outer"),
        ({"annulus": {"centre": [5, 5], "outer": 3}}, "red.annulus must be like"),
        ({"polygon": [[0, 0], [0, 5]]}, "red.polygon must be a list of three"),
        ({"polygon": "0 0, 0 5, 5 0"}, "red.polygon must be a list of three"),
        ({"polygon": [[0, 0]] * (MAX_VERTICES + 1)}, "red.polygon has 1001 corners"),
        ({**DISK, **RING}, "red must be one shape, not ellipse and annulus"),
        ({**DISK, "rows": [0, 5]}, "red must be one shape, not rows and ellipse"),
        ({**DISK, "outside": 1}, "red.outside must be true or false"),
        ({"outside": True}, "red.outside needs a shape"),
        ({**DISK, "statistic": "median"}, "red.statistic: there is no 'median'; known are sum, mean, maximum, above"),
        ({**DISK, "statistic": ["sum"]}, "red.statistic"),
        ({**DISK, "statistic": "above"}, "red.threshold must be a number"),
        ({**DISK, "statistic": "above", "threshold": "5"}, "red.threshold must be a number"),
        ({**DISK, "statistic": "above", "threshold": float("nan")}, "red.threshold must be a number"),
        ({**DISK, "statistic": "above", "threshold": 10**400}, "red.threshold must be a number"),
        ({**DISK, "threshold": 5}, 'red.threshold is for "statistic": "above" only'),
        ({**DISK, "circle": 5}, "it may have rows, columns, ellipse, annulus, polygon, mask_file, dataset, outside, statistic, threshold"),
        ({}, "red must be like"),
    ],
)
def test_a_region_that_cannot_be_is_refused_by_its_key(entry: Any, told: str) -> None:
    assert told in refused({"regions": {"red": entry}})


@pytest.mark.parametrize(
    ("wpb", "told"),
    [
        ({"reduction": "median"}, "wpb.reduction: there is no 'median'; known are regions, centre_of_mass, xrf, azimuthal"),
        ({"reduction": ["centre_of_mass"]}, "wpb.reduction"),
        ({"mask": DISK}, 'wpb.mask is for "reduction": "centre_of_mass" or "azimuthal" only'),
        ({"elements": IRON}, 'wpb.elements is for "reduction": "xrf" only'),
        ({"energy": {"step": 1}}, 'wpb.energy is for "reduction": "xrf" only'),
        ({"reduction": "xrf", "elements": IRON, "regions": {"red": DISK}}, "wpb.regions cannot be had together"),
        ({"reduction": "xrf", "elements": IRON, "mask": DISK}, "wpb.mask is for"),
        ({"reduction": "xrf"}, "wpb.elements must name 1 to 32 elements"),
        ({"reduction": "xrf", "elements": {f"e{k}": IRON["Fe"] for k in range(33)}}, "wpb.elements must name 1 to 32 elements"),
        ({"reduction": "xrf", "elements": {"total": IRON["Fe"]}}, "wpb.elements: 'total' is no name"),
        ({"reduction": "xrf", "elements": {"Fe": {}}}, "wpb.elements.Fe must be like"),
        ({"reduction": "xrf", "elements": {"Fe": {"window": [5, 9], "line": "Ka"}}}, "wpb.elements.Fe must be like"),
        ({"reduction": "xrf", "elements": {"Fe": {"window": [9, 5]}}}, "wpb.elements.Fe.window: [9, 5] is no pair"),
        ({"reduction": "xrf", "elements": {"Fe": {"window": [-9, 0]}}}, "wpb.elements.Fe.window: no channel"),
        (
            {"reduction": "xrf", "elements": {"Fe": {"window": [5, 9], "background": [1, 2]}}},
            "wpb.elements.Fe.background must be a list of one or two windows",
        ),
        ({"reduction": "xrf", "elements": {"Fe": {"window": [5, 9], "background": [[1, 2]] * 3}}}, "a list of one or two windows"),
        ({"reduction": "xrf", "elements": {"Fe": {"window": [5, 9], "background": 7}}}, "a list of one or two windows"),
        ({"reduction": "xrf", "elements": IRON, "energy": {"step": 0}}, "wpb.energy must be like"),
        ({"reduction": "xrf", "elements": IRON, "energy": {"offset": 1}}, "wpb.energy must be like"),
        ({"reduction": "xrf", "elements": IRON, "energy": {"step": 1, "units": "keV"}}, "wpb.energy must be like"),
        ({"reduction": "centre_of_mass", "mask": {}}, "wpb.mask must be like"),
        ({"reduction": "centre_of_mass", "mask": 5}, "wpb.mask must be like"),
        ({"reduction": "centre_of_mass", "mask": {**DISK, "statistic": "mean"}}, "wpb.mask must be like"),
        ({"reduction": "centre_of_mass", "mask": {"polygon": []}}, "wpb.mask.polygon must be"),
        ({"reduction": "centre_of_mass", "regions": {"red": DISK}}, "wpb.regions cannot be had together"),
        ({"bad_pixels": 5}, "wpb.bad_pixels must be a list"),
        ({"bad_pixels": "all"}, "wpb.bad_pixels must be a list"),
        ({"bad_pixels": [[1, 2], [3]]}, "wpb.bad_pixels: [3] is no pixel"),
        ({"bad_pixels": [[1, -2]]}, "wpb.bad_pixels"),
        ({"bad_pixels": [[1, 2.0]]}, "wpb.bad_pixels"),
        ({"bad_pixels": [[True, 2]]}, "wpb.bad_pixels"),
        ({"bad_pixels": [[1, 10**400]]}, "wpb.bad_pixels"),
        ({"bad_pixels": [[1, 2]] * (MAX_BAD_PIXELS + 1)}, "wpb.bad_pixels: 10001 pixels, more than the 10,000 allowed"),
    ],
)
def test_a_reduction_that_cannot_be_is_refused_by_its_key(wpb: dict[str, Any], told: str) -> None:
    assert told in refused(wpb)


def test_elements_are_maps_of_net_counts_the_first_three_in_colours() -> None:
    elements = {name: {"window": [k, k + 2]} for k, name in enumerate(("Fe", "Ca", "K", "S"))}
    recipe = make({"reduction": "xrf", "elements": elements})
    assert [(channel.name, channel.colour) for channel in recipe.channels] == [
        ("Fe", "red"), ("Ca", "green"), ("K", "blue"), ("S", None), ("total", None),
    ]  # fmt: skip
    assert [channel.colour for channel in make({"reduction": "xrf", "elements": IRON}).channels] == ["red", None]


def test_windows_of_energies_hold_the_channels_whose_centre_they_do() -> None:
    asked = {"Fe": {"window": [6.2, 6.6], "background": [[5.995, 6.1]]}}
    recipe = make({"reduction": "xrf", "elements": asked, "energy": {"offset": 0.1, "step": 0.05}})
    assert recipe.reducer == ElementCounts((ElementWindow("Fe", Interval(122, 130), (Interval(118, 120),)),))


def test_the_most_that_is_allowed_is_taken() -> None:
    corners = [[k % 7, k % 11] for k in range(MAX_VERTICES)]
    pixels = [[k // 200, k % 200] for k in range(MAX_BAD_PIXELS)]
    made = reduction_of({"wpb": {"regions": {"a": {"polygon": corners}}, "bad_pixels": pixels}}, PlanDefaults(), [])
    assert isinstance(made.reducer, RegionStatistics)
    assert len(made.reducer.bad) == MAX_BAD_PIXELS


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4"])
@pytest.mark.parametrize(
    "wpb",
    [
        {"regions": {"a": {**DISK, "statistic": "mean"}, "b": RING, "c": {**TRIANGLE, "statistic": "maximum"}}, "bad_pixels": [[4, 6]]},
        {"regions": {"a": {**DISK, "outside": True, "statistic": "above", "threshold": 50}}},
        {"reduction": "centre_of_mass", "mask": DISK, "bad_pixels": [[4, 6]]},
        {"reduction": "xrf", "elements": IRON, "bad_pixels": [[4, 6]]},
    ],
)
def test_the_size_of_a_window_never_changes_a_value(
    wpb: dict[str, Any], dtype: str, folder: Path, stream_file: Callable[..., StreamFile], roots: DataRoots  # noqa: F811
) -> None:  # fmt: skip
    data = (np.random.default_rng(3).random((9, 12, 16)) * 100).astype(dtype)
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=(1, 12, 16))
    made, reducer = stream_file(folder / "a.h5", "data"), make({**wpb}).reducer
    whole = reduce_window(WindowRequest(made, tuple(range(9)), reducer), roots).values
    single = [reduce_window(WindowRequest(made, (k,), reducer), roots).values[0] for k in range(9)]
    assert whole.tobytes() == np.array(single).tobytes()
    assert whole.tolist() == [list(reducer.values([frame])) for frame in data]
