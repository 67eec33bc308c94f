"""What a subscription is told, in which order and layout, as protocol.md has it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from tests.helpers.rawfeed import Points, RawClient, joined, raw_client
from tests.helpers.scans import Scan, scan
from tests.integration.feed.conftest import CHANNELS, Beamline
from wpb_stream.settings import split_address

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


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
    assert {key: value for key, value in header.items() if key not in ("columns", "limits", "arrived")} == {
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
    monkeypatch.setattr("wpb_stream.feed.connection.SEND_TIMEOUT_S", 0.5)
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
