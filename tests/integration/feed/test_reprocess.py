"""What is said to who asks for a run to be made again, or its plan to be run again, and it cannot be.

That they are: tests/dagster/test_asked_again.py, and tests/integration/test_stomp.py.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.helpers.provider import key_server
from tests.helpers.rawfeed import RawClient
from tests.helpers.scans import Scan, scan
from tests.helpers.serving import Serving, serving_of
from tests.integration.feed.conftest import Beamline
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import reprocess
from wpb_stream.core.access import Access
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.tokens import new_token

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

WATCHER, WATCHERS = new_token("watcher")
STAFF, STAFFS = new_token("staff", ["admin"])
VISIT, VISITS = new_token("visit", ["admin"], sessions=["cm1-1"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest_asyncio.fixture(loop_scope="module")
async def serving(beamline: Beamline, past: list[Scan]) -> AsyncIterator[Serving]:
    """A server on the catalogue of the finished runs that wants a token, and has no Dagster."""
    with CatalogueReader(beamline.settings.database_url or "") as reader:
        async with serving_of(reader, beamline.settings.results, access=Access([WATCHERS.grant, STAFFS.grant, VISITS.grant])) as serving:
            serving.board.latest = past[-1].uid
            yield serving


@pytest_asyncio.fixture(loop_scope="module")
async def client(serving: Serving) -> AsyncIterator[RawClient]:
    async with serving.client(additional_headers=bearer(STAFF)) as client:
        assert client.welcome["scopes"] == ["watch", "admin"]
        yield client


async def test_it_takes_a_token_with_scope_admin(serving: Serving, past: list[Scan]) -> None:
    async with serving.client(additional_headers=bearer(WATCHER)) as client:
        for run in (past[0].uid, "no such run"):
            told = await client.answer("reprocess", run=run, recipe={})
            assert (told["type"], told["code"]) == ("error", "not_allowed")
            assert "--scope admin" in told["message"]


async def test_who_shows_no_token_where_none_is_needed_may_not_unless_on_this_machine_alone(beamline: Beamline, past: list[Scan]) -> None:
    with CatalogueReader(beamline.settings.database_url or "") as reader:
        async with serving_of(reader, beamline.settings.results) as serving, serving.client() as client:
            assert (await client.answer("reprocess", run=past[0].uid, recipe={}))["code"] == "not_allowed"


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ({"regoins": {}}, "regoins"),
        ({"regions": 7}, "regions"),
        ({"regions": {"red": {"rows": [5, 2]}}}, "rows"),
        ({"recipe": "no such recipe"}, "no such recipe"),
        ({"shape": [0]}, "shape"),
    ],
)
async def test_what_is_wrong_with_a_recipe_is_told(client: RawClient, past: list[Scan], recipe: dict[str, Any], told: str) -> None:
    answer = await client.answer("reprocess", run=past[0].uid, recipe=recipe)
    assert (answer["type"], answer["code"]) == ("error", "bad_message")
    assert answer["message"].startswith("reprocess: ")
    assert told in answer["message"]


@pytest.mark.parametrize("recipe", [None, [], "red", {"axes": ["y\0", "x"]}])
async def test_what_is_no_recipe_is_refused(client: RawClient, past: list[Scan], recipe: Any) -> None:
    assert (await client.answer("reprocess", run=past[0].uid, recipe=recipe))["code"] == "bad_message"


async def test_a_run_that_there_is_not_or_that_may_not_be_seen_is_unknown(serving: Serving, client: RawClient, past: list[Scan]) -> None:
    assert (await client.answer("reprocess", run="no such run", recipe={}))["code"] == "unknown_run"
    async with serving.client(additional_headers=bearer(VISIT)) as visit:
        assert (await visit.answer("reprocess", run=past[0].uid, recipe={}))["code"] == "unknown_run"


async def test_a_run_that_goes_on_cannot_be_made_again_yet(beamline: Beamline, client: RawClient) -> None:
    running = scan(beamline.folder, seed=77)
    await beamline.begin(running, points=5)
    told = await client.answer("reprocess", run=running.uid, recipe={})
    assert (told["code"], "not over" in told["message"]) == ("bad_message", True)
    await beamline.publish(*running.at(5, 12), running.stop)


async def test_while_dagster_is_away_that_is_said_and_where_it_was_looked_for(client: RawClient, past: list[Scan]) -> None:
    told = await client.answer("reprocess", run=past[0].uid, recipe={"regions": {"top": {"rows": [0, 2]}}})
    assert told["code"] == "internal"
    assert "Dagster cannot be reached at http://127.0.0.1:1" in told["message"]
    told = await client.answer("reprocess", run="latest", recipe={})
    assert told["code"] == "internal"


async def test_another_server_than_dagsters_is_found_out(serving: Serving, beamline: Beamline, past: list[Scan]) -> None:
    with CatalogueReader(beamline.settings.database_url or "") as reader:
        ours = f"http://127.0.0.1:{serving.port}"
        async with serving_of(reader, beamline.settings.results, dagster=ours, access=Access([STAFFS.grant])) as other:
            async with other.client(additional_headers=bearer(STAFF)) as client:
                told = await client.answer("reprocess", run=past[0].uid, recipe={})
    assert told["code"] == "internal"
    assert ours in told["message"]


async def test_the_python_client_raises_what_is_told(serving: Serving, past: list[Scan]) -> None:
    with pytest.raises(ProtocolError, match="scope admin") as refused:
        await reprocess(serving.url, past[0].uid, token=WATCHER)
    assert refused.value.code == "not_allowed"
    with pytest.raises(ProtocolError, match="regoins"):
        await reprocess(serving.url, past[0].uid, {"regoins": {}}, token=STAFF)
    with pytest.raises(ServiceError, match="HTTP 401"):
        await reprocess(serving.url, past[0].uid, token="wrong")
    with pytest.raises(ServiceError, match="cannot be reached"):
        await reprocess("ws://127.0.0.1:1/ws", past[0].uid)


async def test_why_a_plan_is_not_run_again_is_told(serving: Serving, beamline: Beamline, past: list[Scan], client: RawClient) -> None:
    assert not client.welcome["blueapi"]
    told = await client.answer("run_again", run=past[0].uid)
    assert (told["code"], "WPB_BLUEAPI_URL" in told["message"]) == ("internal", True)
    of_blueapi = scan(beamline.folder, seed=78, blueapi_task_id="a/../b")
    await beamline.take(of_blueapi)
    with CatalogueReader(beamline.settings.database_url or "") as reader:
        grants = Access([WATCHERS.grant, STAFFS.grant, VISITS.grant])
        async with serving_of(reader, beamline.settings.results, access=grants, blueapi="http://127.0.0.1:1") as known:
            async with known.client(additional_headers=bearer(STAFF)) as staff:
                assert staff.welcome["blueapi"]
                for run, code, words in (
                    ("no such run", "unknown_run", "no run"),
                    (past[0].uid, "bad_message", "which task of blueapi"),
                    (of_blueapi.uid, "internal", "blueapi cannot be reached at http://127.0.0.1:1"),
                ):
                    told = await staff.answer("run_again", run=run, begin=True)
                    assert (told["code"], words in told["message"]) == (code, True)
            async with known.client(additional_headers=bearer(WATCHER)) as watcher:
                assert (await watcher.answer("run_again", run=of_blueapi.uid))["code"] == "not_allowed"
            async with known.client(additional_headers=bearer(VISIT)) as visit:
                assert (await visit.answer("run_again", run=of_blueapi.uid))["code"] == "unknown_run"


async def test_what_would_be_run_is_told_first_and_nothing_of_other_sessions(beamline: Beamline) -> None:
    mine, made_up = (
        scan(beamline.folder, seed=79 + number, blueapi_task_id=task, instrument_session="cm1-1") for number, task in enumerate("ab")
    )
    await beamline.take(mine, made_up)
    with CatalogueReader(beamline.settings.database_url or "") as reader, key_server() as blueapi:
        url = blueapi.url.removesuffix("/certs")
        async with (
            serving_of(reader, beamline.settings.results, access=Access([VISITS.grant]), blueapi=url) as known,
            known.client(additional_headers=bearer(VISIT)) as visit,
        ):
            task = {"task_id": "a", "task": {"name": "map_it", "params": {"rows": 3}, "metadata": {"instrument_session": "cm1-1"}}}
            blueapi.body = json.dumps(task).encode()
            told = await visit.answer("run_again", run=mine.uid)
            assert (told["type"], told["plan"], told["params"], told["task"]) == ("task", "map_it", {"rows": 3}, None)
            blueapi.body = json.dumps({**task, "task": {**task["task"], "metadata": {"instrument_session": "cm2-2"}}}).encode()
            told = await visit.answer("run_again", run=made_up.uid)
            assert (told["code"], "of another session" in told["message"]) == ("bad_message", True)
            blueapi.body = b"[]"
            told = await visit.answer("run_again", run=mine.uid)
            assert (told["code"], "does not answer as blueapi does" in told["message"]) == ("internal", True)
