"""What is read from a scanspec in a start document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanspec.specs import Fly, Linspace, Spiral

from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.recipes.raster import Raster
from wpb_stream.recipes.scanspecs import Line, lines_of

numbers = st.floats(-1e6, 1e6, allow_nan=False)
lines = st.lists(st.tuples(numbers, numbers, st.integers(1, 50), st.booleans()), min_size=1, max_size=4)


@given(lines)
def test_products_of_lines_are_read_alike_from_the_serialised_spec_and_from_its_text(wanted: list[tuple[float, float, int, bool]]) -> None:
    spec = None
    for number, (start, stop, num, snaked) in enumerate(wanted):
        line = Linspace(f"axis{number}", start, stop, num)
        line = ~line if snaked else line
        spec = line if spec is None else spec * line
    expected = [Line(*line) for line in wanted]
    assert lines_of({"scanspec": spec.serialize()}) == expected
    assert lines_of({"scanspec": Fly(0.1 @ spec).serialize()}) == expected
    assert lines_of({"plan_args": {"spec": repr(spec)}}) == expected


def test_a_spec_that_is_no_grid_is_left_to_the_shape() -> None:
    assert lines_of({"scanspec": Spiral("x", 0.0, 1.0, 0.1, "y", 0.0).serialize()}) is None


@pytest.mark.parametrize(
    "text", ["", "(" * 5000, "__import__('os').system('true')", "Product(outer=1)", "Snake(" * 200 + ")" * 200, "Line(\0)"]
)
def test_hostile_text_is_no_spec_and_is_not_evaluated(text: str) -> None:
    assert lines_of({"plan_args": {"spec": text}}) is None


def test_dodals_spec_scan_snakes_as_its_spec_says_and_has_its_extents() -> None:
    spec = Linspace("y", 0.0, 2.0, 3) * ~Linspace("x", 0.0, 3.0, 4)
    start = {"plan_name": "spec_scan", "shape": [3, 4], "motors": ["stage-y", "stage-x"], "plan_args": {"spec": repr(spec)}}
    recipe = Raster().make(start, PlanDefaults())
    slow, fast = recipe.grid.axes
    assert (slow.name, slow.snaking, slow.start, slow.stop) == ("stage-y", False, 0.0, 2.0)
    assert (fast.name, fast.snaking, fast.start, fast.stop) == ("stage-x", True, 0.0, 3.0)
    assert "snaking_guessed" not in [notice.code for notice in recipe.notices]


def test_a_spec_of_another_shape_than_the_run_says_nothing_of_its_axes() -> None:
    spec = Linspace("y", 0.0, 2.0, 3) * ~Linspace("x", 0.0, 3.0, 4)
    recipe = Raster().make({"shape": [5, 6], "scanspec": spec.serialize()}, PlanDefaults())
    assert [axis.snaking for axis in recipe.grid.axes] == [False, False]
    assert recipe.grid.axes[0].start is None
