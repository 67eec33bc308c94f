"""What a person sees of a scan in Chromium: the real viewer, on the real feed, fed by a real broker."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.remade import revise
from tests.helpers.scans import Scan, scan
from tests.integration.conftest import StreamingProcess
from wpb_stream.replay import Recorded, publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.integration]

COLOURS = ("red", "green", "blue")
GREY = (0x0C, 0xFA)
"""Darkest and lightest of the grey colour map."""


def page_url(settings: Settings, run: str | None = None) -> str:
    return f"http://{settings.listen}/" + (f"?run={run}" if run else "")


async def send(settings: Settings, documents: Sequence[Recorded]) -> None:
    await publish(documents, settings.sources[0], speed=0)


def levels(values: np.ndarray) -> list[int]:
    """Values between the lowest and the highest of them as 0 to 255, halves upwards."""
    low, high = values.min(), values.max()
    return [math.floor(255 * (value - low) / (high - low) + 0.5) if high > low else 128 for value in values]


def composite(run: Scan, points: int) -> dict[int, tuple[int, ...]]:
    """The colour of each cell that the first ``points`` have measured."""
    channels = [levels(run.values(colour)[:points]) for colour in COLOURS]
    return {run.cell(point): tuple(channel[point] for channel in channels) for point in range(points)}


def grey(run: Scan, channel: str) -> dict[int, tuple[int, ...]]:
    """The colour of each cell of one channel's finished map."""
    shades = [math.floor(GREY[0] + (GREY[1] - GREY[0]) * level / 255 + 0.5) for level in levels(run.values(channel))]
    return {run.cell(point): (shade,) * 3 for point, shade in enumerate(shades)}


async def shown(viewer: Viewer, channel: str, cells: Sequence[int]) -> dict[int, tuple[int, ...]]:
    return dict(zip(cells, await viewer.colours(channel, cells), strict=True))


async def text(viewer: Viewer, selector: str) -> str:
    return (await viewer.page.locator(selector).inner_text()).strip()


# --- one scan -------------------------------------------------------------------------------------------------------


async def test_pixels_appear_as_the_scan_goes_on_in_exactly_the_colours_of_the_data(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await viewer.page.locator("#empty-title", has_text="Waiting for a scan").wait_for()
        for first, points in ((0, 2), (2, 6), (6, 11)):
            await send(settings, [*(run.head if not first else []), *run.at(first, points)])
            await viewer.wait_until(run=run.uid, rows=points, status="running")
            expected = composite(run, points)
            assert await shown(viewer, "rgb", list(expected)) == expected
        await send(settings, [*run.at(11, 12), run.stop])
        await viewer.wait_until(run=run.uid, rows=12, status="success")
        assert await shown(viewer, "rgb", range(12)) == composite(run, 12)
        assert viewer.complaints == []


async def test_a_scan_that_tells_no_shape_is_a_line_that_grows_and_ends_where_its_points_do(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", (1, 100)).write()
    for told in ("shape", "snaking", "extents"):
        del run.head[0].doc[told]
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, [*run.head, *run.at(0, 10)])
        await viewer.wait_until(run=run.uid, rows=10, status="running")
        assert "of unknown length" in await text(viewer, "#subtitle")
        assert await text(viewer, "#points") == "10"
        await viewer.page.locator('canvas[data-channel="mean_frame"]').wait_for()
        assert await viewer.page.locator("canvas[data-channel]").count() == 6
        await send(settings, [*run.at(10, 100), run.stop])
        await viewer.wait_until(run=run.uid, rows=100, status="success")
        await viewer.page.locator("#subtitle", has_text="100").wait_for()
        assert await text(viewer, "#points") == "100"
        assert viewer.complaints == []


async def test_cells_that_were_not_measured_are_not_painted(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, [*run.head, *run.at(0, 6)])
        await viewer.wait_until(run=run.uid, rows=6)
        await viewer.page.select_option("#colours", "grey")
        measured = {run.cell(point) for point in range(6)}
        rest = [cell for cell in range(12) if cell not in measured]
        # Where nothing is painted, the page's own ground shows through: every picture has it, whatever its colours.
        grounds = [await viewer.page.evaluate(_PAINTED, [channel, rest]) for channel in ("rgb", "red", "total")]
        assert grounds == [[False] * 6] * 3
        assert await viewer.page.evaluate(_PAINTED, ["rgb", sorted(measured)]) == [True] * 6
        unpainted, painted = await shown(viewer, "rgb", rest), composite(run, 12)
        assert all(unpainted[cell] != painted[cell] for cell in rest)
        assert viewer.complaints == []


_PAINTED = """([channel, cells]) => {
    const canvas = document.querySelector(`canvas[data-channel="${channel}"]`);
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const parse = (colour) => {
        probe.fillStyle = colour;
        probe.fillRect(0, 0, 1, 1);
        return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const [ground, line] = ["--hatch", "--line"].map((name) => parse(style.getPropertyValue(name).trim()));
    const between = (value, one, other) => value >= Math.min(one, other) - 1 && value <= Math.max(one, other) + 1;
    return cells.map((cell) => {
        const { x, y, w, h } = window.wpb.cellRect(channel, cell);
        const { data } = copy.getImageData(Math.ceil(x + w / 4), Math.ceil(y + h / 4), Math.floor(w / 2), Math.floor(h / 2));
        for (let i = 0; i < data.length; i += 4) {
            if (![0, 1, 2].every((part) => between(data[i + part], ground[part], line[part]))) return true;
        }
        return false;
    });
}"""
"""Whether anything but the hatching, the ground crossed by thin lines, is in the middle of each cell."""


async def test_each_channel_has_a_map_of_its_own(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await viewer.page.select_option("#colours", "grey")
        await send(settings, run.documents)
        await viewer.wait_until(run=run.uid, rows=12, status="success")
        assert await viewer.page.locator("#plots canvas").count() == 5
        for channel in (*COLOURS, "total"):
            assert await shown(viewer, channel, range(12)) == grey(run, channel)
        assert viewer.complaints == []


async def test_every_second_row_of_the_snake_is_drawn_backwards_from_the_lower_left(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        places: list[tuple[int, int]] = []
        for points in range(1, 13):
            await send(settings, [*(run.head if points == 1 else []), *run.at(points - 1, points)])
            await viewer.wait_until(run=run.uid, rows=points)
            row, column = (await viewer.readout())["cell"].split(", ")
            assert (await viewer.readout())["point"] == str(points - 1)
            places.append((int(row), int(column)))
        assert places == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 3), (1, 2), (1, 1), (1, 0), (2, 0), (2, 1), (2, 2), (2, 3)]
        first, right, above = [await viewer.cell_rectangle("rgb", cell) for cell in (0, 1, 4)]
        assert (first["x"] < right["x"], first["y"] == right["y"]) == (True, True)
        assert (first["y"] > above["y"], first["x"] == above["x"]) == (True, True)
        assert viewer.complaints == []


async def test_axes_carry_the_names_and_units_of_the_motors_and_positions_from_the_extents(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", extents=[[10.0, 14.0], [-1.5, 1.5]]).write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await viewer.page.add_init_script(
            "const told = (window.told = new Set()); const { fillText } = CanvasRenderingContext2D.prototype;"
            "CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {"
            "  told.add(text); return fillText.call(this, text, ...rest);"
            "};"
        )
        await viewer.page.reload()
        await send(settings, run.documents)
        await viewer.wait_until(run=run.uid, rows=12, status="success")
        assert {"stage-x (mm)", "stage-y (mm)"} <= set(await viewer.page.evaluate("[...window.told]"))
        await viewer.point_at("total", 7)  # row 1, column 3
        await viewer.page.locator("#readout-title", has_text="Under the cursor").wait_for()
        values = await viewer.readout()
        assert (values["stage-x"], values["stage-y"], values["cell"], values["point"]) == ("1.5", "12", "1, 3", "4")
        assert values["Total"] == str(int(run.values("total")[4]))
        units = await viewer.page.locator("#values > div", has_text="stage-x").locator("dd").nth(1).inner_text()
        assert units == "mm"
        assert viewer.complaints == []


async def test_progress_and_status_are_told_in_words(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames", exit_status="abort", reason="the beam was lost", plan_name="map_foil", scan_id=41).write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, [*run.head, *run.at(0, 5)])
        await viewer.wait_until(run=run.uid, rows=5)
        assert (await text(viewer, "#title"), await text(viewer, "#status")) == ("map_foil #41", "Running")
        assert (await text(viewer, "#points")).startswith("5 of 12")
        bar = viewer.page.locator("[role=progressbar]")
        assert (await bar.get_attribute("aria-valuenow"), await bar.get_attribute("aria-valuemax")) == ("5", "12")
        assert "5 of 12 points" in (await viewer.page.locator('canvas[data-channel="total"]').get_attribute("aria-label") or "")
        await send(settings, [run.stop])
        await viewer.wait_until(run=run.uid, rows=5, status="abort")
        assert await text(viewer, "#status") == "Aborted"
        assert "the beam was lost" in await text(viewer, "#notices")
        assert "Aborted" in await viewer.page.title()
        assert viewer.complaints == []


async def test_what_was_guessed_is_told_as_a_notice(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, run.documents)
        await viewer.wait_until(run=run.uid, rows=12, status="success")
        assert "thirds of the frame's height" in await text(viewer, "#notices")
        assert viewer.complaints == []


async def test_a_run_without_frames_is_explained_in_a_sentence(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames")
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, [run.documents[0], run.stop])
        await viewer.wait_until(run=run.uid, status="success")
        await viewer.page.locator("#empty", has_text="no detector of it wrote frames").wait_for()
        assert viewer.complaints == []


# --- which run ------------------------------------------------------------------------------------------------------


async def test_the_next_run_is_followed_by_itself(settings: Settings, streaming, tmp_path: Path) -> None:
    first, second = scan(tmp_path / "frames", seed=1).write(), scan(tmp_path / "frames", (2, 5), seed=2).write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        for run in (first, second):
            await send(settings, run.documents)
            await viewer.wait_until(run=run.uid, rows=run.points, status="success")
            assert await shown(viewer, "rgb", range(run.points)) == composite(run, run.points)
        assert await viewer.page.locator("#runs a").count() == 2
        assert viewer.complaints == []


async def test_a_run_named_in_the_address_stays_on_screen_while_newer_ones_come(settings: Settings, streaming, tmp_path: Path) -> None:
    pinned, newer = scan(tmp_path / "frames", seed=1).write(), scan(tmp_path / "frames", seed=2).write()
    async with streaming(settings):
        async with viewer_page(page_url(settings)) as follower:
            await send(settings, pinned.documents)
            await follower.wait_until(run=pinned.uid, rows=12, status="success")
            async with viewer_page(page_url(settings, pinned.uid)) as viewer:
                await viewer.wait_until(run=pinned.uid, rows=12, status="success")
                await send(settings, newer.documents)
                await follower.wait_until(run=newer.uid, rows=12, status="success")
                assert await viewer.state("run") == pinned.uid
                assert await shown(viewer, "rgb", range(12)) == composite(pinned, 12)
                assert await viewer.page.locator("#follow").get_attribute("aria-pressed") == "false"
                await viewer.page.locator("#follow").click()
                await viewer.wait_until(run=newer.uid, rows=12, status="success")
                assert await shown(viewer, "rgb", range(12)) == composite(newer, 12)
                assert viewer.complaints == follower.complaints == []


async def test_maps_that_are_made_anew_replace_those_on_an_open_page(settings: Settings, streaming, tmp_path: Path) -> None:
    run = scan(tmp_path / "frames").write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, run.documents)
        await viewer.wait_until(run=run.uid, rows=12, status="success")
        await viewer.page.select_option("#colours", "grey")
        _, made = await asyncio.to_thread(revise, settings, run.uid, {"upper": {"rows": [0, 1]}})
        await viewer.page.locator('canvas[data-channel="upper"]').wait_for()
        await viewer.wait_until(run=run.uid, rows=12, status="success")
        assert await viewer.page.locator('canvas[data-channel="red"]').count() == 0
        assert "Reconstructed again by a test" in await text(viewer, "#notices")
        shades = [math.floor(GREY[0] + (GREY[1] - GREY[0]) * level / 255 + 0.5) for level in levels(made.table.data["upper"])]
        expected = {int(cell): (shade,) * 3 for cell, shade in zip(made.table.data["cell"], shades, strict=True)}
        assert await shown(viewer, "upper", list(expected)) == expected
        assert viewer.complaints == []


async def test_an_address_with_an_unknown_run_says_so(settings: Settings, streaming) -> None:
    async with streaming(settings), viewer_page(page_url(settings, "no-such-run")) as viewer:
        await viewer.page.locator("#empty-title", has_text="This run cannot be shown").wait_for()
        assert "no-such-run" in await text(viewer, "#empty-text")
        assert viewer.complaints == []


async def test_a_run_is_drawn_whole_when_one_comes_back_to_it_from_an_address_with_an_unknown_run(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write()
    async with streaming(settings):
        await send(settings, run.documents)
        async with viewer_page(page_url(settings, "no-such-run")) as viewer:
            refused = viewer.page.locator("#empty-title", has_text="This run cannot be shown")
            await refused.wait_for()
            await viewer.page.locator(f'#runs a[data-run="{run.uid}"]').click()
            await viewer.wait_until(run=run.uid, rows=12, status="success")
            await viewer.page.go_back()
            await refused.wait_for()
            await viewer.page.go_forward()
            await viewer.wait_until(run=run.uid, rows=12, status="success")
            assert await shown(viewer, "rgb", range(12)) == composite(run, 12)


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.faults
async def test_a_server_killed_in_mid_scan_and_started_again_costs_no_pixel(
    settings: Settings, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write()
    await streaming_process.serve()
    async with viewer_page(page_url(settings)) as viewer:
        await send(settings, [*run.head, *run.at(0, 5)])
        await viewer.wait_until(run=run.uid, rows=5, connection="connected")
        await streaming_process.kill()
        await viewer.wait_until(connection="waiting")
        assert await shown(viewer, "rgb", list(composite(run, 5))) == composite(run, 5), "what is there stays while the server is away"
        await send(settings, run.at(5, 9))
        await streaming_process.serve()
        await viewer.wait_until(run=run.uid, rows=9, status="running", connection="connected")
        assert await shown(viewer, "rgb", list(composite(run, 9))) == composite(run, 9)
        await send(settings, [*run.at(9, 12), run.stop])
        await viewer.wait_until(run=run.uid, rows=12, status="success")
        assert await shown(viewer, "rgb", range(12)) == composite(run, 12)
        assert [complaint for complaint in viewer.complaints if "WebSocket connection to" not in complaint] == []


async def test_hostile_metadata_is_shown_as_text_and_never_run(settings: Settings, streaming, tmp_path: Path) -> None:
    markup = '<img src=x onerror="hacked=1">'
    run = scan(
        tmp_path / "frames",
        plan_name=markup,
        motors=[markup, markup],
        sample={"name": markup},
        exit_status="fail",
        reason=markup,
    ).write()
    async with streaming(settings), viewer_page(page_url(settings)) as viewer:
        await send(settings, run.documents)
        await viewer.wait_until(run=run.uid, rows=12, status="fail")
        assert markup in await text(viewer, "#title")
        assert markup in await text(viewer, "#subtitle")
        assert markup in await text(viewer, "#values")
        # The list of runs may have told of the end before the feed did, which says why.
        await viewer.page.locator("#notices", has_text=markup).wait_for()
        await viewer.page.locator("#runs a", has_text=markup).wait_for()
        assert await viewer.page.locator("img, body script").count() == 0
        assert await viewer.page.evaluate("window.hacked") is None
        assert viewer.complaints == []
