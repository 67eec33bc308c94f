"""Two revisions of a scan, one subtracted from the other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import bluesky.plans as bp
import msgspec
import numpy as np
import pytest

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.laboratory import Laboratory
from tests.helpers.remade import revise
from wpb_dagster.reconstruction import Reconstructed
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.replay import parse_kafka_url
from wpb_stream.settings import Settings
from wpb_stream.sim.publisher import RunPublisher

pytestmark = [pytest.mark.browser, pytest.mark.integration]


def turned(settings: Settings, uid: str, made: Reconstructed) -> None:
    """Put a revision of another shape into the catalogue."""
    with CatalogueReader(settings.database_url or "") as catalogue:
        info = msgspec.structs.replace(made.info, shape=made.info.shape[::-1] if made.info.shape else None)
        catalogue.add_revision(info, "turned", "a test", Results(settings.results).save(uid, "turned", made.table))


async def compared(viewer: Viewer, revision: str) -> None:
    await viewer.page.select_option("#compared", revision)
    await viewer.wait_until(compared=revision)


async def test_a_revision_is_subtracted_from_another_cell_by_cell(settings: Settings, streaming, tmp_path: Path) -> None:
    lab = Laboratory(tmp_path / "frames")
    lab.engine.subscribe(RunPublisher(*parse_kafka_url(settings.sources[0])))
    regions = {"red": {"rows": [0, 3]}, "green": {"rows": [1, 6]}, "blue": {"rows": [2, 4]}}
    plan = bp.grid_scan([lab.camera], lab.y, 0, 2, 3, lab.x, 1, 4, 4, snake_axes=True, md={"wpb": {"regions": regions}})
    async with streaming(settings), viewer_page(f"http://{settings.listen}/") as viewer:
        await asyncio.to_thread(lab.engine, plan)
        uid = next(doc["uid"] for name, doc in lab.documents if name == "start")
        await viewer.wait_until(run=uid, rows=12, status="success")
        assert await viewer.page.locator("#comparison").is_hidden(), "there is nothing to compare with"
        revision, made = await asyncio.to_thread(revise, settings, uid)
        await viewer.page.locator("#subtitle").get_by_text(revision[:8]).wait_for()
        await viewer.wait_until(run=uid, rows=12)
        drawn = viewer.page.locator("#plots canvas")
        before = await drawn.evaluate_all("all => all.map((one) => one.dataset.channel)")
        await compared(viewer, "live")
        assert await drawn.evaluate_all("all => all.map((one) => one.dataset.channel)") == ["red", "green", "total"]
        label = await viewer.page.locator('canvas[data-channel="red"]').get_attribute("aria-label")
        frames = np.array([shot.frame for shot in lab.films["camera"].shots], np.int64)
        red = (frames[:, :1].sum(axis=(1, 2)) - frames[:, :3].sum(axis=(1, 2)))[made.table.data["point"]]
        most = float(f"{abs(red).max():.3g}")
        assert label is not None
        plain = label.translate(str.maketrans({"\u202f": None, "\u2212": "-"}))
        assert plain == f"\N{GREEK CAPITAL LETTER DELTA} Red: 12 of 12 points, -{most:.0f} to {most:.0f} counts"
        colours = await viewer.colours("red", [int(cell) for cell in made.table.data["cell"]])
        lowest, highest = int(red.argmin()), int(red.argmax())
        assert colours[lowest][2] > colours[lowest][0], "less is blue"
        assert all(blue >= shade for shade, _, blue in colours), "and there is nothing that became more"
        assert sum(colours[lowest]) < sum(colours[highest]), "what changed little is light"
        assert all(min(colour) > 240 for colour in await viewer.colours("total", range(12))), "the total is the same"
        await viewer.point_at("red", int(made.table.data["cell"][lowest]))
        assert (await viewer.readout())["\N{GREEK CAPITAL LETTER DELTA} Red"] == str(red[lowest])
        # Replayed, and after that, it is the difference still; its limits are not chosen.
        for each in ("display-open", "replay-open", "replay-back"):
            await viewer.page.locator(f"#{each}").click()
        await viewer.page.locator("#replay-text", has_text="11 of 12").wait_for()
        assert await viewer.page.locator("#levels li").count() == 0
        assert (await viewer.colours("red", [int(made.table.data["cell"][lowest])])) == [colours[lowest]]
        for each in ("replay-open", "display-open"):
            await viewer.page.locator(f"#{each}").click()
        assert await viewer.colours("red", [int(cell) for cell in made.table.data["cell"]]) == colours
        await compared(viewer, "")
        assert await drawn.evaluate_all("all => all.map((one) => one.dataset.channel)") == before
        await asyncio.to_thread(turned, settings, uid, made)
        await viewer.wait_until(run=uid, rows=12, compared="")
        await viewer.page.locator("#subtitle").get_by_text("turned").wait_for()
        await viewer.page.select_option("#compared", revision)
        await viewer.page.get_by_text(
            "cannot be subtracted. The shapes differ: 4 \N{MULTIPLICATION SIGN} 3 and 3 \N{MULTIPLICATION SIGN} 4."
        ).wait_for()
        assert await viewer.page.locator("#compared").input_value() == ""
        assert await viewer.state("compared") == ""
        assert viewer.complaints == []
