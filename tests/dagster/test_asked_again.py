"""All of Dagster's services beside a streaming process: a run that ends, and is made again as somebody who watches it asks."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from playwright.async_api import expect

from tests.browser.pages import Viewer, viewer_page
from tests.dagster.scans import Beamline
from tests.dagster.test_reprocess import acquire
from tests.integration.conftest import feed_url, streaming_here
from tests.integration.recomputed import reconstructed
from tests.integration.watching import until_stopped
from wpb_dagster.home import services
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.client import reprocess, watch
from wpb_stream.core.access import ON_THIS_MACHINE
from wpb_stream.core.documents import Document
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.dagster_web import DagsterWeb, Verdict
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.feed.remaking import ASKED_BY
from wpb_stream.frames.roots import DataRoots
from wpb_stream.host import free_port
from wpb_stream.settings import environment, load
from wpb_stream.supervisor import Supervisor

pytestmark = [pytest.mark.integration, pytest.mark.browser]

DRAWN = {"top": {"rows": [0, 2]}, "red": {"rows": [0, 2], "columns": [1, 3]}}
"""What is drawn on the page, with the region that the maps have by then."""


async def asked_on_the_page(viewer: Viewer, rows: int) -> str:
    """Draw a region on a frame, and have the maps made again with it; gives the revision that comes of it, which the page shows."""
    page = viewer.page
    await viewer.wait_until(rows=rows, status="success")
    await expect(page.get_by_role("link", name="Dagster", exact=True)).to_have_attribute("href", re.compile("/assets/maps.*&partition="))
    await page.locator('canvas[data-channel="total"]').click()
    await page.get_by_label("Region", exact=True).check()
    ask = page.get_by_role("button", name="Make the maps again")
    await expect(ask).to_have_attribute("title", "Draw a region for a channel first")
    await page.get_by_label("Channel of the region").select_option("red")
    for name, value in zip(("Row, from", "Row, to", "Column, from", "Column, to"), (0, 2, 1, 3), strict=True):
        await page.get_by_label(name).fill(str(value))
    await ask.click()
    await expect(page.locator("#remake-said a")).to_have_attribute("href", re.compile("/runs/"))
    made_by = (await page.locator("#remake-said a").get_attribute("href") or "").rpartition("/")[2]
    await expect(page.locator("#remake-said")).to_have_text("The maps that were made again are on the page.", timeout=90_000)
    await page.locator('canvas[data-channel="red"]').wait_for()
    await viewer.wait_until(rows=rows, status="success")
    # Its sum over the frame was there before; its value on the map comes with the new one.
    told = page.locator('#frame-regions tr[data-region="red"] td')
    await expect(told.last).to_have_text(await told.first.inner_text())
    assert viewer.complaints == []
    return made_by


async def until_final(web: DagsterWeb, uid: str) -> Verdict:
    """What became of a run in Dagster, once all is made of it."""
    while True:
        verdict = await web.verdict(uid)
        if verdict is not None and verdict.final:
            return verdict
        await asyncio.sleep(0.2)


async def test_a_run_that_ends_is_materialised_and_checked_and_whoever_watches_it_may_have_it_made_again_with_other_regions(
    postgres_cluster: EmbeddedPostgres, postgres_url: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(upgrade, postgres_url)
    frames = tmp_path / "frames"
    port = free_port("127.0.0.1", 0)
    settings = load(
        data=tmp_path / "data",
        database_url=postgres_url,
        dagster_port=port,
        dagster_url=f"http://127.0.0.1:{port}",
        data_roots=str(frames),
        listen=f"127.0.0.1:{free_port('127.0.0.1', 0)}",
    )
    beamline = Beamline(postgres_url, Results(settings.results), DataRoots((frames,)))
    uid = await asyncio.to_thread(acquire, beamline, 1)
    web = DagsterWeb(settings.dagster)
    wpb = {"regions": {"top": {"rows": [0, 2]}}, "arrays": ["mean_frame"]}
    async with asyncio.timeout(180.0), Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(*services(settings, environment(settings)))
        made = await until_final(web, uid)
        assert (made.status, made.checks["live_equals_batch"]) == ("SUCCESS", True)
        assert beamline.results.preview(uid)
        async with streaming_here(settings):
            watching = watch(feed_url(settings), uid)
            assert (await anext(watching)).run.channels[0].name == "red"
            begun = await reprocess(feed_url(settings), "latest", wpb)
            assert (begun.run, begun.link) == (uid, f"http://127.0.0.1:{settings.dagster_port}/runs/{begun.dagster_run}")
            async for update in watching:
                if update.revision == begun.dagster_run and update.stopped:
                    break
            await watching.aclose()
            async with viewer_page(f"http://{settings.listen}/?run={uid}") as viewer:
                remade = await asked_on_the_page(viewer, update.rows)
            after = await until_stopped(settings, uid)
        while (status := await web.status(remade)) != "SUCCESS":
            assert status == "STARTED"
            await asyncio.sleep(0.2)
        assert await web.status("none") is None
        with pytest.raises(ServiceError, match=r"Dagster refuses to run the job 'reprocess': .*nonsense"):
            await web.launch("reprocess", {"nonsense": 1}, {})
        with pytest.raises(ServiceError, match="has no job 'dance' now"):
            await web.launch("dance", {}, {})
    with CatalogueReader(postgres_url) as reader:
        start, *documents = reader.documents(uid)
    (batch,) = reconstructed([Document("start", {**start.doc, "wpb": wpb}), *documents], frames)
    maps = batch.table.maps(batch.info.shape)
    assert [channel.name for channel in update.run.channels] == list(maps) == ["top", "total"]
    for channel, values in maps.items():
        assert update.map(channel).tobytes() == values.tobytes()
    assert update.arrays["mean_frame"].tobytes() == batch.arrays["mean_frame"].values.tobytes()
    with dg.DagsterInstance.from_config(str(settings.data / "dagster")) as instance:
        made_by = instance.get_run_by_id(begun.dagster_run)
    assert made_by is not None
    (drawn,) = reconstructed([Document("start", {**start.doc, "wpb": {"regions": DRAWN}}), *documents], frames)
    assert after.revision == remade
    assert after.map("red").tobytes() == drawn.table.maps(drawn.info.shape)["red"].tobytes()
    assert made_by.tags[ASKED_BY] == ON_THIS_MACHINE.name
    database = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
    with psycopg.connect(postgres_cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{database}_dagster" WITH (FORCE)')
