"""What the feed answers to what it does not understand, as protocol.md has it."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import ConnectionClosed

from tests.helpers.rawfeed import RawClient
from tests.helpers.scans import Scan, scan
from tests.integration.feed.conftest import Beamline

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(
    ("sent", "code", "number"),
    [
        ('{"type":"dance","id":3}', "unknown_type", 3),
        ('{"type":"reprocess","id":3,"run":"latest","recipe":[]}', "bad_message", 3),
        ('{"type":"reprocess","id":3,"run":"latest"}', "bad_message", 3),
        ('{"type":"reprocess","id":3,"run":"no such run","recipe":{}}', "unknown_run", 3),
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
        ('{"type":"list_runs","id":3,"scan_id":"7"}', "bad_message", 3),
        ('{"type":"list_runs","id":3,"text":"' + "x " * 101 + '"}', "bad_message", 3),
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
