"""Windows: closed by count or by age."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.core.window import FrameRef, StreamFile, Window

FILE = StreamFile("f", "camera", "application/x-hdf5", "file://localhost/x.h5")


def refs(count: int, first: int = 0) -> list[FrameRef]:
    return [FrameRef(k, FILE, k) for k in range(first, first + count)]


def test_an_empty_window_never_closes() -> None:
    window = Window(4, 0.5)
    window.add([], 10.0)
    assert window.closes_in(1e9) is None
    assert window.take(1e9) == []


def test_a_window_closes_when_its_first_frame_is_old_enough() -> None:
    window = Window(4, 0.5)
    window.add(refs(1), 10.0)
    window.add(refs(1, 1), 10.4)
    assert window.closes_in(10.25) == 0.25
    assert window.closes_in(10.5) == 0.0
    assert window.closes_in(99.0) == 0.0


def test_a_window_closes_at_once_when_it_is_full() -> None:
    window = Window(4, 0.5)
    window.add(refs(4), 10.0)
    assert window.closes_in(10.0) == 0.0


def test_what_does_not_fit_opens_the_next_window() -> None:
    window = Window(4, 0.5)
    window.add(refs(6), 10.0)
    assert window.take(10.1) == refs(4)
    assert len(window) == 2
    assert window.closes_in(10.1) == 0.5
    assert window.take(11.0) == refs(2, 4)
    assert window.closes_in(11.0) is None


@given(st.lists(st.integers(0, 10)), st.integers(1, 7))
def test_windows_of_any_size_give_each_frame_once_and_in_order(widths: list[int], max_frames: int) -> None:
    window, given_out, first = Window(max_frames, 0.0), [], 0
    for width in widths:
        window.add(refs(width, first), 0.0)
        first += width
        if width % 2:
            given_out += window.take(0.0)
    while taken := window.take(0.0):
        assert len(taken) <= max_frames
        given_out += taken
    assert given_out == refs(first)
