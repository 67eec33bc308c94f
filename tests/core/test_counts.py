"""What a reconstruction counts, and when the documents of its rows came."""

from __future__ import annotations

from collections import Counter

from tests.core.test_scalars import SHAPE
from tests.core.test_scalars import live_of as live_of_readings
from tests.core.test_scalars import scan as scan_of_readings
from tests.helpers.documents import raster_run
from tests.helpers.liverun import NOT_YET, READ, begin, drain, feed, live_of
from wpb_stream.core.window import FrameRef, FrameStatus


def test_each_frame_that_is_read_counts_and_each_time_that_a_late_one_is_looked_for_again() -> None:
    looked = Counter[int]()

    def status(ref: FrameRef) -> FrameStatus:
        looked[ref.point] += 1
        return NOT_YET if ref.point == 2 and looked[2] < 4 else READ

    counts = live_of(raster_run((2, 3)), status=status).counts
    assert (counts.frames, counts.rows, counts.retries) == (6, 6, 3)


def test_readings_in_events_are_rows_of_which_no_frame_was_read() -> None:
    run, stream = scan_of_readings(**SHAPE)
    for _ in range(6):
        run.event(stream, diode=1.0, i0=2.0, y=0.0, x=0.0)
    counts = live_of_readings(run.documents).counts
    assert (counts.frames, counts.rows) == (0, 6)


def test_it_is_known_of_each_row_when_its_document_came_however_late_its_frame() -> None:
    documents = raster_run((1, 4))
    runs, live = begin(documents[0])
    for now, document in enumerate(documents[1:]):
        feed(runs, live, document, float(now))
    came = [float(now) for now, document in enumerate(documents[1:]) if document.name == "stream_datum"]
    drain(live, 100.0, lambda ref: NOT_YET if ref.point == 1 and not live.reconstruction.table.rows else READ)
    points = live.reconstruction.table.data["point"].tolist()
    assert points == [0, 2, 3, 1]
    assert list(live.reconstruction.arrived) == [came[point] for point in points]
