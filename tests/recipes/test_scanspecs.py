"""What is read from a scanspec in a start document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanspec.specs import Concat, Fly, Linspace, Product, Snake, Spec, Spiral, Static

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


X, Y = Linspace("x", 0.0, 3.0, 4), Linspace("y", 0.0, 2.0, 3)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Static("z", 1.5) * ~X, [Line(1.5, 1.5, 1), Line(0.0, 3.0, 4, True)]),
        (Y * Static("z", 1.5, 5), [Line(0.0, 2.0, 3), Line(1.5, 1.5, 5)]),
        (2 * (Y * ~X), [Line(None, None, 2), Line(0.0, 2.0, 3), Line(0.0, 3.0, 4, True)]),
        (Product(Y, 3), [Line(0.0, 2.0, 3), Line(None, None, 3)]),
        ((Y * ~X).zip(Static("z", 1.5)), [Line(0.0, 2.0, 3), Line(0.0, 3.0, 4, True)]),
        (Snake(Y * X), [Line(0.0, 2.0, 3, True), Line(0.0, 3.0, 4, True)]),
    ],
)
def test_statics_and_repetitions_are_axes_of_the_shape_that_the_spec_has(spec: Spec[str], expected: list[Line]) -> None:
    assert lines_of({"scanspec": spec.serialize()}) == expected
    assert lines_of({"plan_args": {"spec": repr(spec)}}) == expected
    assert tuple(line.num for line in expected) == spec.shape()


@pytest.mark.parametrize("spec", [Spiral("x", 0.0, 1.0, 0.1, "y", 0.0), Concat(X, X), X.zip(Linspace("y", 0.0, 1.0, 4))])
def test_a_spec_that_is_no_grid_is_left_to_the_shape(spec: Spec[str]) -> None:
    assert lines_of({"scanspec": spec.serialize()}) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(" * 5000,
        "__import__('os').system('true')",
        "Product(outer=1)",
        "Snake(" * 200 + ")" * 200,
        "Line(\0)",
        "Product(outer=-1, inner=2)",
    ],
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


def test_the_axes_are_named_in_the_order_of_the_spec_as_the_motors_come_in_none() -> None:
    spec = Linspace("y", 0.0, 2.0, 3) * ~Linspace("x", 0.0, 3.0, 4)
    recipe = Raster().make({"shape": [3, 4], "motors": ["x", "y"], "scanspec": spec.serialize()}, PlanDefaults())
    assert [axis.name for axis in recipe.grid.axes] == ["y", "x"]


def test_an_axis_is_named_like_the_device_in_the_text_of_a_spec() -> None:
    text = "Product(outer=Linspace(axis=Motor(name='y'), start=0.0, stop=1.0, num=2), inner=3, gap=True)"
    recipe = Raster().make({"shape": [2, 3], "plan_args": {"spec": text}}, PlanDefaults())
    assert [axis.name for axis in recipe.grid.axes] == ["y", "axis 1"]
