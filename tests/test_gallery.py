"""The gallery: every plan on the page runs as it stands, wpb makes of it what was asked for, and the pictures are what it makes now."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from gallery.bench import Bench, Section, sections_of  # noqa: E402
from make_gallery import ENTRIES, PAGE, PICTURES, draw  # noqa: E402

from wpb_stream.core.accumulation import Kind  # noqa: E402
from wpb_stream.core.reducers import Statistic  # noqa: E402
from wpb_stream.recipes import Bins, Line, Positions, Raster, all_makers, reductions  # noqa: E402
from wpb_stream.recipes.asked import Asked  # noqa: E402

SECTIONS = {section.picture: section for section in sections_of(PAGE.read_text())}
RECIPES = {"adaptive": Line.name, "spiral": Positions.name, "ellipse": Positions.name, "bins": Bins.name}
"""Of pictures; of all others it is the raster's."""
GUESSED = {
    "adaptive": {"shape_guessed", "regions_guessed"},
    "spiral": {"positions_binned"},
    "bins": {"regions_guessed"},
    "slices": {"regions_guessed"},
    "frames": {"regions_guessed"},
}
"""Notices, where the plan leaves something out."""
LARGEST_BYTES = 60_000


def test_every_section_has_an_entry_in_the_script_and_a_small_picture() -> None:
    assert list(SECTIONS) == list(ENTRIES)
    assert {path.stem: path.stat().st_size < LARGEST_BYTES for path in PICTURES.iterdir()} == dict.fromkeys(SECTIONS, True)


def test_a_section_without_a_plan_or_a_picture_is_no_section() -> None:
    with pytest.raises(ValueError, match="'A map' must have one plan and one picture"):
        sections_of("# Gallery\n\n## A map\n\n![it](pictures/gallery/map.png)\n")


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
def test_the_plan_runs_as_it_stands_and_the_picture_is_what_wpb_makes_of_it(section: Section) -> None:
    made, png = draw(section)
    assert made.recipe == RECIPES.get(section.picture, Raster.name)
    assert {notice.code for notice in made.run.notices} == GUESSED.get(section.picture, set())
    assert made.run.missing == []
    assert all(np.isfinite(values).any() for values in made.maps.values())
    assert set(made.run.arrays) == set(made.run.info.arrays)
    # Not to the byte: another processor, or another version of a library, may round otherwise.
    now, kept = _pixels(png), _pixels((PICTURES / f"{section.picture}.png").read_bytes())
    assert now.shape == kept.shape
    assert np.abs(now - kept).mean() < 1, "run make docs-gallery"


def test_the_same_plan_makes_the_same_bytes() -> None:
    assert draw(SECTIONS["ellipse"])[1] == draw(SECTIONS["ellipse"])[1]


def test_a_plan_that_is_refused_is_told(tmp_path: Path) -> None:
    plan = SECTIONS["colours"].plan.replace('"rows"', '"lines"')
    made = Bench(Section("Colours", "colours", plan), tmp_path).run()
    assert [notice.code for notice in made.run.notices if notice.code == "recipe_refused"] == ["recipe_refused"]


def test_the_page_shows_everything_that_can_be_asked_for() -> None:
    told = {constant for section in SECTIONS.values() for constant in _texts(section.plan)}
    # These are said in the place of the plan, which here says all itself.
    assert set(Asked.model_fields) - told == {"recipe", "data_key", "shape", "snaking"}
    # What stands where nobody says otherwise needs no saying.
    assert set(reductions.REDUCTIONS) - told == {"regions"} - told
    assert {kind.value for kind in Kind} - told == set()
    assert {statistic.value for statistic in Statistic} - told == {"sum"}


def test_the_page_shows_every_recipe_that_comes_with_wpb() -> None:
    assert {maker.name for maker in all_makers()} == {RECIPES.get(picture, Raster.name) for picture in SECTIONS}


def _texts(plan: str) -> set[Any]:
    return {node.value for node in ast.walk(ast.parse(plan)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _pixels(png: bytes) -> npt.NDArray[np.float64]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.float64)
