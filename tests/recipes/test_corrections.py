"""Masks and corrections from files, as a start document asks for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recipes.test_reductions import DISK, IRON, make, refused
from wpb_stream.core.corrected import WithFiles
from wpb_stream.core.explanation import explain
from wpb_stream.core.masks import BadPixels
from wpb_stream.core.moments import CentreOfMass
from wpb_stream.core.needed import FileArray, FileMask
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.reducers import Measure, RegionStatistics, RegionSums
from wpb_stream.core.regions import Region
from wpb_stream.core.shapes import Ellipse
from wpb_stream.core.spectra import ElementCounts
from wpb_stream.recipes.files import MIMETYPES
from wpb_stream.recipes.raster import Raster

URI = "file://localhost/data/mask.h5"
MASK = {"mask_file": URI, "dataset": "/mask"}
DARK = {"file": "file:///data/dark.npy"}


def array(key: str, *, averaged: bool = False) -> FileArray:
    return FileArray(key, URI, "application/x-hdf5", "/mask", averaged)


def test_a_mask_in_a_file_stands_where_a_shape_may() -> None:
    recipe = make({"regions": {"a": MASK, "b": {**MASK, "outside": True}, "c": DISK}})
    regions = (
        Region("a", shape=FileMask(array("wpb.regions.a"))),
        Region("b", shape=FileMask(array("wpb.regions.b")), outside=True),
        Region("c", shape=Ellipse((5, 6), (3, 3))),
        Region("total"),
    )
    assert recipe.reducer == WithFiles(RegionStatistics(tuple(map(Measure, regions))))
    assert [file.key for file in WithFiles.needs.fget(recipe.reducer)] == ["wpb.regions.a", "wpb.regions.b"]  # type: ignore[attr-defined]
    assert regions[0].describe() == {"rows": [0, None], "columns": [0, None], **MASK}
    assert regions[0].describe((5, 7)) == {"rows": [0, 5], "columns": [0, 7], **MASK}


def test_the_centre_of_mass_is_looked_for_where_a_file_says_and_not_where_pixels_are_bad() -> None:
    recipe = make({"reduction": "centre_of_mass", "mask": MASK, "bad_pixels": MASK})
    inner = CentreOfMass(Region("total", shape=FileMask(array("wpb.mask"))))
    assert recipe.reducer == WithFiles(inner, bad=array("wpb.bad_pixels"))


def test_dark_and_flat_are_means_of_what_is_in_their_files() -> None:
    recipe = make({"bad_pixels": [[1, 2]], "dark": DARK, "flat": {"file": URI, "dataset": "/mask"}})
    assert isinstance(recipe.reducer, WithFiles)
    assert recipe.reducer.reducer.bad == BadPixels.of([(1, 2)])
    assert recipe.reducer.bad is None
    assert recipe.reducer.dark == FileArray("wpb.dark", DARK["file"], "application/x-npy", None, averaged=True)
    assert recipe.reducer.flat == array("wpb.flat", averaged=True)


def test_sums_without_anything_in_files_are_made_as_they_always_were() -> None:
    assert isinstance(make({"regions": {"a": DISK}}).reducer, RegionSums)
    assert isinstance(make({"reduction": "xrf", "elements": IRON}).reducer, ElementCounts)


def test_channels_of_spectra_are_bad_where_a_file_says() -> None:
    assert make({"reduction": "xrf", "elements": IRON, "bad_pixels": MASK}).reducer == WithFiles(
        ElementCounts(make({"reduction": "xrf", "elements": IRON}).reducer.elements),  # type: ignore[attr-defined]
        bad=array("wpb.bad_pixels"),
    )


@pytest.mark.parametrize(("end", "mimetype"), MIMETYPES.items())
def test_the_type_of_a_file_is_told_by_the_end_of_its_name(end: str, mimetype: str) -> None:
    given = {"file": f"file://localhost/a%20b/dark.0{end.upper()}", **({"dataset": "d"} if "hdf5" in mimetype else {})}
    reducer = make({"dark": given}).reducer
    assert isinstance(reducer, WithFiles)
    assert reducer.dark is not None
    assert (reducer.dark.mimetype, reducer.dark.uri) == (mimetype, given["file"])


@pytest.mark.parametrize(
    ("wpb", "told"),
    [
        ({"regions": {"a": {**MASK, "rows": [0, 5]}}}, "wpb.regions.a must be one shape, not rows and mask_file"),
        ({"regions": {"a": {"mask_file": 5}}}, "wpb.regions.a.mask_file must be like file://"),
        ({"regions": {"a": {"mask_file": "/data/mask.h5", "dataset": "/mask"}}}, "wpb.regions.a.mask_file must be like file://"),
        ({"regions": {"a": {"mask_file": "file:///" + 5000 * "a" + ".npy"}}}, "wpb.regions.a.mask_file must be like file://"),
        ({"regions": {"a": {"mask_file": "file:///mask.edf"}}}, "wpb.regions.a.mask_file: 'file:///mask.edf' does not end like a file"),
        ({"regions": {"a": {"mask_file": URI}}}, "wpb.regions.a.dataset must be the path of a dataset"),
        ({"regions": {"a": {"mask_file": URI, "dataset": ["/mask"]}}}, "wpb.regions.a.dataset must be the path of a dataset"),
        ({"regions": {"a": {"mask_file": "file:///a.npy", "dataset": "/mask"}}}, "wpb.regions.a.dataset is for HDF5 files only"),
        ({"regions": {"a": {**DISK, "dataset": "/mask"}}}, "wpb.regions.a.dataset needs a mask_file"),
        ({"reduction": "centre_of_mass", "mask": {"mask_file": "a.h5"}}, "wpb.mask.mask_file must be like"),
        ({"bad_pixels": {"mask_file": URI}}, "wpb.bad_pixels.dataset must be the path"),
        ({"bad_pixels": {"file": URI}}, "wpb.bad_pixels must be like"),
        ({"bad_pixels": {}}, "wpb.bad_pixels must be a list of pixels [row, column], or name a mask_file"),
        ({"bad_pixels": {**MASK, "outside": True}}, "wpb.bad_pixels must be like"),
        ({"dark": 5}, "wpb.dark must be like"),
        ({"dark": {}}, "wpb.dark must be like"),
        ({"dark": {"file": "dark.h5", "dataset": "d"}}, "wpb.dark.file must be like"),
        ({"flat": {"mask_file": URI, "dataset": "d"}}, "wpb.flat must be like"),
        ({"flat": {"file": URI, "dataset": "d", "scale": 2}}, "wpb.flat must be like"),
        ({"reduction": "xrf", "elements": IRON, "dark": DARK}, "wpb.dark is for frames of an area detector"),
        ({"reduction": "xrf", "elements": IRON, "flat": DARK}, "wpb.flat is for frames of an area detector"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(wpb: dict[str, Any], told: str) -> None:
    assert told in refused(wpb)


def test_a_run_with_files_is_explained_by_the_entries_that_name_them() -> None:
    start = {"uid": "a", "time": 1.0, "shape": [3, 3], "wpb": {"regions": {"a": MASK}, "bad_pixels": MASK, "dark": DARK}}
    told = {aspect.name: aspect for aspect in explain(start, lambda doc, _: Raster().make({"shape": [3, 3], **doc}, PlanDefaults()))}
    assert told["regions"].value == f"a: mask_file {URI}, dataset /mask; total: all"
    assert {"wpb.regions", "wpb.bad_pixels", "wpb.dark"} <= set(told["reduction"].sources)
    assert "dark.npy" in told["reduction"].value
