"""The picture of a run, without any server."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from wpb_stream.core.messages import AxisInfo, ChannelInfo, RunInfo
from wpb_stream.pictures import GAP, HATCH_DARK, HATCH_LIGHT, PANEL, THUMBNAIL, TITLE, composite, draw, shaded, thumbnail

HATCH = {HATCH_LIGHT, HATCH_DARK}


def run_info(shape: tuple[int, ...], stops: tuple[float, ...] | None = None) -> RunInfo:
    stops = stops or (1.0,) * len(shape)
    axes = [AxisInfo(f"axis {k}", "mm", 0.0, stop, False) for k, stop in enumerate(stops)]
    names = [("red", "red"), ("green", "green"), ("blue", "blue"), ("total", None)]
    channels = [ChannelInfo(name, name.capitalize(), "counts", colour, None) for name, colour in names]
    return RunInfo("uid", 1, "scan", "success", None, None, "raster", list(shape), axes, channels, [], None, 0, {})


def picture(info: RunInfo, maps: dict[str, np.ndarray]) -> Image.Image:
    return Image.open(io.BytesIO(draw(info, maps))).convert("RGB")


def maps_of(values: np.ndarray) -> dict[str, np.ndarray]:
    return dict.fromkeys(("red", "green", "blue", "total"), values)


def colours_of(image: Image.Image, left: int, cell: int, column: int, row: int) -> set[tuple[int, int, int]]:
    x, y = left + column * cell, TITLE + row * cell
    return {image.getpixel((x + dx, y + dy)) for dx in range(1, cell - 1) for dy in range(1, cell - 1)}  # type: ignore[misc]


def test_a_map_of_7_by_9_is_enlarged_to_cells_a_person_can_tell_apart() -> None:
    image = picture(run_info((7, 9)), maps_of(np.arange(63.0).reshape(7, 9)))
    assert image.width >= 5 * PANEL
    assert image.height >= TITLE + 7 * (PANEL // 9)


def test_a_cell_that_was_not_measured_is_hatched_and_the_others_are_not() -> None:
    values = np.arange(63.0).reshape(7, 9)
    values[0, 3] = np.nan
    cell = -(-PANEL // 9)
    image = picture(run_info((7, 9)), maps_of(values))
    assert colours_of(image, GAP, cell, 3, 6) == HATCH
    assert not colours_of(image, GAP, cell, 4, 6) & HATCH


def test_the_first_point_lies_at_the_lower_left_as_in_the_viewer() -> None:
    values = np.full((4, 4), 5.0)
    values[0, 0] = 0.0  # black in the composite
    image = picture(run_info((4, 4)), maps_of(values))
    assert colours_of(image, GAP, PANEL // 4, 0, 3) == {(0, 0, 0)}


def test_an_axis_that_was_scanned_downwards_is_turned_so_that_positions_ascend() -> None:
    values = np.full((4, 4), 5.0)
    values[0, 0] = 0.0
    image = picture(run_info((4, 4), stops=(-1.0, -1.0)), maps_of(values))
    assert colours_of(image, GAP, PANEL // 4, 3, 0) == {(0, 0, 0)}


def test_the_composite_shows_each_channel_from_its_lowest_to_its_highest_value() -> None:
    red, blue = np.array([[0.0, 10.0]]), np.array([[1e9, 3e9]])
    pixels, measured = composite([red, None, blue])
    assert pixels.tolist() == [[[0, 0, 0], [255, 0, 255]]]
    assert measured.all()


@pytest.mark.parametrize("extreme", [1.7e308, np.inf])
def test_values_as_large_as_they_get_do_not_spoil_the_picture(extreme: float) -> None:
    values = np.array([[-1.7e308, 0.0, extreme]])
    pixels, measured = shaded(values, "viridis")
    assert measured.tolist() == [[True, True, bool(np.isfinite(extreme))]]
    assert pixels[0, 0].tolist() == [0x44, 0x01, 0x54]


def test_a_line_scan_is_a_strip_that_can_be_seen() -> None:
    assert picture(run_info((50,)), maps_of(np.arange(50.0))).height > TITLE + 20


def test_of_a_scan_of_three_dimensions_the_last_measured_slab_is_drawn() -> None:
    values = np.full((3, 4, 4), np.nan)
    values[1] = 5.0
    image = picture(run_info((3, 4, 4)), maps_of(values))
    assert not colours_of(image, GAP, PANEL // 4, 0, 0) & HATCH


def test_a_map_without_any_value_is_all_hatched() -> None:
    image = picture(run_info((4, 4)), maps_of(np.full((4, 4), np.nan)))
    assert colours_of(image, GAP, PANEL // 4, 2, 2) == HATCH


def test_a_run_without_channels_gives_an_empty_picture() -> None:
    assert picture(run_info((4, 4)), {}).size == (GAP, TITLE + GAP)


def test_a_large_map_makes_a_picture_of_bounded_size() -> None:
    assert picture(run_info((2000, 3000)), maps_of(np.zeros((2000, 3000)))).width < 2500


def test_a_thumbnail_is_the_composite_and_transparent_where_nothing_was_measured() -> None:
    info, values = run_info((2, 3)), np.array([[0.0, 1.0, 2.0], [np.nan, 4.0, 8.0]])
    image = Image.open(io.BytesIO(thumbnail(info, maps_of(values) | {"green": np.where(np.isnan(values), np.nan, 0)})))
    cell = image.width // 3
    assert (image.mode, image.size) == ("RGBA", (THUMBNAIL // 2, 2 * cell))
    # Row 0 is at the bottom.
    assert [image.getpixel((x * cell + 3, cell + 3)) for x in range(3)] == [(0, 128, 0, 255), (32, 128, 32, 255), (64, 128, 64, 255)]
    assert image.getpixel((3, 3))[3] == 0  # type: ignore[index]
    assert image.getpixel((2 * cell + 3, 3)) == (255, 128, 255, 255)


def test_the_thumbnail_of_a_large_map_is_thinned_out_and_that_of_a_line_shows_the_line() -> None:
    large = Image.open(io.BytesIO(thumbnail(run_info((300, 200)), {"total": np.arange(60_000.0).reshape(300, 200)})))
    assert max(large.size) <= THUMBNAIL
    line = Image.open(io.BytesIO(thumbnail(run_info((5,)), {"total": np.array([0, 1, np.nan, 3, 4.0])})))
    assert line.getpixel((2, line.height - 3))[3] == 255  # type: ignore[index]
    assert line.getpixel((line.width - 3, 2))[3] == 255  # type: ignore[index]
    assert line.getpixel((2, 2))[3] == 0  # type: ignore[index]
