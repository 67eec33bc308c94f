"""A run that is reconstructed again while it is watched: who follows the newest is moved to it, who named a revision stays."""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import aclosing
from datetime import datetime
from typing import Any
from weakref import ref

import numpy as np
import psycopg
import pytest

from tests.helpers.rawfeed import Points, RawClient, joined, raw_client
from tests.helpers.remade import UPPER_ROWS, revise
from tests.helpers.scans import Scan, scan
from tests.integration.feed.conftest import Beamline
from tests.integration.feed.test_http import _http
from wpb_dagster.reconstruction import Reconstructed
from wpb_stream.catalogue.announced import APPLICATION
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.catalogue.retention import Retention
from wpb_stream.client import watch
from wpb_stream.core.board import Board
from wpb_stream.feed.finder import Finder
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

WAIT_S = 60.0


async def revised(settings: Settings, uid: str, **how: Any) -> tuple[str, Reconstructed]:
    return await asyncio.to_thread(revise, settings, uid, **how)


async def taken(beamline: Beamline, seed: int) -> Scan:
    """A scan that is over."""
    one = scan(beamline.folder, seed=seed)
    await beamline.take(one)
    return one


async def until_there(client: RawClient, revision: str) -> list[Any]:
    """What is told from `revised` to the end of that revision."""
    before = await client.until("revised", revision=revision)
    return [before[-1], *await client.until("run_stopped")]


def upper_rows(one: Scan) -> np.ndarray:
    return one.frames[:, :1].astype(np.float64).sum(axis=(1, 2))


async def test_who_watches_a_run_to_its_end_is_moved_to_the_newer_revision_and_gets_all_its_rows(beamline: Beamline) -> None:
    one = scan(beamline.folder, seed=41)
    await beamline.begin(one, 5)
    async with raw_client(beamline.url) as client:
        number = await client.send("subscribe", run="latest")
        await client.rows(5)
        await beamline.publish(*one.at(5, 12), one.stop)
        await client.until("run_stopped", run=one.uid)
        revision, made = await revised(beamline.settings, one.uid)
        messages = await until_there(client, revision)
    told, run, stopped = messages[0], messages[1], messages[-1]
    assert told == {"type": "revised", "id": number, "run": one.uid, "revision": revision, "produced_by": "a test"}
    assert (run["type"], run["revision"], run["from_row"]) == ("run", revision, 0)
    assert [channel["name"] for channel in run["run"]["channels"]] == ["red", "green", "total"]
    assert run["run"]["channels"][0]["region"]["rows"] == UPPER_ROWS["red"]["rows"]
    assert (stopped["exit_status"], stopped["rows"]) == ("success", 12)
    assert {piece.header["revision"] for piece in messages if isinstance(piece, Points)} == {revision}
    assert next(piece for piece in messages if isinstance(piece, Points)).first == 0
    points = joined(messages, "point")
    assert sorted(points) == list(range(12))
    np.testing.assert_array_equal(joined(messages, "red"), upper_rows(one)[points])
    for name in ("point", "cell", "red", "green", "total"):
        assert joined(messages, name).tobytes() == made.table.data[name].tobytes(), "bit for bit what was made"


async def test_who_asks_for_a_finished_run_is_moved_too_each_time(beamline: Beamline) -> None:
    one = await taken(beamline, 42)
    async with raw_client(beamline.url) as client:
        await client.send("subscribe", run=one.uid)
        await client.until("run_stopped")
        for _ in range(2):
            revision, _ = await revised(beamline.settings, one.uid)
            messages = await until_there(client, revision)
            np.testing.assert_array_equal(joined(messages, "red"), upper_rows(one)[joined(messages, "point")])


async def test_who_named_a_revision_stays_there_and_so_does_who_watches_another_run(beamline: Beamline) -> None:
    one, other = await taken(beamline, 43), await taken(beamline, 44)
    async with raw_client(beamline.url) as client:
        named = await client.send("subscribe", run=one.uid, revision="live")
        beside = await client.send("subscribe", run=other.uid)
        follows = await client.send("subscribe", run=one.uid)
        stopped: set[int] = set()
        while len(stopped) < 3:
            stopped.add((await client.until("run_stopped"))[-1]["id"])
        await revised(beamline.settings, one.uid)
        messages = await client.until("run_stopped")
        # All that was due to the others has been sent before this is answered.
        await revised(beamline.settings, one.uid)
        messages += await client.until("run_stopped")
    assert named != follows != beside
    assert {message.header["id"] if isinstance(message, Points) else message["id"] for message in messages} == {follows}


async def test_the_end_of_a_live_reconstruction_is_no_news_to_who_watched_it(beamline: Beamline) -> None:
    one, other = scan(beamline.folder, seed=49), await taken(beamline, 50)
    await beamline.begin(one, 5)
    async with raw_client(beamline.url) as client:
        await client.send("subscribe", run=one.uid)
        await client.rows(5)
        await beamline.publish(*one.at(5, 12), one.stop)
        await client.until("run_stopped")
        follows = await client.send("subscribe", run=other.uid)
        await client.until("run_stopped", id=follows)
        messages: list[Any] = []
        for _ in range(2):  # what is heard of the first is heard of after the live revision, and is told before the second
            await revised(beamline.settings, other.uid)
            messages += await client.until("run_stopped", id=follows)
    assert {message.header["id"] if isinstance(message, Points) else message["id"] for message in messages} == {follows}


async def test_a_client_that_held_the_older_revision_while_it_was_away_is_answered_by_revised(beamline: Beamline) -> None:
    one = await taken(beamline, 45)
    revision, _ = await revised(beamline.settings, one.uid)
    async with raw_client(beamline.url) as client:
        await client.send("subscribe", run=one.uid, revision="live", from_row=12, follow=True)
        messages = await client.until("run_stopped")
        pinned = await client.send("subscribe", run=one.uid, revision="live", from_row=9)
        rest = await client.until("run_stopped", id=pinned)
        same = await client.send("subscribe", run=one.uid, revision=revision, from_row=9, follow=True)
        resumed = await client.until("run_stopped", id=same)
    assert [message["type"] for message in messages[:2]] == ["revised", "run"]
    assert (messages[0]["revision"], joined(messages, "point").size) == (revision, 12)
    assert (rest[0]["revision"], rest[0]["from_row"], joined(rest, "point").size) == ("live", 9, 3)
    assert (resumed[0]["type"], resumed[0]["from_row"], joined(resumed, "point").size) == ("run", 9, 3)


@pytest.mark.parametrize("how_far", ["its file", "its row too"])
async def test_a_client_that_held_a_revision_that_was_let_go_is_answered_by_revised(beamline: Beamline, how_far: str) -> None:
    one = await taken(beamline, 51)
    first, _ = await revised(beamline.settings, one.uid)
    newest, _ = await revised(beamline.settings, one.uid)
    retention, results = Retention(beamline.settings.database_url or "", 1, 0.0), Results(beamline.settings.results)
    old = [each for each in retention.old() if each.run_uid == one.uid]
    assert [each.revision for each in old] == [first]
    if how_far == "its file":
        results.remove(old[0].file)
    else:
        retention.drop(old, results)
    async with raw_client(beamline.url) as client:
        await client.send("subscribe", run=one.uid, revision=first, from_row=9)
        messages = await client.until("run_stopped")
    assert [message["type"] for message in messages[:2]] == ["revised", "run"]
    assert (messages[0]["revision"], joined(messages, "point").size) == (newest, 12)


async def test_all_who_watch_a_revision_share_what_was_read_of_it(beamline: Beamline) -> None:
    one = await taken(beamline, 52)
    await revised(beamline.settings, one.uid)
    with CatalogueReader(beamline.settings.database_url or "") as reader:
        finder = Finder(Board(), reader, Results(beamline.settings.results))
        first, _ = await finder.find(one.uid, "newest")
        second, _ = await finder.find(one.uid, "newest")
        assert (first.table, id(first.arrays)) == (second.table, id(second.arrays))
        gone = ref(first.table)
        del first, second
        await finder.runs(limit=1)  # its threads hold the last answer, which is another one then
        gc.collect()
        assert gone() is None, "and it is let go when nobody does any more"


async def test_who_asked_for_a_channel_that_the_newer_revision_lacks_stays_and_is_told(beamline: Beamline) -> None:
    one = await taken(beamline, 46)
    async with raw_client(beamline.url) as client:
        await client.send("subscribe", run=one.uid, channels=["blue"])
        await client.until("run_stopped")
        await revised(beamline.settings, one.uid)
        notice = (await client.until("notice", code="revision_not_shown"))[-1]
        assert "no channel 'blue'; it has red, green, total" in notice["message"]
        revision, _ = await revised(beamline.settings, one.uid, regions={"blue": {"rows": [2, 4]}})
        messages = await until_there(client, revision)
    np.testing.assert_array_equal(joined(messages, "blue"), one.frames[joined(messages, "point"), 2:4].astype(np.float64).sum(axis=(1, 2)))


async def test_a_revision_made_while_the_connection_to_the_database_was_lost_is_caught_up_with(beamline: Beamline) -> None:
    one = await taken(beamline, 47)
    async with raw_client(beamline.url) as client:
        await client.send("subscribe", run=one.uid)
        await client.until("run_stopped")
        with psycopg.connect(beamline.settings.database_url or "", autocommit=True) as connection:
            ended = connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [APPLICATION])
            assert len(ended.fetchall()) == 1
        revision, _ = await revised(beamline.settings, one.uid)
        messages = await until_there(client, revision)
    assert joined(messages, "point").size == 12


async def test_the_python_client_goes_on_with_the_newer_revision(beamline: Beamline) -> None:
    one = await taken(beamline, 48)
    revision = ""
    async with asyncio.timeout(WAIT_S), aclosing(watch(beamline.url, one.uid)) as updates:
        async for update in updates:
            if update.stopped and not revision:
                revision, made = await revised(beamline.settings, one.uid)
            elif update.stopped and update.revision == revision:
                break
    assert [channel.name for channel in update.run.channels] == ["red", "green", "total"]
    for name, expected in made.table.maps((3, 4)).items():
        assert update.map(name).tobytes() == expected.tobytes()


async def test_the_revisions_of_a_run_are_listed_newest_first(beamline: Beamline) -> None:
    one = await taken(beamline, 77)
    revision, _ = await revised(beamline.settings, one.uid)
    status, _, body = await _http(beamline, f"GET /api/runs/{one.uid}/revisions HTTP/1.1")
    told = json.loads(body)["revisions"]
    assert status == 200
    assert [(each["revision"], each["produced_by"], each["rows"]) for each in told[:1]] == [(revision, "a test", 12)]
    assert [each["revision"] for each in told] == [revision, "live"]
    created = [datetime.fromisoformat(each["created_at"]) for each in told]
    assert created == sorted(created, reverse=True)
    status, _, body = await _http(beamline, "GET /api/runs/none/revisions HTTP/1.1")
    assert (status, json.loads(body)["error"]) == (404, "unknown_run")


async def test_a_run_that_has_just_begun_has_no_revisions(beamline: Beamline) -> None:
    one = scan(beamline.folder, seed=78)
    await beamline.begin(one, 5)
    status, _, body = await _http(beamline, f"GET /api/runs/{one.uid}/revisions HTTP/1.1")
    assert (status, json.loads(body)) == (200, {"revisions": []})
    await beamline.publish(*one.at(5, 12), one.stop)
