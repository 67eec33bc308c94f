"""Ranges of scattering angle as a start document names them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recipes.test_reductions import DISK, make, refused
from wpb_stream.core.azimuthal import Geometry, RangeMeans
from wpb_stream.core.masks import BadPixels
from wpb_stream.core.recipe import Channel
from wpb_stream.core.regions import Interval, Region
from wpb_stream.core.shapes import Ellipse

PONI = {"dist": 0.2, "poni1": 0.05, "poni2": 0, "pixel1": 75e-6, "pixel2": 75e-6, "wavelength": 1e-10}
ASKED = {"reduction": "azimuthal", "geometry": PONI, "ranges": {"110": [10, 20.0], "200": [20, 30]}}


def test_each_range_is_a_channel_and_the_total_the_last() -> None:
    recipe = make({**ASKED, "mask": DISK, "bad_pixels": [[1, 2]]})
    place = Region("total", shape=Ellipse((5, 6), (3, 3)))
    assert recipe.channels == (
        Channel("110", "110 (10 to 20 q_nm^-1)", "counts/pixel", "red", place),
        Channel("200", "200 (20 to 30 q_nm^-1)", "counts/pixel", "green", place),
        Channel("total", "Total", region=place),
    )
    assert recipe.reducer == RangeMeans(
        Geometry(0.2, 0.05, 0.0, 0.0, 0.0, 0.0, 75e-6, 75e-6, 1e-10),
        "q_nm^-1", (10.0, 30.0), 1000, (Interval(0, 500), Interval(500, 1000)), place, BadPixels.of([(1, 2)]),
    )  # fmt: skip
    assert [channel.region for channel in make(ASKED).channels] == [None] * 3


def test_a_bin_belongs_to_a_range_if_its_centre_does() -> None:
    ranges = {"a": [0, 2.5], "b": [2.5, 3.5], "c": [2.6, 10]}
    reducer = make({**ASKED, "ranges": ranges, "npt": 10}).reducer
    assert isinstance(reducer, RangeMeans)
    assert reducer.ranges == (Interval(0, 2), Interval(2, 3), Interval(3, 10))


def test_angles_and_radii_need_no_wavelength() -> None:
    bare = {name: value for name, value in PONI.items() if name != "wavelength"}
    for unit in ("2th_deg", "2th_rad", "r_mm"):
        reducer = make({**ASKED, "geometry": bare, "unit": unit}).reducer
        assert isinstance(reducer, RangeMeans)
        assert (reducer.geometry.wavelength, reducer.unit) == (None, unit)
    assert "wpb.geometry must have dist, poni1, poni2, pixel1, pixel2, wavelength" in refused({**ASKED, "geometry": bare})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"geometry": None}, "wpb.geometry must have dist, poni1, poni2, pixel1, pixel2, wavelength"),
        ({"geometry": {**PONI, "detector": "Eiger4M"}}, "wpb.geometry must have"),
        ({"geometry": {**PONI, "dist": 0}}, "wpb.geometry.dist must be a number from 1e-06 to 1000"),
        ({"geometry": {**PONI, "dist": "0.2"}}, "wpb.geometry.dist must be a number"),
        ({"geometry": {**PONI, "rot1": float("nan")}}, "wpb.geometry.rot1 must be a number"),
        ({"geometry": {**PONI, "pixel2": -1e-4}}, "wpb.geometry.pixel2 must be a number"),
        ({"geometry": {**PONI, "wavelength": 1.0}}, "wpb.geometry.wavelength must be a number"),
        ({"unit": "keV"}, "wpb.unit: there is no 'keV'; known are q_nm^-1, q_A^-1, 2th_deg, 2th_rad, r_mm"),
        ({"unit": ["q_nm^-1"]}, "wpb.unit: there is no"),
        ({"ranges": None}, "wpb.ranges must name 1 to 32 ranges"),
        ({"ranges": {f"r{k}": [1, 2] for k in range(33)}}, "wpb.ranges must name 1 to 32 ranges"),
        ({"ranges": {"total": [1, 2]}}, "wpb.ranges: 'total' is no name"),
        ({"ranges": {"a": [2, 1]}}, "wpb.ranges.a: [2, 1] is no pair"),
        ({"ranges": {"a": [-1, 1]}}, "wpb.ranges.a: [-1, 1] is no pair"),
        ({"ranges": {"a": [1, 2, 3]}}, "wpb.ranges.a: [1, 2, 3] is no pair"),
        ({"ranges": {"a": [1, float("inf")]}}, "wpb.ranges.a: [1, inf] is no pair"),
        ({"ranges": {"a": [1, 1.001], "b": [0, 50]}, "npt": 20}, "wpb.ranges.a: none of the 20 bins from 0 to 50 has its centre in it"),
        ({"npt": 0}, "wpb.npt must be a whole number of bins from 1 to 100,000"),
        ({"npt": 10.0}, "wpb.npt must be a whole number"),
        ({"npt": 100_001}, "wpb.npt must be a whole number"),
        ({"mask": {}}, "wpb.mask must be like"),
        ({"regions": {"a": DISK}}, "wpb.regions cannot be had together"),
        ({"elements": {"Fe": {"window": [1, 2]}}}, 'wpb.elements is for "reduction": "xrf" only'),
        ({"reduction": "regions"}, 'wpb.geometry is for "reduction": "azimuthal" only'),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(change: dict[str, Any], told: str) -> None:
    assert told in refused({**ASKED, **change})
