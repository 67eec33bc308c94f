"""What a window gives, whatever its points are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.helpers.documents import read
from wpb_stream.core.companions import Companions
from wpb_stream.core.geometry import Axis, Grid
from wpb_stream.core.reading import read_now, steps
from wpb_stream.core.recipe import Channel, Recipe
from wpb_stream.core.window import IN_THE_EVENT, FrameRef, FrameStatus, StreamFile

FILE = StreamFile("f", "camera", "application/x-hdf5", "file://localhost/data/f.h5")
RECIPE = Recipe("line", Grid((6,), (Axis("x"),)), (Channel("one", "One"), Channel("two", "Two")))
JOINED = Recipe(RECIPE.name, RECIPE.grid, (*RECIPE.channels, Channel("i0", "i0")), reduction=RECIPE.reducer, companions=Companions(("i0",)))


@pytest.mark.parametrize(("recipe", "beside"), [(RECIPE, ()), (JOINED, (3.0,))], ids=["frames alone", "with a number beside them"])
@pytest.mark.parametrize("size", [1, 2, 6])
def test_the_size_of_a_window_changes_no_value_where_events_carry_some_of_them(recipe: Recipe, beside: Any, size: int) -> None:
    refs = [
        FrameRef(k, IN_THE_EVENT, k, 0, (k + 0.5, k + 0.25), beside) if k % 3 == 0 else FrameRef(k, FILE, k, beside=beside)
        for k in range(6)
    ]
    late = FrameStatus.NOT_YET

    def reduce(asked: Sequence[FrameRef], reducer: Any, accumulation: Any) -> Any:
        assert {ref.file for ref in asked} == {FILE}
        return read(asked, reducer.size, lambda ref: late if ref.index == 4 else FrameStatus.READ, accumulation)

    made = [read_now(steps(refs[first : first + size], recipe), reduce) for first in range(0, 6, size)]
    values, status = np.concatenate([each.values for each in made]), np.concatenate([each.status for each in made])
    assert status.tolist() == [0, 0, 0, 0, late, 0]
    expected = read([ref for ref in refs if ref.values is None], 2).values
    np.testing.assert_array_equal(values[[0, 3], :2], [(0.5, 0.25), (3.5, 3.25)])
    np.testing.assert_array_equal(values[[1, 2, 5], :2], expected[[0, 1, 3]])
    assert np.isnan(values[4, :2]).all()
