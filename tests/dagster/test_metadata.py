"""How regions are told on Dagster's pages."""

from __future__ import annotations

import pytest

from wpb_dagster.metadata import _region_text
from wpb_stream.core.regions import Interval, Region
from wpb_stream.core.shapes import Ellipse


@pytest.mark.parametrize(
    ("region", "told"),
    [
        (None, "whole frame"),
        (Region("a", rows=Interval(2, 5)), "rows 2 to 5, columns 0 to end"),
        (Region("a", shape=Ellipse((5, 6), (2, 2)), outside=True), "all outside ellipse in rows 0 to end, columns 0 to end"),
    ],
)
def test_a_region_is_told_in_words(region: Region | None, told: str) -> None:
    assert _region_text(region and region.describe()) == told
