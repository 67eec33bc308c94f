"""What a start document may ask to be joined to the frames, and what it is told where that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from wpb_stream.core.companions import MAX_COMPANIONS, Companions
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.core.reducers import RegionSums
from wpb_stream.recipes import chooser

START = {"uid": "u", "time": 1.0, "shape": [2, 3], "snaking": [False, True], "motors": ["y", "x"]}


def make(wpb: dict[str, Any]) -> Recipe:
    recipe = chooser(lambda _: PlanDefaults())({**START, "wpb": wpb})
    assert recipe is not None
    return recipe


def refused(wpb: dict[str, Any]) -> str:
    recipe = make(wpb)
    assert recipe.companions is None
    (told,) = [notice.message for notice in recipe.notices if notice.code == "recipe_refused"]
    assert len(told) < 400
    return told


def test_frames_keep_their_reducer_and_what_is_joined_comes_after_them() -> None:
    plain, recipe = make({}), make({"scalars": ["i0"], "positions": "measured", "normalise": {"by": "ring"}})
    assert recipe.reducer == plain.reducer == RegionSums(plain.regions)
    assert [(channel.name, channel.units, channel.data_key) for channel in recipe.channels] == [
        ("red", "counts/ring", None), ("green", "counts/ring", None), ("blue", "counts/ring", None), ("total", "counts/ring", None),
        ("i0", "", "i0"), ("y", "", "y"), ("x", "", "x"),
    ]  # fmt: skip
    assert recipe.companions == Companions(("i0", "y", "x"), "ring", (0, 1, 2, 3), frozenset({"x", "y"}))
    assert recipe.companions.data_keys == ("i0", "y", "x", "ring")


def test_nothing_asked_is_nothing_joined() -> None:
    assert make({}).companions is None
    assert make({"scalars": None}).reduction == make({}).reduction


def test_positions_may_name_their_data_keys() -> None:
    recipe = make({"positions": ["panda-y", "panda-x"]})
    assert recipe.companions == Companions(("panda-y", "panda-x"), None, (), frozenset({"panda-y", "panda-x"}))


@pytest.mark.parametrize(
    ("wpb", "told"),
    [
        ({"normalise": "i0"}, "wpb.normalise"),
        ({"normalise": {}}, 'wpb.normalise must be like {"by": "i0"}'),
        ({"normalise": {"by": 5}}, 'wpb.normalise must be like {"by": "i0"}'),
        ({"normalise": {"by": "i0", "times": 2}}, 'wpb.normalise must be like {"by": "i0"}'),
        ({"normalise": {"by": "\n"}}, 'wpb.normalise must be like {"by": "i0"}'),
        ({"normalize": {"by": "i0"}}, "did you mean 'normalise'?"),
        ({"scalars": "i0"}, 'wpb.scalars must be a list of data keys, like ["i0", "camera-sum"], not \'i0\''),
        ({"scalars": []}, "wpb.scalars must be a list"),
        ({"scalars": ["i0", 5]}, "wpb.scalars must be a list"),
        ({"scalars": [""]}, "wpb.scalars must be a list"),
        ({"scalars": ["i0", "i0"]}, "wpb.scalars names a data key twice"),
        ({"scalars": [f"d{k}" for k in range(MAX_COMPANIONS - 1)], "positions": "measured"}, "33 data keys, more than the 32 allowed"),
        ({"positions": "planned"}, 'wpb.positions must be "measured"'),
        ({"positions": 5}, 'wpb.positions must be "measured", or a list'),
        ({"positions": ["x", None]}, "wpb.positions must be a list"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(wpb: dict[str, Any], told: str) -> None:
    assert told in refused(wpb)


def test_as_many_as_are_allowed_are_taken() -> None:
    recipe = make({"scalars": [f"d{k}" for k in range(MAX_COMPANIONS)]})
    assert recipe.companions is not None
    assert len(recipe.companions.joined) == MAX_COMPANIONS
