"""Dagster beside what is promised of it: from a scan's stop document to all its assets, and ticks and pages with 10,000 partitions.

What is promised follows from what Dagster takes by itself: 3 s until a sensor looks (5 at most), 2 to 7 until a process has started,
2.4 to 4.8
for the steps; pages of 10,000 partitions within 0.4 s. Real services, as `wpb up` starts them.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import dagster as dg
import msgspec
import psycopg

from wpb_dagster.definitions import definitions, resources
from wpb_dagster.partitions import add_runs
from wpb_dagster.progress import run_progress
from wpb_dagster.resources import Catalogue, Viewer
from wpb_dagster.sensors import run_started, run_stopped
from wpb_stream.client import watch
from wpb_stream.settings import load
from wpb_stream.up import Beamline, Running, running

SCANS = 5
SHAPE = "24x24"
PARTITIONS = 10_000
CROWD = [f"crowd-{number}" for number in range(PARTITIONS)]
REPEATED = 7
ASSETS = ("documents", "frames", "point_values", "maps", "preview", "nexus_file", "line_statistics", "summary")
QUERIES: Mapping[str, tuple[str, float]] = {
    "asset graph": ("{ assetNodes { assetKey { path } dependencyKeys { path } groupName kinds } }", 0.4),
    "partitions of an asset": (
        '{ assetNodeOrError(assetKey: {path: ["maps"]}) { ... on AssetNode { partitionStats { numMaterialized numPartitions }'
        " assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions unmaterializedPartitions } } } } }",
        0.4,
    ),
    "a scan's metadata": (
        'query ($uid: String!) { assetNodeOrError(assetKey: {path: ["maps"]}) { ... on AssetNode {'
        " assetMaterializations(partitions: [$uid], limit: 1) { runId metadataEntries { label } } } } }",
        0.4,
    ),
    "checks of an asset": (
        '{ assetNodeOrError(assetKey: {path: ["maps"]}) { ... on AssetNode { assetChecksOrError { ... on AssetChecks { checks {'
        " name executionForLatestMaterialization { status } } } } } } }",
        0.4,
    ),
    "runs by scan id": (
        '{ runsOrError(filter: {tags: [{key: "wpb/scan_id", value: "1"}]}, limit: 25) { ... on Runs { results { runId } } } }',
        0.4,
    ),
}
"""What a page asks, and within how many seconds it should be answered."""
LATEST = """query ($uid: String!) { assetNodes { assetKey { path } assetMaterializations(partitions: [$uid], limit: 1) { timestamp } } }"""


async def main() -> None:
    """Print seconds beside what is promised."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with running(load(data=Path(folder) / "demo", listen="127.0.0.1:8200", dagster_port=3200)) as everything:
            print(f"Dagster: from stop document to all {len(ASSETS)} assets and their checks, {SCANS} scans of {SHAPE}")
            took, uid = await _scans(everything)
            _tell("stop document to all assets", median(took), 15.0, f"({', '.join(f'{each:.1f}' for each in took)})")
            print(f"with {PARTITIONS:,} partitions")
            await asyncio.to_thread(_crowd, everything)
            for name, seconds in (await asyncio.to_thread(_ticks, everything)).items():
                _tell(f"tick of {name}", seconds, 1.0)
            for name, (query, promised) in QUERIES.items():
                seconds = [await asyncio.to_thread(_timed, everything.dagster, query, uid) for _ in range(REPEATED)]
                _tell(f"page: {name}", median(seconds), promised)


def _tell(name: str, seconds: float, promised: float, more: str = "") -> None:
    print(f"  {name:32s} {seconds:8.3f} s   promised {promised:6.1f} s   {'kept' if seconds <= promised else 'NOT KEPT'} {more}")


async def _scans(everything: Running) -> tuple[list[float], str]:
    """Seconds from each scan's stop document to the last of its assets, and the uid of the last scan."""
    took: list[float] = []
    uid = ""
    for _ in range(SCANS):
        before = uid
        await everything.scan(Beamline(SHAPE, rate=200.0, scans=1))
        async for update in watch(everything.feed):
            if update.stopped and update.run.uid != before:
                uid, stopped = update.run.uid, update.run.stopped
                break
        await everything.supervisor.until_finished("beamline")
        while len(made := await asyncio.to_thread(_made, everything.dagster, uid)) < len(ASSETS):
            await asyncio.sleep(0.2)
        with psycopg.connect(everything.settings.database_url or "") as connection:
            row = connection.execute("SELECT extract(epoch FROM ended_at)::float FROM runs WHERE uid = %s", [uid]).fetchone()
        assert row, stopped
        took.append(max(made.values()) - row[0])
    return took, uid


def _made(dagster: str, uid: str) -> dict[str, float]:
    """By asset when it was materialised, seconds since 1970."""
    nodes = _ask(dagster, LATEST, uid)["assetNodes"]
    made = {node["assetKey"]["path"][-1]: node["assetMaterializations"] for node in nodes}
    return {name: float(made[name][0]["timestamp"]) / 1000 for name in ASSETS if made.get(name)}


def _crowd(everything: Running) -> None:
    """As many runs as a year has, in the catalogue and in Dagster with their maps; numbered so that no sensor takes them for new."""
    with psycopg.connect(everything.settings.database_url or "") as connection, connection.cursor() as cursor:
        row = cursor.execute("SELECT info, started_at FROM runs LIMIT 1").fetchone()
        assert row
        cursor.executemany(
            "INSERT INTO runs (uid, started_seq, ended_seq, info, status, started_at, ended_at) OVERRIDING SYSTEM VALUE"
            " VALUES (%s, %s, %s, %s, 'success', %s, %s)",
            [(uid, -k, -k, msgspec.json.encode(row[0] | {"uid": uid}).decode(), row[1], row[1]) for k, uid in enumerate(CROWD, start=1)],
        )
    with dg.DagsterInstance.from_config(str(everything.settings.data / "dagster")) as instance, ThreadPoolExecutor(4) as threads:
        add_runs(instance, CROWD)
        events = (dg.AssetMaterialization("maps", partition=uid, metadata={"scan id": k}) for k, uid in enumerate(CROWD))
        list(threads.map(instance.report_runless_asset_event, events))


def _ticks(everything: Running) -> dict[str, float]:
    """Median seconds of a tick of each sensor, with nothing new: what is paid every few seconds."""
    given = resources(
        catalogue=Catalogue(database_url=everything.settings.database_url), viewer=Viewer(base_url=everything.viewer.rstrip("/"))
    )
    repository = definitions(given).get_repository_def()
    found: dict[str, float] = {}
    with dg.DagsterInstance.from_config(str(everything.settings.data / "dagster")) as instance:
        for sensor, cursor in ((run_started, "1000000"), (run_stopped, "1000000"), (run_progress, None)):
            seconds: list[float] = []
            for _ in range(REPEATED):
                wanted = {name: given[name] for name in sensor.required_resource_keys}
                context = dg.build_sensor_context(instance, cursor=cursor, resources=wanted, repository_def=repository)
                began = perf_counter()
                sensor.evaluate_tick(context)
                seconds.append(perf_counter() - began)
            found[sensor.name] = median(seconds)
    return found


def _timed(dagster: str, query: str, uid: str) -> float:
    began = perf_counter()
    _ask(dagster, query, uid)
    return perf_counter() - began


def _ask(dagster: str, query: str, uid: str) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": {"uid": uid} if "$uid" in query else {}}).encode()
    request = urllib.request.Request(f"{dagster}graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        answer = json.load(response)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


if __name__ == "__main__":
    asyncio.run(main())
