"""What the process counts, as Prometheus reads it: after a scan it is that of the scan, to the last one."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.helpers.rawfeed import RawClient, raw_client
from tests.helpers.scans import scan
from tests.integration.feed.conftest import Beamline
from tests.integration.feed.test_http import _http
from wpb_stream.replay import Recorded

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def numbers(beamline: Beamline) -> Numbers:
    """By name and labels."""
    status, headers, body = await _http(beamline, "GET /metrics HTTP/1.1")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = text_string_to_metric_families(body.decode())
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples}


def grown(before: Numbers, after: Numbers) -> dict[str, float]:
    """How much more of each there is, if there is; without the buckets, the sums and what is told of the process in general."""
    assert before.keys() == after.keys(), "the same series, whatever came"
    more = {" ".join([name, *(value for _, value in labels)]): after[name, labels] - before[name, labels] for name, labels in after}
    return {name: by for name, by in more.items() if by and name.startswith("wpb_") and "_bucket" not in name and "_sum" not in name}


async def until(beamline: Beamline, before: Numbers, name: str, least: float) -> dict[str, float]:
    """How much more there is once there is that much more of one."""
    async with asyncio.timeout(30):
        while (more := grown(before, await numbers(beamline))).get(name, 0) < least:
            await asyncio.sleep(0.02)
    return more


def sizes(client: RawClient) -> list[int]:
    """Bytes of each message that is received from here on."""
    sizes, receive = list[int](), client.socket.recv

    async def counted() -> str | bytes:
        message = await receive()
        sizes.append(len(message.encode() if isinstance(message, str) else message))
        return message

    client.socket.recv = counted  # type: ignore[method-assign, assignment]
    return sizes


async def test_the_numbers_after_a_scan_are_those_of_the_scan(beamline: Beamline) -> None:
    one = scan(beamline.folder, seed=71).write()
    async with raw_client(beamline.url) as client, raw_client(beamline.url) as idle:
        assert idle.welcome
        before, received = await numbers(beamline), sizes(client)
        await client.send("subscribe", run="latest")
        await client.send("ping")
        await client.until("pong")
        await beamline.publish(*one.documents)
        await client.until("run_stopped", run=one.uid)
        after = await numbers(beamline)
    documents = {"start": 1, "descriptor": 1, "stream_resource": 1, "stream_datum": 12, "event": 12, "stop": 1}
    assert grown(before, after) == {
        **{f"wpb_documents_total {name}": count for name, count in documents.items()},
        "wpb_frames_read_total": 12,
        "wpb_rows_placed_total": 12,
        "wpb_runs_ended_total success": 1,
        "wpb_notices_total regions_guessed": 1,
        "wpb_subscriptions": 1,
        "wpb_sent_bytes_total": sum(received),
        "wpb_lag_seconds_count": 12,
    }
    assert after["wpb_clients", ()] == 2
    assert after["wpb_queue_messages", ()] == 0
    assert after["wpb_lag_seconds_bucket", (("le", "+Inf"),)] == after["wpb_lag_seconds_count", ()]
    assert after["wpb_lag_seconds_sum", ()] > before["wpb_lag_seconds_sum", ()]


async def test_rows_that_nobody_waited_for_have_no_lag_and_a_second_client_counts_none_again(beamline: Beamline) -> None:
    one = scan(beamline.folder, seed=72).write()
    before = await numbers(beamline)
    await beamline.publish(*one.head, *one.at(0, 5))
    await until(beamline, before, "wpb_rows_placed_total", 5)
    before = await numbers(beamline)
    async with raw_client(beamline.url) as client, raw_client(beamline.url) as other:
        for each in (client, other):
            await each.send("subscribe", run=one.uid)
            await each.rows(5)
        assert grown(before, await numbers(beamline)).keys() == {"wpb_clients", "wpb_subscriptions", "wpb_sent_bytes_total"}
        assert (await numbers(beamline))["wpb_runs_running", ()] == 1
        await beamline.publish(*one.at(5, 12), one.stop)
        for each in (client, other):
            await each.until("run_stopped")
    after = await numbers(beamline)
    assert grown(before, after)["wpb_lag_seconds_count"] == 7
    assert after["wpb_runs_running", ()] == 0


async def test_late_frames_and_what_cannot_be_read_are_counted(beamline: Beamline) -> None:
    one = scan(beamline.folder, seed=73)
    before = await numbers(beamline)
    broken = Recorded("event", {"no": "event"})
    await beamline.publish(*one.documents[:-1], broken)
    late = await until(beamline, before, "wpb_frame_retries_total", 12)
    assert late["wpb_dead_letters_total"] == 1
    assert "wpb_rows_placed_total" not in late
    async with raw_client(beamline.url) as client:
        await client.send("subscribe", run=one.uid)
        one.write()
        await beamline.publish(one.stop)
        await client.until("run_stopped")
    assert grown(before, await numbers(beamline))["wpb_rows_placed_total"] == 12


async def test_what_is_gone_is_no_client_any_more(beamline: Beamline) -> None:
    before = await numbers(beamline)
    async with raw_client(beamline.url) as client:
        await client.send("subscribe", run="nobody")
        await client.until("error")
        assert grown(before, await numbers(beamline)).keys() == {"wpb_clients", "wpb_sent_bytes_total", "wpb_errors_total unknown_run"}
    async with asyncio.timeout(30):
        while (await numbers(beamline))["wpb_clients", ()] != before["wpb_clients", ()]:
            await asyncio.sleep(0.02)
