"""What a token with sessions sees of runs that are in the catalogue."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.helpers.rawfeed import RawClient
from tests.helpers.scans import Scan, scan
from tests.helpers.serving import Serving, serving_of
from tests.integration.feed.conftest import Beamline
from tests.integration.feed.test_http import _http
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import PREVIEW
from wpb_stream.core.access import Access
from wpb_stream.tokens import new_token

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

VISIT, ENTRY = new_token("visit", sessions=['cm"1', "cm1-2"])
HEADERS = {"Authorization": f"Bearer {VISIT}"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scans(beamline: Beamline) -> list[Scan]:
    """Finished runs: of the visit, of another, of the visit, of another and with what only looks like the visit's."""
    sessions = [{"data_session": 'cm"1'}, {"data_session": "cm2-1"}, {"instrument_session": "cm1-2"}, {}, {"instrument_session": ["cm1-2"]}]
    scans = [scan(beamline.folder, seed=seed, **session) for seed, session in enumerate(sessions)]
    await beamline.take(*scans)
    return scans


@pytest_asyncio.fixture(loop_scope="module")
async def serving(beamline: Beamline, scans: list[Scan]) -> AsyncIterator[Serving]:
    """A server on the same catalogue that wants a token, and has nothing on its board."""
    with CatalogueReader(beamline.settings.database_url or "") as reader:
        async with serving_of(reader, beamline.settings.results, access=Access([ENTRY.grant])) as serving:
            serving.board.latest = scans[-1].uid
            yield serving


@pytest_asyncio.fixture(loop_scope="module")
async def client(serving: Serving) -> AsyncIterator[RawClient]:
    async with serving.client(additional_headers=HEADERS) as client:
        yield client


async def test_runs_are_listed_by_whole_pages_of_those_that_may_be_seen(client: RawClient, scans: list[Scan]) -> None:
    first = await client.answer("list_runs", limit=1)
    second = await client.answer("list_runs", limit=1, before=first["before"])
    third = await client.answer("list_runs", limit=1, before=second["before"])
    assert [run["uid"] for page in (first, second, third) for run in page["runs"]] == [scans[2].uid, scans[0].uid]


async def test_the_latest_run_is_the_latest_that_may_be_seen(client: RawClient, scans: list[Scan]) -> None:
    assert client.welcome["latest"] == scans[2].uid
    assert (await client.answer("subscribe", run="latest"))["run"]["uid"] == scans[2].uid
    assert (await client.rows(12))[-1].rows


@pytest.mark.parametrize("number", [1, 3, 4])
async def test_other_runs_are_unknown(client: RawClient, serving: Serving, scans: list[Scan], number: int) -> None:
    uid = scans[number].uid
    (serving.results.folder(uid) / PREVIEW).write_bytes(b"a picture")
    asked = [("subscribe", {}), ("subscribe", {"revision": "live"}), ("subscribe", {"revision": "none"}), ("get_frame", {"point": 0})]
    for kind, fields in asked:
        told = await client.answer(kind, run=uid, **fields)
        assert (told["code"], told["message"]) == ("unknown_run", f"There is no run '{uid}'.")
    for path in ("", "/revisions", "/map.npz", "/map.csv?revision=none", "/preview.png"):
        assert await serving.get(f"/api/runs/{uid}{path}", **HEADERS) == b"HTTP/1.1 404 Not Found"


async def test_what_may_be_seen_is_served_as_to_anybody(client: RawClient, serving: Serving, scans: list[Scan]) -> None:
    await client.send("subscribe", run=scans[0].uid)
    assert sum(piece.rows for piece in await client.rows(12)) == 12
    for path in ("", "/revisions", "/map.csv"):
        assert await serving.get(f"/api/runs/{scans[0].uid}{path}", **HEADERS) == b"HTTP/1.1 200 OK"
    frame = await client.answer("get_frame", run=scans[0].uid, point=99)
    assert frame["code"] == "frame_unavailable"


async def test_the_process_that_asks_nobody_shows_all(beamline: Beamline, scans: list[Scan]) -> None:
    _, _, body = await _http(beamline, "GET /api/runs HTTP/1.1")
    assert {one.uid for one in scans} <= {run["uid"] for run in json.loads(body)["runs"]}
