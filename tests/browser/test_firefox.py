"""The viewer in a real Firefox."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.helpers.archive import made_run
from tests.helpers.firefox import Firefox, firefox_page
from tests.helpers.serving import catalogue_away, serving_of

pytestmark = pytest.mark.browser

VALUES = np.arange(12.0).reshape(3, 4)
GREY = (0x0C, 0xFA)


async def colours(page: Firefox, cells: list[int]) -> list[tuple[int, ...]]:
    """The colour of each cell of the map that is drawn alone."""
    places = await page.evaluate(
        f"""{cells}.map((cell) => {{
            const {{ left, top }} = document.querySelector('canvas[data-channel="total"]').getBoundingClientRect();
            const {{ x, y, w, h }} = window.wpb.cellRect("total", cell);
            return [left + x + w / 3, top + y + h / 3];
        }})"""
    )
    picture = await page.picture()
    return [picture.getpixel((int(x), int(y))) for x, y in places]  # type: ignore[misc]


async def test_a_map_has_the_colours_of_its_values_and_grows_with_the_scan(tmp_path: Path) -> None:
    (tmp_path / "profile").mkdir()
    async with serving_of(catalogue_away(), tmp_path) as serving, firefox_page(tmp_path / "profile") as page:
        made = made_run("u", np.where(VALUES < 5, VALUES, np.nan), number=41, plan_name="foil", status="running")
        serving.board.live["u"], serving.board.latest = made, "u"
        await page.open(f"http://127.0.0.1:{serving.port}/?channel=total&embed=1")
        await page.wait_until('document.documentElement.dataset.rows === "5"')
        assert await page.evaluate("document.getElementById('status').textContent") == "Running"
        await page.evaluate("localStorage.setItem('wpb.look', JSON.stringify({ colours: 'grey' }))")
        await page.open(f"http://127.0.0.1:{serving.port}/?channel=total")
        await page.wait_until('document.documentElement.dataset.rows === "5"')
        assert await page.evaluate("document.querySelector('figure[data-size=large] canvas').dataset.channel") == "total"
        shades = [round(GREY[0] + (GREY[1] - GREY[0]) * round(255 * cell / 4) / 255) for cell in range(5)]
        assert await colours(page, list(range(5))) == [(shade,) * 3 for shade in shades]
        rest = np.arange(5, 12)
        made.table.append(rest, rest, np.outer(rest, [1.0, -1, 2, 4]))
        made.run = msgspec.structs.replace(made.run, rows=12)
        serving.board.changed()
        await page.wait_until('document.documentElement.dataset.rows === "12"')
        shades = [round(GREY[0] + (GREY[1] - GREY[0]) * round(255 * cell / 11) / 255) for cell in range(12)]
        assert await colours(page, list(range(11))) == [(shade,) * 3 for shade in shades[:11]]
        assert page.complaints == []
