"""What is accumulated of a run that was rewound, and when its arrays are made."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.documents import Acquisition, read
from tests.helpers.liverun import BROKEN, CHANNELS, NOT_YET, READ, begin, codes, feed
from wpb_stream.core.accumulation import Accumulation, Kind
from wpb_stream.core.documents import Document
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.window import FrameRef, FrameStatus

MEAN = Accumulation((Kind.MEAN,))


def accumulating(seq_nums: list[int]) -> list[Document]:
    run = Acquisition((3, 4), wpb={"arrays": ["mean_frame"]})
    stream, file = run.stream(), run.file()
    for index, seq_num in enumerate(seq_nums):
        run.frames(stream, file, index, seq_num)
    run.stop()
    return run.documents


def driven(documents: list[Document], rest: FrameStatus = READ) -> LiveRun:
    """Read to the end in windows of two; the frames that are read once more at the end are then ``rest``."""
    runs, live = begin(documents[0], Pace(window_frames=2))
    for document in documents[1:]:
        feed(runs, live, document, 0.0)
    seen: set[FrameRef] = set()

    def status(ref: FrameRef) -> FrameStatus:
        return rest if ref in seen else READ

    for _ in range(100):
        if live.finished(10.0):
            return live
        window = live.take(10.0)
        live.place(window, read(window, CHANNELS, status, MEAN), 10.0)
        seen |= set(window)
    raise AssertionError("a run that never ends")


def test_each_point_counts_once_with_its_newest_frame() -> None:
    rewound = driven(accumulating([1, 2, 3, 2, 3, 4]))
    counting = list(rewound._placed.values())
    assert {ref.index for ref in counting} == {0, 3, 4, 5}
    tally = read(counting, CHANNELS, accumulation=MEAN).tally
    assert tally is not None
    assert rewound.moment().made().arrays["mean_frame"].tobytes() == tally.arrays()["mean_frame"].tobytes()


def test_a_frame_that_can_no_longer_be_read_when_all_is_accumulated_anew_has_its_row_all_the_same_and_is_told_of() -> None:
    live = driven(accumulating([1, 2, 3, 2, 3, 4]), rest=BROKEN)
    assert live.missing == set()
    assert codes(live) == {"arrays_incomplete": 1}
    (told,) = [notice.message for notice in live.run.notices if notice.code == "arrays_incomplete"]
    assert told == "Frames on the map could not be read once more, and what is made of all frames lacks them: Some frames are not there."
    assert live.moment().made().arrays == {}
    assert np.isfinite(live.reconstruction.table.data["total"]).all()


def test_arrays_are_made_at_once_and_then_no_more_often_than_asked_for() -> None:
    documents = accumulating([1, 2, 3])
    runs, live = begin(documents[0], Pace(window_frames=1, window_seconds=0.0))
    assert not live.shows(0.0)
    for document in documents[1:4]:
        feed(runs, live, document, 5.0)
    window = live.take(5.0)
    live.place(window, read(window, CHANNELS, accumulation=MEAN), 5.0)
    assert live.shows(5.0)
    assert live.due_in(5.0) == 0.0
    live.show(live.moment().made(), not_before=6.0)
    assert live.reconstruction.arrays["mean_frame"].version == 1
    assert not live.shows(6.5), "nothing has come since"
    feed(runs, live, documents[4], 5.1)
    window = live.take(5.1)
    live.place(window, read(window, CHANNELS, accumulation=MEAN), 5.1)
    assert not live.shows(5.5)
    assert live.due_in(5.5) == pytest.approx(0.5)
    assert live.shows(6.0)
    live.show(live.moment().made(), not_before=7.0)
    assert live.reconstruction.arrays["mean_frame"].version == 2


def test_arrays_are_not_made_again_for_frames_that_are_not_there() -> None:
    documents = accumulating([1, 2, 3])
    runs, live = begin(documents[0], Pace(window_frames=1, window_seconds=0.0))
    for document in documents[1:5]:
        feed(runs, live, document, 0.0)
    window = live.take(0.0)
    live.place(window, read(window, CHANNELS, lambda _: NOT_YET, MEAN), 0.0)
    assert not live.shows(0.0)
    window = live.take(0.0)
    live.place(window, read(window, CHANNELS, accumulation=MEAN), 0.0)
    (late,) = window = live.take(1.0)
    assert late.point == 0
    live.place(window, read(window, CHANNELS, lambda _: NOT_YET, MEAN), 1.0)
    assert live.shows(1.0), "there is the other frame still"


def test_arrays_are_not_made_of_some_of_the_frames_while_all_are_accumulated_anew() -> None:
    documents = accumulating([1, 2, 3, 2, 3, 4])
    runs, live = begin(documents[0], Pace(window_frames=2))
    for document in documents[1:]:
        feed(runs, live, document, 0.0)
    shown: list[bool] = []
    while window := live.take(10.0):
        live.place(window, read(window, CHANNELS, accumulation=MEAN), 10.0)
        shown.append(live.shows(10.0))
    assert shown == [True, True, True, False, True]
