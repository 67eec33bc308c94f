"""Frames of single points, as protocol.md has them: of runs that are over, that go on, and that were rewound."""

from __future__ import annotations

import asyncio
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
import pytest

from tests.helpers.documents import as_json
from tests.helpers.laboratory import Laboratory
from tests.helpers.plans import after_point, grid, until_over
from tests.helpers.rawfeed import RawClient, raw_client
from tests.helpers.scans import Scan, scan
from tests.integration.feed.conftest import Beamline
from tests.integration.recomputed import as_received
from tests.integration.watching import publish_values
from wpb_stream.client import frame

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


async def test_the_frame_of_a_point_comes_as_the_detector_wrote_it(client: RawClient, past: list[Scan]) -> None:
    for point in (0, 7, 11):
        found = await client.frame(run=past[0].uid, point=point)
        assert found.values.dtype == np.dtype("<u2")
        np.testing.assert_array_equal(found.values, past[0].frames[point])
        assert (found.header["name"], found.header["run"], found.header["version"]) == ("frame", past[0].uid, 1)


async def test_a_frame_is_made_smaller_by_the_means_of_blocks_until_it_fits(client: RawClient, past: list[Scan]) -> None:
    whole = past[1].frames[3]
    rows, columns = whole.shape
    assert (rows, columns) == (6, 4)
    fits = await client.frame(run=past[1].uid, point=3, max_size=[6, 4])
    np.testing.assert_array_equal(fits.values, whole)
    assert "full_shape" not in fits.header
    halves = await client.frame(run=past[1].uid, point=3, max_size=[4, 100])
    np.testing.assert_array_equal(halves.values, whole.reshape(3, 2, 2, 2).mean(axis=(1, 3), dtype=np.float64).astype(np.float32))
    assert halves.header["full_shape"] == [6, 4]
    narrow = await client.frame(run=past[1].uid, point=3, max_size=[100, 2])
    np.testing.assert_array_equal(narrow.values, halves.values)
    one = await client.frame(run=past[1].uid, point=3, max_size=[1, 1])
    np.testing.assert_array_equal(one.values, [[np.float32(whole.mean())]])


async def test_the_frame_of_a_running_scan_is_there_as_soon_as_its_row_and_any_data_key_may_be_named(beamline: Beamline) -> None:
    running = scan(beamline.folder, seed=21)
    await beamline.begin(running, points=5)
    async with raw_client(beamline.url) as client:
        np.testing.assert_array_equal((await client.frame(run=running.uid, point=4)).values, running.frames[4])
        assert (await client.frame(run="latest", point=4)).header["run"] == running.uid
        error = await client.answer("get_frame", run=running.uid, point=5)
        assert (error["code"], error["type"]) == ("frame_unavailable", "error")
        data_key = next(iter(running.head[1].doc["data_keys"]))
        np.testing.assert_array_equal((await client.frame(run=running.uid, point=4, data_key=data_key)).values, running.frames[4])
        await beamline.publish(*running.at(5, 12), running.stop)


async def test_of_a_point_that_was_measured_again_the_newest_frame_comes_whatever_the_order_of_its_documents(beamline: Beamline) -> None:
    lab = Laboratory(beamline.folder / "rewound")
    until_over(lab, grid(lab, per_step=after_point(6, bps.pause)))
    documents = as_received(lab.documents)
    uid = documents[0].uid
    backwards = [documents[0], *documents[:0:-1]]
    async with raw_client(beamline.url) as client:
        await publish_values(beamline.settings, [as_json(document.name, document.doc) for document in backwards])
        await client.send("subscribe", run="latest")
        await client.until("run_stopped", run=uid)
        shots = lab.films["camera"].shots
        assert len(shots) > 12
        newest = {(shot.at["y"], shot.at["x"]): shot.frame for shot in shots}
        places = list(dict.fromkeys((shot.at["y"], shot.at["x"]) for shot in shots))
        for point in range(12):
            for asked in ({}, {"data_key": "camera"}):  # from memory, and from the documents in the catalogue
                found = await client.frame(run=uid, point=point, **asked)
                np.testing.assert_array_equal(found.values, newest[places[point]])


async def test_the_frames_of_a_run_that_ended_anew_after_late_documents_are_those_of_all_its_documents(beamline: Beamline) -> None:
    late = scan(beamline.folder, seed=24)
    await beamline.begin(late, points=10)
    async with raw_client(beamline.url) as client:
        await client.send("subscribe", run=late.uid)
        await beamline.publish(late.stop)
        await client.until("run_stopped")
        assert (await client.answer("get_frame", run=late.uid, point=11, data_key="camera"))["code"] == "frame_unavailable"
        await beamline.publish(*late.at(10, 12))
        await client.until("run_stopped", rows=12)
        np.testing.assert_array_equal((await client.frame(run=late.uid, point=11, data_key="camera")).values, late.frames[11])


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"run": "nobody", "point": 0}, "unknown_run", "no run 'nobody'"),
        ({"point": 12}, "frame_unavailable", "no frame in a file for point 12"),
        ({"point": 0, "data_key": "ghost"}, "frame_unavailable", "no frame of 'ghost'"),
        ({"point": -1}, "bad_message", "point must be 0 or more"),
        ({"point": 0, "max_size": [0, 5]}, "bad_message", "max_size"),
        ({"point": 0, "max_size": 5}, "bad_message", "max_size"),
        ({"point": "first"}, "bad_message", "point"),
        ({}, "bad_message", "point"),
    ],
)
async def test_what_cannot_be_had_is_told(client: RawClient, past: list[Scan], asked: dict[str, Any], code: str, words: str) -> None:
    error = await client.answer("get_frame", **{"run": past[0].uid, **asked})
    assert (error["type"], error["code"]) == ("error", code)
    assert words in error["message"]


async def test_a_file_that_is_gone_is_told(beamline: Beamline, client: RawClient) -> None:
    gone = scan(beamline.folder, seed=22)
    await beamline.take(gone)
    gone.file.unlink()
    error = await client.answer("get_frame", run=gone.uid, point=0)
    assert error["code"] == "frame_unavailable"
    assert gone.file.name in error["message"]


async def test_many_frames_at_once_are_refused_rather_than_queued_and_rows_go_on(client: RawClient, past: list[Scan]) -> None:
    numbers = [await client.send("get_frame", run=past[2].uid, point=point % 12) for point in range(40)]
    subscribed = await client.send("subscribe", run=past[3].uid)
    answers: dict[int, str] = {}
    stopped = False
    while len(answers) < 40 or not stopped:
        message = await client.receive()
        header = message if isinstance(message, dict) else message.header
        if header["id"] in numbers:
            answers[header["id"]] = header.get("code", "frame")
        stopped |= header["type"] == "run_stopped" and header["id"] == subscribed
    assert set(answers.values()) == {"frame", "rate_limited"}
    assert list(answers.values()).count("frame") >= 4
    np.testing.assert_array_equal((await client.frame(run=past[2].uid, point=1)).values, past[2].frames[1])


async def test_the_python_client_gives_a_frame(beamline: Beamline, past: list[Scan]) -> None:
    async with asyncio.timeout(30):
        np.testing.assert_array_equal(await frame(beamline.url, past[0].uid, 2), past[0].frames[2])
        assert (await frame(beamline.url, past[0].uid, 2, max_size=(1, 1))).shape == (1, 1)


async def test_the_python_client_gives_a_frame_of_a_large_detector(beamline: Beamline) -> None:
    large = scan(beamline.folder, (1, 1), frames=np.full((1, 6000, 6000), 7, np.uint16))  # 72 MB
    await beamline.take(large)
    async with asyncio.timeout(60):
        assert (await frame(beamline.url, large.uid, 0)).shape == (6000, 6000)
