"""Requests that are answered at once, as protocol.md has them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.helpers.rawfeed import RawClient
from tests.helpers.scans import Scan
from tests.integration.feed.conftest import MORNING

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


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
        ({"scan_id": 7}, [2, 1, 0]),
        ({"scan_id": 70}, []),
        ({"scan_id": 10**30}, []),
        ({"session": "cm40001-2"}, [3, 0]),
        ({"session": "cm40001"}, []),
        ({"text": "foil"}, [3]),
        ({"text": "  FOIL tit "}, [3]),
        ({"text": "grid_scan cm4"}, [0]),
        ({"text": "foil grid_scan"}, []),
        ({"text": "cm40001-2"}, [3, 0]),
        ({"text": "812"}, [3]),
        ({"text": "it's & | ! ( : * \\' %"}, []),
        ({"text": "%"}, []),
        ({"text": "'"}, []),
        ({"text": ""}, [3, 2, 1, 0]),
    ],
)
async def test_list_runs_gives_only_the_runs_that_meet_every_condition(
    client: RawClient, past: list[Scan], conditions: dict[str, str], expected: list[int]
) -> None:
    bounded = {"until": (MORNING + timedelta(hours=9)).isoformat()} | conditions
    answer = await client.answer("list_runs", **bounded)
    assert [run["uid"] for run in answer["runs"]] == [past[index].uid for index in expected]


async def test_a_run_is_found_by_the_beginning_of_its_uid(client: RawClient, past: list[Scan]) -> None:
    for beginning in (past[1].uid[:9], past[1].uid):
        answer = await client.answer("list_runs", text=beginning)
        assert [run["uid"] for run in answer["runs"]] == [past[1].uid]
