"""Maps in characters."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from rich.segment import Segment

from wpb_stream.commands.halfblocks import fitted, in_colours, in_shades

VIOLET, YELLOW = (0x44, 0x01, 0x54), (0xFD, 0xE7, 0x25)
"""The ends of viridis."""


def text(lines: Iterable[list[Segment]]) -> list[str]:
    return ["".join(segment.text for segment in line) for line in lines]


def test_a_small_map_is_enlarged_by_a_whole_number_as_often_as_it_fits() -> None:
    drawn = fitted(np.arange(6.0).reshape(2, 3), 11, 8)
    assert drawn.shape == (6, 9)
    np.testing.assert_array_equal(drawn[::3, ::3], np.arange(6.0).reshape(2, 3))


def test_a_line_scan_is_high_enough_to_be_seen() -> None:
    assert fitted(np.arange(60.0).reshape(1, 60), 80, 40).shape == (4, 60)


def test_a_large_map_is_shrunk_to_the_means_of_what_was_measured() -> None:
    values = np.array([[1.0, 3.0, 9.0], [np.nan, 5.0, np.nan], [np.nan, np.nan, 7.0]])
    np.testing.assert_array_equal(fitted(values, 2, 2), [[3.0, 9.0], [np.nan, 7.0]])


def test_means_of_values_as_large_as_there_are_stay_finite() -> None:
    assert fitted(np.full((4, 4), 1.5e308), 2, 2).tolist() == [[1.5e308] * 2] * 2


@pytest.mark.parametrize(("shape", "room"), [((1, 1), (1, 1)), ((1, 1000), (80, 40)), ((1000, 1), (80, 40)), ((777, 501), (80, 40))])
def test_every_map_fits(shape: tuple[int, int], room: tuple[int, int]) -> None:
    rows, columns = fitted(np.zeros(shape), *room).shape
    assert 0 < columns <= room[0]
    assert 0 < rows <= room[1]


def test_a_character_holds_two_cells_and_what_was_not_measured_stays_as_the_terminal_is() -> None:
    values = np.array([[0.0, 0.0, np.nan, np.nan], [1.0, np.nan, 1.0, np.nan]])
    (line,) = in_colours(values, 4, 1, "viridis")
    assert [segment.text for segment in line] == ["▀", "▀", "▄", " "]
    styles = [segment.style for segment in line]
    assert styles[3] is None
    colours = [
        tuple(colour.triplet if colour and colour.triplet else None for colour in (style.color, style.bgcolor))
        for style in styles
        if style is not None
    ]
    assert colours == [(VIOLET, YELLOW), (VIOLET, None), (YELLOW, None)]


def test_a_map_of_an_odd_number_of_rows_ends_with_half_a_character() -> None:
    assert text(in_colours(np.zeros((3, 2)), 2, 2, "viridis")) == ["▀▀", "▀▀"]


def test_without_colours_higher_values_are_darker() -> None:
    assert text(in_shades(np.array([[0.0, 1.0, 2.0, 3.0, np.nan]]), 10, 1)) == ["░░▒▒▓▓██  "]
    assert text(in_shades(np.full((1, 2), np.nan), 4, 1)) == ["    "]
    assert text(in_shades(np.array([[-1.7e308, 1.7e308]]), 4, 1)) == ["░░██"]
