"""Runs over plain HTTP: their list, one of them, and its maps as files that others read."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import h5py
import msgspec
import numpy as np
import pytest
from PIL import Image

from tests.helpers.described import PUBLISHED, assert_described
from tests.helpers.scans import Scan, scan
from tests.integration.feed.conftest import CHANNELS, Beamline
from tests.integration.feed.test_http import _http
from wpb_stream.feed.answers import RunAnswer
from wpb_stream.pictures import GAP, PANEL, draw

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


async def got(beamline: Beamline, path: str) -> tuple[int, dict[str, str], bytes]:
    """As published, whatever is asked for."""
    status, headers, body = await _http(beamline, f"GET {path} HTTP/1.1")
    assert_described(path, status, headers, body)
    return status, headers, body


async def test_runs_are_listed_in_pages_and_by_what_is_asked_for(beamline: Beamline, past: list[Scan]) -> None:
    status, headers, body = await got(beamline, "/api/runs?plan_name=fly&until=2026-03-01T18:00:00Z&limit=1")
    first = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert [run["uid"] for run in first["runs"]] == [past[3].uid]
    _, _, body = await got(beamline, f"/api/runs?plan_name=fly&until=2026-03-01T18:00:00Z&limit=1&before={first['before']}")
    assert [run["uid"] for run in json.loads(body)["runs"]] == [past[2].uid]


async def test_a_run_is_told_with_its_revision_and_notices(beamline: Beamline, past: list[Scan]) -> None:
    status, _, body = await got(beamline, f"/api/runs/{past[1].uid}")
    told = json.loads(body)
    assert (status, told["run"]["uid"], told["run"]["status"], told["revision"]) == (200, past[1].uid, "abort", "live")
    assert {notice["code"] for notice in told["notices"]} == {"regions_guessed"}


async def test_its_detectors_are_told_with_the_one_that_the_maps_are_made_of(beamline: Beamline, past: list[Scan]) -> None:
    _, _, body = await got(beamline, f"/api/runs/{past[0].uid}/detectors")
    assert json.loads(body) == {"data_keys": ["camera"], "chosen": "camera"}
    two = scan(beamline.folder, seed=31, wpb={"data_key": "wide"})
    keys = two.head[1].doc["data_keys"]
    number = {"source": "sim://flux", "dtype": "number", "shape": [], "external": "STREAM:"}
    two.head[1].doc["data_keys"] = {"flux": number, **keys, "wide": {**keys["camera"], "source": "sim://wide"}}
    await beamline.take(two)
    _, _, body = await got(beamline, f"/api/runs/{two.uid}/detectors")
    assert json.loads(body) == {"data_keys": ["camera", "wide", "flux"], "chosen": "wide"}
    status, _, body = await got(beamline, "/api/runs/nobody/detectors")
    assert (status, json.loads(body)["error"]) == (404, "unknown_run")


async def test_its_maps_are_files_that_others_read(beamline: Beamline, past: list[Scan]) -> None:
    one = past[0]
    _, headers, body = await got(beamline, f"/api/runs/{one.uid}/map.npz?revision=live")
    assert headers["content-disposition"] == 'attachment; filename="scan-7-map.npz"'
    with np.load(io.BytesIO(body), allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        assert (about["run"]["uid"], about["channels"]) == (one.uid, CHANNELS)
        for channel, values in zip(CHANNELS, stored["maps"], strict=True):
            np.testing.assert_array_equal(values, one.map(channel))
        assert stored["rows"]["point"].tolist() == list(range(12))
    _, headers, body = await got(beamline, f"/api/runs/{one.uid}/map.csv")
    assert headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert list(rows[0]) == ["point", "stage-y (mm)", "stage-x (mm)", *(f"{channel} (counts)" for channel in CHANNELS)]
    assert [float(row["total (counts)"]) for row in rows] == one.values("total").tolist()
    assert [(float(row["stage-y (mm)"]), float(row["stage-x (mm)"])) for row in rows[3:6]] == [(0, 3), (1, 3), (1, 2)]
    _, _, body = await got(beamline, f"/api/runs/{one.uid}/map.nxs")
    with h5py.File(io.BytesIO(body)) as file:
        np.testing.assert_array_equal(file["entry/maps/total"][...], one.map("total"))
    _, headers, body = await got(beamline, f"/api/runs/{one.uid}/map.png")
    assert headers["content-disposition"] == 'inline; filename="scan-7-map.png"'
    _, _, told = await got(beamline, f"/api/runs/{one.uid}")
    assert body == draw(msgspec.json.decode(told, type=RunAnswer).run, {channel: one.map(channel) for channel in CHANNELS})
    with Image.open(io.BytesIO(body)) as picture:
        assert (picture.format, picture.width) == ("PNG", GAP + 5 * (PANEL + GAP))


async def test_what_a_running_scan_has_so_far_can_be_taken_away_too(beamline: Beamline) -> None:
    running = scan(beamline.folder, seed=23)
    await beamline.begin(running, points=5)
    status, _, body = await got(beamline, "/api/runs/latest/map.csv")
    assert (status, body.decode().count("\n")) == (200, 6)
    await beamline.publish(*running.at(5, 12), running.stop)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/runs/nobody", 404, "unknown_run"),
        ("/api/runs/nobody/map.csv", 404, "unknown_run"),
        ("/api/runs/{uid}?revision=never", 404, "unknown_revision"),
        ("/api/runs/{uid}?revision=live.7", 404, "unknown_revision"),
        ("/api/runs/{uid}/map.npz?revision=live.7", 404, "unknown_revision"),
        ("/api/runs/{uid}/map.png?revision=live.7", 404, "unknown_revision"),
        ("/api/runs?limit=0", 400, "bad_message"),
        ("/api/runs?limit=many", 400, "bad_message"),
        ("/api/runs?since=yesterday", 400, "bad_message"),
        ("/api/runs?before=x", 400, "bad_message"),
        ("/api/runs/%00", 400, "bad_message"),
        ("/api/runs/%00/map.csv", 400, "bad_message"),
        ("/api/runs/{uid}?revision=%00", 400, "bad_message"),
        ("/api/runs?plan_name=a%00", 400, "bad_message"),
        ("/api/runs/%ff%ed%a0%80", 404, "unknown_run"),
    ],
)
async def test_what_cannot_be_had_is_told(beamline: Beamline, past: list[Scan], path: str, status: int, code: str) -> None:
    found, _, body = await got(beamline, path.format(uid=past[0].uid))
    told: dict[str, Any] = json.loads(body)
    assert (found, told["error"]) == (status, code)
    assert told["message"]


async def test_other_paths_and_methods_are_none_of_these(beamline: Beamline, past: list[Scan]) -> None:
    assert (await got(beamline, f"/api/runs/{past[0].uid}/map.exe"))[0] == 404
    assert (await _http(beamline, "DELETE /api/runs HTTP/1.1"))[0] == 405
    assert (await got(beamline, "/readyz"))[0] == 200


async def test_the_protocol_is_published(beamline: Beamline) -> None:
    status, headers, body = await got(beamline, "/asyncapi.json")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["operations"].keys() == {"ask", "tell"}
    _, _, body = await got(beamline, "/openapi.json")
    assert json.loads(body)["paths"] == PUBLISHED["paths"]


@pytest.mark.parametrize("path", PUBLISHED["paths"])
async def test_every_path_that_is_published_is_answered(beamline: Beamline, past: list[Scan], path: str) -> None:
    status, _, body = await got(beamline, path.replace("{uid}", past[0].uid))
    # Nothing was drawn of this run, and no Dagster is known: both say so.
    assert status == (404 if path.endswith("/preview.png") else 503 if path == "/api/dagster/{run}" else 200)
    assert body
