"""The dead time of a fluorescence detector as a start document says where it lies."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recipes.test_reductions import IRON, make, refused
from wpb_stream.core.corrected import WithFiles
from wpb_stream.core.dead_time import DeadTime, LiveCounts, Measure
from wpb_stream.core.needed import FileArray
from wpb_stream.core.spectra import ElementCounts

ASKED = {"reduction": "xrf", "elements": IRON}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"factor": "/dtc"}, DeadTime(Measure.FACTOR, (("/dtc",),))),
        ({"percent": ["/CHAN1DTPercent", "/CHAN2DTPercent"]}, DeadTime(Measure.PERCENT, (("/CHAN1DTPercent", "/CHAN2DTPercent"),))),
        ({"live_time": "/live", "real_time": "/real"}, DeadTime(Measure.TIMES, (("/real",), ("/live",)))),
        ({"output_rate": ["/o"], "input_rate": ["/i"]}, DeadTime(Measure.RATES, (("/i",), ("/o",)))),
    ],
)
def test_counts_are_corrected_as_the_file_tells(told: dict[str, Any], expected: DeadTime) -> None:
    plain, recipe = make(ASKED), make({**ASKED, "dead_time": told})
    assert isinstance(plain.reducer, ElementCounts)
    assert recipe.reducer == LiveCounts(plain.reducer, expected)
    assert recipe.channels == plain.channels


def test_channels_may_be_bad_beside_it() -> None:
    recipe = make({**ASKED, "dead_time": {"factor": "/dtc"}, "bad_pixels": {"mask_file": "file:///bad.npy"}})
    inner = make({**ASKED, "dead_time": {"factor": "/dtc"}}).reducer
    assert recipe.reducer == WithFiles(inner, bad=FileArray("wpb.bad_pixels", "file:///bad.npy", "application/x-npy"))  # type: ignore[arg-type]


KNOWN = "wpb.dead_time must have one of these: factor; percent; real_time and live_time; input_rate and output_rate"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("/dtc", KNOWN),
        ({}, KNOWN),
        ({"live_time": "/live"}, KNOWN + "; it has live_time"),
        ({"factor": "/dtc", "percent": "/p"}, KNOWN + "; it has factor, percent"),
        ({"factor": 1.2}, "wpb.dead_time.factor must be the path of a dataset"),
        ({"factor": ""}, "wpb.dead_time.factor must be the path of a dataset"),
        ({"factor": []}, "wpb.dead_time.factor must be the path of a dataset"),
        ({"factor": ["/a", 5]}, "wpb.dead_time.factor must be the path of a dataset"),
        ({"factor": ["/a"] * 65}, "wpb.dead_time.factor must be the path of a dataset"),
        ({"real_time": "/a", "live_time": 5}, "wpb.dead_time.live_time must be the path of a dataset"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(given: Any, told: str) -> None:
    assert told in refused({**ASKED, "dead_time": given})


def test_it_is_for_spectra_only() -> None:
    assert 'wpb.dead_time is for "reduction": "xrf" only' in refused({"dead_time": {"factor": "/dtc"}})
