"""The feed keeps what protocol.md promises, to a client that shares no code with it. Each test quotes that page by its name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.helpers.rawfeed import Points, RawClient, joined, raw_client
from tests.helpers.scans import Scan, random_frames, scan
from tests.integration.conftest import StreamingProcess, feed_url, streaming_here, until_serving
from wpb_stream.embedded.broker import EmbeddedBroker, create_topic
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.host import free_port
from wpb_stream.replay import publish
from wpb_stream.settings import Settings, load, split_address

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

CHANNELS = ["red", "green", "blue", "total"]
MORNING = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def module_settings(
    tmp_path_factory: pytest.TempPathFactory, postgres_cluster: EmbeddedPostgres, broker: tuple[EmbeddedBroker, asyncio.AbstractEventLoop]
) -> Iterator[Settings]:
    """Settings of the one streaming process that most tests here share; runs get new uids, so they do not disturb each other."""
    folder = tmp_path_factory.mktemp("feed")
    asyncio.run_coroutine_threadsafe(create_topic(broker[0].address, "test-feed"), broker[1]).result()
    with psycopg.connect(postgres_cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE test_feed"))
        yield load(
            sources=f"kafka://{broker[0].address}/test-feed",
            database_url=postgres_cluster.url("test_feed"),
            data=folder / "data",
            data_roots=str(folder),
            listen=f"127.0.0.1:{free_port('127.0.0.1', 0)}",
            frame_deadline_s=2.0,
            window_frames=2048,
        )
        connection.execute(sql.SQL("DROP DATABASE test_feed WITH (FORCE)"))


@dataclass(frozen=True)
class Beamline:
    """A streaming process that serves, and the bus it listens to."""

    settings: Settings

    @property
    def url(self) -> str:
        return feed_url(self.settings)

    @property
    def folder(self) -> Path:
        return self.settings.data_roots[0]

    async def publish(self, *documents: Any) -> None:
        await publish(documents, self.settings.sources[0], speed=0)

    async def begin(self, one: Scan, points: int = 0) -> None:
        """Publish a scan's beginning and wait until it is the latest run, with that many rows."""
        one.write()
        async with raw_client(self.url) as client:
            await self.publish(*one.head, *one.at(0, points))
            await client.send("subscribe", run="latest")
            while (await client.until("run"))[-1]["run"]["uid"] != one.uid:
                pass
            if points:
                await client.rows(points)

    async def take(self, *scans: Scan) -> None:
        """Publish whole scans one after another and wait until each has ended."""
        for one in scans:
            one.write()
            async with raw_client(self.url) as client:
                await self.publish(*one.documents)
                await client.send("subscribe", run="latest")
                await client.until("run_stopped", run=one.uid)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def beamline(module_settings: Settings) -> AsyncIterator[Beamline]:
    async with streaming_here(module_settings):
        yield Beamline(module_settings)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def past(beamline: Beamline) -> list[Scan]:
    """Four finished runs, oldest first, an hour apart."""
    times = [(MORNING + timedelta(hours=hours)).timestamp() for hours in range(4)]
    scans = [
        scan(beamline.folder, seed=1, time=times[0]),
        scan(beamline.folder, seed=2, time=times[1], exit_status="abort", reason="the beam was lost"),
        scan(beamline.folder, seed=3, time=times[2], plan_name="fly"),
        scan(beamline.folder, seed=4, time=times[3], plan_name="fly"),
    ]
    await beamline.take(*scans)
    return scans


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def large(beamline: Beamline) -> Scan:
    """A finished run of 40,000 points: 1.6 MB of rows."""
    one = scan(beamline.folder, (200, 200), frames=random_frames(40_000, 31, columns=1), points_per_datum=40_000)
    await beamline.take(one)
    return one


@pytest_asyncio.fixture(loop_scope="module")
async def client(beamline: Beamline, past: list[Scan]) -> AsyncIterator[RawClient]:
    """A connection to a server that knows some runs."""
    async with raw_client(beamline.url) as connected:
        yield connected


# --- connecting -----------------------------------------------------------------------------------------------------


async def test_the_first_message_is_a_welcome_that_names_protocol_time_and_latest_run(client: RawClient, past: list[Scan]) -> None:
    welcome = client.welcome
    assert welcome["type"] == "welcome"
    assert welcome["protocol"] == "wpb.v1"
    assert abs(datetime.fromisoformat(welcome["time"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert isinstance(welcome["latest"], str)
    assert welcome["session"]
    assert welcome["server"]


async def test_the_subprotocol_is_echoed_to_a_client_that_offers_it(client: RawClient) -> None:
    assert client.socket.subprotocol == "wpb.v1"


async def test_a_client_that_offers_no_subprotocol_is_served_all_the_same(beamline: Beamline) -> None:
    async with raw_client(beamline.url, subprotocols=None) as client:
        assert client.socket.subprotocol is None
        assert client.welcome["protocol"] == "wpb.v1"


async def test_the_subprotocol_is_picked_out_of_several(beamline: Beamline) -> None:
    async with raw_client(beamline.url, subprotocols=[Subprotocol("wpb.v9"), Subprotocol("wpb.v1")]) as client:
        assert client.socket.subprotocol == "wpb.v1"


async def test_a_client_that_offers_only_other_subprotocols_is_refused_with_http_400(beamline: Beamline) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(beamline.url, subprotocols=[Subprotocol("wpb.v9")]):
            pass
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_page_of_another_origin_is_refused_with_http_403_before_the_upgrade(beamline: Beamline, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(beamline.url, additional_headers={"Origin": origin}):
            pass
    assert refused.value.response.status_code == 403
    assert "upgrade" not in refused.value.response.headers.get("Connection", "").lower()


async def test_a_page_of_the_servers_own_origin_is_let_in(beamline: Beamline) -> None:
    async with raw_client(beamline.url, additional_headers={"Origin": f"http://{beamline.settings.listen}"}) as client:
        assert client.welcome["type"] == "welcome"


# --- what is not understood -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "code", "number"),
    [
        ('{"type":"dance","id":3}', "unknown_type", 3),
        ('{"type":"get_frame","id":3,"run":"latest","point":0}', "unknown_type", 3),
        ('{"type":"ping"', "bad_message", None),
        ("", "bad_message", None),
        ("[1]", "bad_message", None),
        ("null", "bad_message", None),
        ('"ping"', "bad_message", None),
        ("[" * 10_000, "bad_message", None),
        (b'{"type":"ping","id":3}', "bad_message", None),
        ('{"type":"ping"}', "bad_message", None),
        ('{"type":"subscribe","run":"latest"}', "bad_message", None),
        ('{"type":"ping","id":"three"}', "bad_message", None),
        ('{"type":"ping","id":true}', "bad_message", None),
        ('{"id":3}', "bad_message", 3),
        ('{"type":7,"id":3}', "bad_message", 3),
        ('{"type":"subscribe","id":3}', "bad_message", 3),
        ('{"type":"subscribe","id":3,"run":7}', "bad_message", 3),
        ('{"type":"subscribe","id":3,"run":"latest","from_row":-1}', "bad_message", 3),
        ('{"type":"subscribe","id":3,"run":"latest","max_rate":0}', "bad_message", 3),
        ('{"type":"subscribe","id":3,"run":"latest","max_rate":61}', "bad_message", 3),
        ('{"type":"subscribe","id":3,"run":"latest","channels":"red"}', "bad_message", 3),
        ('{"type":"list_runs","id":3,"limit":0}', "bad_message", 3),
        ('{"type":"list_runs","id":3,"limit":501}', "bad_message", 3),
        ('{"type":"list_runs","id":3,"before":"yesterday"}', "bad_message", 3),
        ('{"type":"list_runs","id":3,"before":"99999999999999999999"}', "bad_message", 3),
        ('{"type":"list_runs","id":3,"since":"yesterday"}', "bad_message", 3),
        ('{"type":"subscribe","id":3,"run":"no such run"}', "unknown_run", 3),
        ('{"type":"subscribe","id":3,"run":""}', "unknown_run", 3),
        ('{"type":"subscribe","id":3,"run":"../../etc/passwd"}', "unknown_run", 3),
        ('{"type":"subscribe","id":3,"run":"a\\u0000b"}', "bad_message", 3),
        ('{"type":"list_runs","id":3,"plan_name":"a\\u0000b"}', "bad_message", 3),
        ('{"type":"subscribe","id":3,"run":"\\ud800"}', "bad_message", None),
        ('{"type":"ping","id":1180591620717411303424}', "bad_message", None),
    ],
)
async def test_what_is_not_understood_is_answered_with_its_error_code_and_the_connection_stays(
    client: RawClient, sent: str | bytes, code: str, number: int | None
) -> None:
    await client.socket.send(sent)
    error = await client.receive()
    assert isinstance(error, dict)
    assert (error["type"], error["code"], error["id"]) == ("error", code, number)
    assert error["message"].endswith(".")
    assert (await client.answer("ping", id=4))["type"] == "pong"


async def test_a_revision_that_no_run_can_have_had_is_unknown(client: RawClient, past: list[Scan]) -> None:
    answer = await client.answer("subscribe", run=past[0].uid, revision="2f1e", from_row=0)
    assert (answer["type"], answer["code"]) == ("error", "unknown_revision")
    assert past[0].uid in answer["message"]


async def test_an_unknown_channel_is_refused_by_name_and_says_which_there_are(client: RawClient, past: list[Scan]) -> None:
    answer = await client.answer("subscribe", run=past[0].uid, channels=["red", "infrared"])
    assert (answer["type"], answer["code"]) == ("error", "unknown_channel")
    assert "infrared" in answer["message"]
    assert "red, green, blue, total" in answer["message"]


async def test_rows_that_do_not_exist_cannot_be_resumed_from(client: RawClient, past: list[Scan]) -> None:
    answer = await client.answer("subscribe", run=past[0].uid, revision="live", from_row=1000)
    assert (answer["type"], answer["code"]) == ("error", "bad_message")


async def test_the_id_of_a_subscription_that_was_refused_can_be_used_again(client: RawClient, past: list[Scan]) -> None:
    assert (await client.answer("subscribe", id=8, run="no such run"))["type"] == "error"
    assert (await client.answer("subscribe", id=8, run=past[0].uid))["type"] == "run"


async def test_an_id_that_is_in_use_is_refused_and_the_subscription_that_has_it_goes_on(client: RawClient, beamline: Beamline) -> None:
    running = scan(beamline.folder, seed=20)
    await beamline.begin(running)
    await client.send("subscribe", id=8, run="latest")
    await client.until("run", id=8)
    await client.send("subscribe", id=8, run="latest")
    assert (await client.until("error", id=8))[-1]["code"] == "bad_message"
    await beamline.publish(*running.at(0, 12), running.stop)
    assert (await client.until("run_stopped", id=8))[-1]["rows"] == 12


async def test_too_many_subscriptions_are_refused_one_by_one(client: RawClient, past: list[Scan]) -> None:
    for number in range(1, 130):
        await client.send("subscribe", id=number, run=past[0].uid)
    errors = [message for message in await client.until("error") if isinstance(message, dict) and message["type"] == "error"]
    assert [(error["id"], error["code"]) for error in errors] == [(129, "too_many_subscriptions")]


async def test_unknown_fields_are_ignored(client: RawClient) -> None:
    assert (await client.answer("ping", colour="green", nested={"id": 5}))["type"] == "pong"


async def test_a_message_over_the_size_limit_closes_the_connection_with_1009(client: RawClient) -> None:
    await client.socket.send(json.dumps({"type": "ping", "id": 1, "padding": "x" * 2**17}))
    with pytest.raises(ConnectionClosed) as closed:
        await client.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


# --- requests -------------------------------------------------------------------------------------------------------


async def test_ping_is_answered_by_a_pong_with_the_servers_time(client: RawClient) -> None:
    pong = await client.answer("ping", id=41)
    assert (pong["type"], pong["id"]) == ("pong", 41)
    assert datetime.fromisoformat(pong["time"]).tzinfo is not None


async def test_list_runs_gives_run_objects_newest_first(client: RawClient, past: list[Scan]) -> None:
    until = (MORNING + timedelta(hours=9)).isoformat()
    answer = await client.answer("list_runs", id=5, until=until)
    assert (answer["type"], answer["id"], answer["before"]) == ("runs", 5, None)
    assert [run["uid"] for run in answer["runs"]] == [one.uid for one in reversed(past)]
    run = answer["runs"][-1]
    assert {key: run[key] for key in ("scan_id", "plan_name", "status", "shape", "points_expected", "rows", "arrays", "recipe")} == {
        "scan_id": 7,
        "plan_name": "grid_scan",
        "status": "success",
        "shape": [3, 4],
        "points_expected": 12,
        "rows": 12,
        "arrays": [],
        "recipe": "raster",
    }
    assert datetime.fromisoformat(run["started"]) == MORNING
    assert datetime.fromisoformat(run["stopped"]) > MORNING
    assert run["axes"] == [
        {"name": "stage-y", "units": "mm", "start": 0.0, "stop": 2.0, "snaking": False},
        {"name": "stage-x", "units": "mm", "start": 0.0, "stop": 3.0, "snaking": True},
    ]
    assert [(channel["name"], channel["colour"]) for channel in run["channels"]] == [
        ("red", "red"),
        ("green", "green"),
        ("blue", "blue"),
        ("total", None),
    ]
    assert run["channels"][1]["region"] == {"rows": [2, 4], "columns": [0, 4]}
    assert run["metadata"]["uid"] == past[0].uid


async def test_list_runs_is_paged_by_the_cursor_of_the_last_answer_without_gap_or_repetition(client: RawClient, past: list[Scan]) -> None:
    until = (MORNING + timedelta(hours=9)).isoformat()
    seen: list[str] = []
    before = None
    for _ in range(5):
        page = await client.answer("list_runs", limit=3, until=until, before=before)
        seen += [run["uid"] for run in page["runs"]]
        before = page["before"]
        if before is None:
            break
    assert seen == [one.uid for one in reversed(past)]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"plan_name": "fly"}, [3, 2]),
        ({"plan_name": "grid_scan"}, [1, 0]),
        ({"plan_name": "no such plan"}, []),
        ({"status": "abort"}, [1]),
        ({"status": "success", "plan_name": "grid_scan"}, [0]),
        ({"since": "2026-03-01T11:00:00Z"}, [3, 2]),
        ({"until": "2026-03-01T11:00:00Z"}, [1, 0]),
        ({"since": "2026-03-01T11:00:00+01:00", "until": "2026-03-01T12:00:00+01:00"}, [1]),
        ({"since": "2026-03-01T11:00:00"}, [3, 2]),
    ],
)
async def test_list_runs_gives_only_the_runs_that_meet_every_condition(
    client: RawClient, past: list[Scan], conditions: dict[str, str], expected: list[int]
) -> None:
    bounded = {"until": (MORNING + timedelta(hours=9)).isoformat()} | conditions
    answer = await client.answer("list_runs", **bounded)
    assert [run["uid"] for run in answer["runs"]] == [past[index].uid for index in expected]


# --- subscriptions --------------------------------------------------------------------------------------------------


async def test_a_finished_run_is_told_as_run_then_all_rows_then_run_stopped(client: RawClient, past: list[Scan]) -> None:
    number = await client.send("subscribe", run=past[1].uid)
    messages = await client.until("run_stopped")
    run, stopped = messages[0], messages[-1]
    assert (run["type"], run["id"], run["revision"], run["from_row"], run["run"]["uid"]) == ("run", number, "live", 0, past[1].uid)
    assert stopped == {
        "type": "run_stopped",
        "id": number,
        "run": past[1].uid,
        "exit_status": "abort",
        "reason": "the beam was lost",
        "rows": 12,
    }
    points = joined(messages, "point")
    assert sorted(points) == list(range(12))
    np.testing.assert_array_equal(joined(messages, "cell"), [past[1].cell(int(point)) for point in points])
    for channel in CHANNELS:
        np.testing.assert_array_equal(joined(messages, channel), past[1].values(channel)[points])
    assert isinstance(messages[-2], Points), "the last row comes right before run_stopped"


async def test_a_large_table_comes_in_messages_below_1_mib_and_run_stopped_after_the_last_of_them(client: RawClient, large: Scan) -> None:
    await client.send("subscribe", run=large.uid)
    messages = await client.until("run_stopped")
    slices = [message for message in messages if isinstance(message, Points)]
    assert len(slices) > 1
    assert max(piece.rows for piece in slices) * 40 < 2**20
    points = joined(messages, "point")
    assert sorted(points) == list(range(40_000))
    np.testing.assert_array_equal(joined(messages, "total"), large.values("total")[points])


async def test_the_binary_layout_is_the_one_of_the_page(client: RawClient, past: list[Scan]) -> None:
    number = await client.send("subscribe", run=past[0].uid, channels=["total", "red"], revision="live", from_row=7)
    await client.until("run")
    data = await client.socket.recv()
    while isinstance(data, str):
        data = await client.socket.recv()
    length = int.from_bytes(data[:4], "little")
    text = data[4 : 4 + length]
    header = json.loads(text)
    assert (4 + length) % 8 == 0
    assert text == text.rstrip(b" ") + b" " * (length - len(text.rstrip(b" ")))
    assert {key: value for key, value in header.items() if key != "columns"} == {
        "type": "points",
        "id": number,
        "run": past[0].uid,
        "revision": "live",
        "first_row": 7,
        "rows": 5,
        "points_expected": 12,
    }
    assert header["columns"] == [  # 5 rows of 4 bytes are padded to 24, of 8 bytes fill 40
        {"name": "point", "dtype": "<u4", "offset": 0},
        {"name": "cell", "dtype": "<u4", "offset": 24},
        {"name": "red", "dtype": "<f8", "offset": 48},
        {"name": "total", "dtype": "<f8", "offset": 88},
    ]
    assert len(data) == 4 + length + 128


async def test_only_the_channels_asked_for_are_sent(client: RawClient, past: list[Scan]) -> None:
    await client.send("subscribe", run=past[0].uid, channels=["blue"])
    messages = await client.until("run_stopped")
    assert [list(message.columns) for message in messages if isinstance(message, Points)] == [["point", "cell", "blue"]]
    assert [channel["name"] for channel in messages[0]["run"]["channels"]] == CHANNELS, "the run object tells them all"


async def test_a_client_that_resumes_on_another_connection_gets_exactly_the_rest(beamline: Beamline, past: list[Scan]) -> None:
    running = scan(beamline.folder, seed=21)
    await beamline.begin(running, 5)
    async with raw_client(beamline.url) as first:
        await first.send("subscribe", run="latest")
        before = await first.rows(5)
    revision = before[-1].header["revision"]
    async with raw_client(beamline.url) as second:
        await second.send("subscribe", run=running.uid, revision=revision, from_row=5)
        resumed = (await second.until("run"))[-1]
        assert (resumed["revision"], resumed["from_row"]) == (revision, 5)
        await beamline.publish(*running.at(5, 12), running.stop)
        after = await second.until("run_stopped")
    both = [*before, *after]
    assert len(joined(both, "point")) == 12
    for channel in CHANNELS:
        np.testing.assert_array_equal(joined(both, channel), running.values(channel)[joined(both, "point")])


async def test_a_client_that_holds_all_rows_resumes_to_be_told_only_that_the_run_stopped(client: RawClient, past: list[Scan]) -> None:
    await client.send("subscribe", run=past[0].uid, revision="live", from_row=12)
    messages = await client.until("run_stopped")
    assert messages[0]["from_row"] == 12
    assert not [message for message in messages if isinstance(message, Points)]


@pytest.mark.parametrize("which", ["running", "finished"])
async def test_a_revision_that_is_gone_is_answered_by_revised_and_rows_from_0(beamline: Beamline, past: list[Scan], which: str) -> None:
    wanted = past[0]
    if which == "running":
        wanted = scan(beamline.folder, seed=22)
        await beamline.begin(wanted, 12)
    async with raw_client(beamline.url) as client:
        number = await client.send("subscribe", run=wanted.uid, revision="live.7", from_row=9)
        if which == "running":
            await beamline.publish(wanted.stop)
        messages = [message for message in await client.until("run_stopped", id=number) if _subscription(message) == number]
    assert messages[0]["type"] == "revised"
    assert (messages[0]["run"], messages[0]["revision"], messages[0]["produced_by"]) == (wanted.uid, "live", "wpb stream")
    assert joined(messages, "point").size == 12
    assert next(message for message in messages if isinstance(message, Points)).first == 0


async def test_two_subscriptions_on_one_connection_are_told_apart_by_their_ids(client: RawClient, past: list[Scan]) -> None:
    one, other = await client.send("subscribe", run=past[0].uid), await client.send("subscribe", run=past[1].uid, channels=["red"])
    messages: dict[int, list[Any]] = {one: [], other: []}
    stopped: set[int] = set()
    while stopped != {one, other}:
        message = await client.receive()
        messages[_subscription(message)].append(message)
        if isinstance(message, dict) and message["type"] == "run_stopped":
            stopped.add(message["id"])
    for number, of in ((one, past[0]), (other, past[1])):
        assert messages[number][0]["run"]["uid"] == of.uid
        np.testing.assert_array_equal(joined(messages[number], "red"), of.values("red")[joined(messages[number], "point")])


async def test_nothing_of_a_subscription_comes_after_unsubscribed(client: RawClient, beamline: Beamline) -> None:
    running = scan(beamline.folder, seed=23)
    await beamline.begin(running, 4)
    ended, kept = await client.send("subscribe", run="latest"), await client.send("subscribe", run="latest")
    await client.until("run", id=kept)
    await client.send("unsubscribe", id=ended)
    await client.until("unsubscribed", id=ended)
    await beamline.publish(*running.at(4, 12), running.stop)
    messages = await client.until("run_stopped")
    assert {_subscription(message) for message in messages} == {kept}


async def test_unsubscribing_what_was_never_subscribed_is_answered_all_the_same(client: RawClient) -> None:
    assert (await client.answer("unsubscribe", id=77))["type"] == "unsubscribed"


async def test_latest_moves_to_a_newer_run_with_a_new_run_message_and_row_0(client: RawClient, beamline: Beamline) -> None:
    older, newer = scan(beamline.folder, seed=24), scan(beamline.folder, seed=25).write()
    await beamline.take(older)
    number = await client.send("subscribe", run="latest")
    await client.until("run_stopped", run=older.uid)
    await beamline.publish(newer.documents[0])  # its start alone: nothing else may come for minutes
    moved = await client.receive()
    assert isinstance(moved, dict)
    assert (moved["type"], moved["id"], moved["run"]["uid"], moved["from_row"]) == ("run", number, newer.uid, 0)
    await beamline.publish(*newer.documents[1:])
    messages = await client.until("run_stopped", run=newer.uid)
    np.testing.assert_array_equal(joined(messages, "total"), newer.values("total")[joined(messages, "point")])


async def test_latest_moves_on_though_the_older_run_stopped_and_the_newer_began_between_two_updates(
    client: RawClient, beamline: Beamline
) -> None:
    older, newer = scan(beamline.folder, seed=33), scan(beamline.folder, seed=34).write()
    await beamline.begin(older, 12)
    await client.send("subscribe", run="latest", max_rate=1)
    await client.rows(12)
    async with raw_client(beamline.url) as quick:
        await quick.send("subscribe", run="latest", max_rate=60)
        await beamline.publish(older.stop)
        await quick.until("run_stopped", run=older.uid)
        await beamline.publish(newer.documents[0])
        while (await quick.until("run"))[-1]["run"]["uid"] != newer.uid:
            pass
    messages = await client.until("run")
    assert [message["type"] for message in messages if message["type"] != "notice"] == ["run_stopped", "run"]
    assert messages[-1]["run"]["uid"] == newer.uid
    await beamline.publish(*newer.documents[1:])


async def test_latest_moves_on_at_once_though_the_older_run_never_stopped(client: RawClient, beamline: Beamline) -> None:
    older, newer = scan(beamline.folder, seed=26), scan(beamline.folder, seed=27).write()
    await beamline.begin(older, 3)
    await client.send("subscribe", run="latest")
    await client.rows(3)
    await beamline.publish(*newer.documents)
    messages = await client.until("run_stopped")
    assert messages[-1]["run"] == newer.uid
    assert joined(messages, "point").size == 12
    await beamline.publish(*older.at(3, 12), older.stop)


async def test_a_subscription_to_one_run_stays_with_it_when_newer_runs_start(client: RawClient, beamline: Beamline) -> None:
    older, newer = scan(beamline.folder, seed=28), scan(beamline.folder, seed=29).write()
    await beamline.begin(older, 3)
    pinned = await client.send("subscribe", run=older.uid)
    await client.until("run", id=pinned)
    await beamline.publish(*newer.documents, *older.at(3, 12), older.stop)
    messages = [message for message in await client.until("run_stopped", id=pinned) if _subscription(message) == pinned]
    assert messages[-1]["run"] == older.uid
    assert {message.header["run"] for message in messages if isinstance(message, Points)} == {older.uid}


async def test_units_that_come_with_the_descriptor_are_told_in_a_second_run_message(client: RawClient, beamline: Beamline) -> None:
    running = scan(beamline.folder, seed=30).write()
    await beamline.publish(running.documents[0])
    await client.send("subscribe", run="latest")
    first = (await client.until("run"))[-1]
    while first["run"]["uid"] != running.uid:
        first = (await client.until("run"))[-1]
    assert [axis["units"] for axis in first["run"]["axes"]] == [None, None]
    await beamline.publish(*running.documents[1:])
    messages = await client.until("run_stopped", run=running.uid)
    told = [message for message in messages if isinstance(message, dict) and message["type"] == "run"]
    assert [axis["units"] for axis in told[0]["run"]["axes"]] == ["mm", "mm"]
    assert told[-1]["run"]["channels"][0]["region"] == {"rows": [0, 2], "columns": [0, 4]}


async def test_a_client_that_reads_nothing_is_cut_off_and_delays_nobody(
    beamline: Beamline, large: Scan, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wpb_stream.feed.server.SEND_TIMEOUT_S", 0.5)
    cut_off = asyncio.Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "takes nothing" in record.msg:
                cut_off.set()

    logger, watch = logging.getLogger("wpb_stream.feed.server"), Watch()
    logger.addHandler(watch)
    caplog.set_level(logging.INFO, logger="wpb_stream.feed.server")
    try:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await asyncio.get_running_loop().sock_connect(deaf, split_address(beamline.settings.listen))
            async with raw_client(beamline.url, sock=deaf) as stalled, raw_client(beamline.url) as other:
                stalled.socket.transport.pause_reading()
                for _ in range(20):  # 1.6 MB each: more than the kernel's buffers between the two can hold
                    await stalled.send("subscribe", run=large.uid)
                running = scan(beamline.folder, seed=32)
                await beamline.begin(running, 4)
                await other.send("subscribe", run=running.uid)
                await beamline.publish(*running.at(4, 12), running.stop)
                assert joined(await other.until("run_stopped", run=running.uid), "point").size == 12
                async with asyncio.timeout(30):
                    await cut_off.wait()
                assert (await other.answer("ping"))["type"] == "pong"
                stalled.socket.transport.resume_reading()
                received = 0
                with contextlib.suppress(ConnectionClosed):
                    while received < 20 * large.points:
                        message = await stalled.receive()
                        received += message.rows if isinstance(message, Points) else 0
                assert received < 20 * large.points
                assert stalled.socket.close_code == 1006, "cut off: no close frame could reach it"
    finally:
        logger.removeHandler(watch)


def _subscription(message: dict[str, Any] | Points) -> int:
    return message.header["id"] if isinstance(message, Points) else message["id"]


# --- HTTP -----------------------------------------------------------------------------------------------------------


async def _http(beamline: Beamline, request: str) -> tuple[int, dict[str, str], bytes]:
    """One request over a bare socket: status, headers in small letters, body."""
    host, port = split_address(beamline.settings.listen)
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"{request}\r\nHost: {beamline.settings.listen}\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(30):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


async def test_the_viewer_is_served_at_the_root_under_a_policy_that_lets_nothing_else_in(beamline: Beamline) -> None:
    status, headers, body = await _http(beamline, "GET / HTTP/1.1")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert int(headers["content-length"]) == len(body)
    assert b"<!doctype html>" in body
    policy = {name: value for name, _, value in (part.strip().partition(" ") for part in headers["content-security-policy"].split(";"))}
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_every_file_the_viewer_names_is_there_with_its_type(beamline: Beamline) -> None:
    for path, kind in {
        "/app.js": "text/javascript",
        "/style.css": "text/css",
        "/favicon.svg": "image/svg+xml",
        "/?run=abc": "text/html",
    }.items():
        status, headers, _ = await _http(beamline, f"GET {path} HTTP/1.1")
        assert (status, headers["content-type"].split(";")[0]) == (200, kind)


async def test_health_is_answered(beamline: Beamline) -> None:
    status, _, body = await _http(beamline, "GET /healthz HTTP/1.1")
    assert (status, body) == (200, b"ok\n")


async def test_head_is_answered_without_a_body(beamline: Beamline) -> None:
    status, headers, body = await _http(beamline, "HEAD / HTTP/1.1")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/../pipeline.py",
        "/%2e%2e/server.py",
        "/server.py",
        "/ws",
        "/api/runs/..%2F..%2Fx/preview.png",
        "/api/runs/none/preview.png",
    ],
)
async def test_what_is_not_there_is_answered_with_404(beamline: Beamline, path: str) -> None:
    status, headers, _ = await _http(beamline, f"GET {path} HTTP/1.1")
    assert status == 404
    assert "content-security-policy" in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_other_methods_are_answered_with_405(beamline: Beamline, method: str) -> None:
    status, headers, _ = await _http(beamline, f"{method} / HTTP/1.1")
    assert status == 405
    assert headers["allow"] == "GET, HEAD"


# --- a server's beginning and end -----------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="function")
async def test_who_subscribes_to_latest_before_there_is_any_run_is_told_of_the_first(settings: Settings, streaming, tmp_path: Path) -> None:
    first = scan(tmp_path / "frames").write()
    async with streaming(settings), raw_client(feed_url(settings)) as client:
        assert client.welcome["latest"] is None
        await client.send("subscribe", run="latest")
        assert (await client.answer("ping"))["type"] == "pong"
        await publish(first.documents, settings.sources[0], speed=0)
        messages = await client.until("run_stopped")
    assert messages[0]["run"]["uid"] == first.uid
    np.testing.assert_array_equal(joined(messages, "total"), first.values("total")[joined(messages, "point")])


@pytest.mark.asyncio(loop_scope="function")
async def test_a_server_that_stops_sends_its_clients_away_with_1012(settings: Settings, streaming_process: StreamingProcess) -> None:
    await streaming_process.serve()
    async with raw_client(feed_url(settings)) as client:
        await client.send("subscribe", run="latest")
        await streaming_process.stop()
        with pytest.raises(ConnectionClosed) as closed:
            await client.receive()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


@pytest.mark.asyncio(loop_scope="function")
async def test_nobody_is_served_before_unfinished_runs_are_taken_up_again_and_then_all_their_rows_come(
    settings: Settings, streaming_process: StreamingProcess, tmp_path: Path
) -> None:
    running = scan(tmp_path / "frames").write()
    await streaming_process.serve()
    async with raw_client(feed_url(settings)) as client:
        await publish([*running.head, *running.at(0, 5)], settings.sources[0], speed=0)
        await client.send("subscribe", run="latest")
        await client.rows(5)
    await streaming_process.kill()
    async with await psycopg.AsyncConnection.connect(settings.database_url or "") as pause:
        await pause.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")  # the new process waits for its documents here
        await streaming_process.start()
        await _until_somebody_waits(settings)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*settings.listen.split(":"))
    await until_serving(settings)
    async with raw_client(feed_url(settings)) as client:
        await client.send("subscribe", run="latest", revision="live", from_row=5)
        assert [message["type"] for message in await client.until("run")] == ["revised", "run"]
        slices = await client.rows(5)
    assert {piece.header["revision"] for piece in slices} == {"live.2"}
    np.testing.assert_array_equal(joined(slices, "total"), running.values("total")[:5][joined(slices, "point")])


async def _until_somebody_waits(settings: Settings) -> None:
    """Wait until a session of the database waits for a lock."""
    async with await psycopg.AsyncConnection.connect(settings.database_url or "", autocommit=True) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        while await (await connection.execute(query)).fetchone() == (0,):
            await asyncio.sleep(0.02)


@pytest.mark.asyncio(loop_scope="function")
async def test_a_run_whose_rows_were_deleted_is_answered_with_an_error_and_the_connection_stays(
    settings: Settings, streaming, tmp_path: Path
) -> None:
    finished = scan(tmp_path / "frames").write()
    async with streaming(settings), raw_client(feed_url(settings)) as client:
        await publish(finished.documents, settings.sources[0], speed=0)
        await client.send("subscribe", run="latest")
        await client.until("run_stopped")
    for file in settings.results.rglob("*.npy"):
        file.unlink()
    async with streaming(settings), raw_client(feed_url(settings)) as client:
        assert client.welcome["latest"] == finished.uid
        answer = await client.answer("subscribe", run=finished.uid)
        assert (answer["type"], answer["code"]) == ("error", "internal")
        assert finished.uid in answer["message"]
        assert (await client.answer("ping"))["type"] == "pong"
