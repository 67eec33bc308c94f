"""The board wakes those who watch it, and hands them nothing."""

from __future__ import annotations

import numpy as np

from tests.helpers.documents import raster_run
from tests.helpers.liverun import begin
from wpb_stream.core.board import Board


def test_everyone_who_watches_is_woken_at_every_change() -> None:
    board, woken = Board(), []
    board.changed()
    board.watch(lambda: woken.append("first"))
    board.watch(lambda: woken.append("second"))
    board.changed()
    board.changed()
    assert woken == ["first", "second"] * 2


def test_an_array_that_went_away_and_comes_back_another_has_a_version_of_its_own() -> None:
    _, live = begin(raster_run()[0])
    made, versions = live.reconstruction, []
    for values in (1.0, None, 2.0, 2.0, 3.0):
        made.show({} if values is None else {"mean_frame": np.array([values])})
        versions += [each.version for each in made.arrays.values()]
    assert versions == [1, 2, 2, 3]
