"""`wpb demo` and `wpb up` as a person sees them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from math import prod
from time import monotonic
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import NEXUS, Results
from wpb_stream.client import Update, watch
from wpb_stream.commands.findings import tell
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.dagster_web import DagsterWeb, Verdict
from wpb_stream.doctor.checks import examine, source_checks
from wpb_stream.doctor.redaction import Redaction
from wpb_stream.settings import Settings
from wpb_stream.up import Beamline, Running, database_of, running

ROWS_TIMEOUT_S = 60.0
"""How long after the end of a scan its last row may take."""
DAGSTER_TIMEOUT_S = 120.0
"""How long after the end of a scan Dagster may take to materialise and check it."""
_POLL_S = 0.25


async def keep_up(settings: Settings, console: Console) -> int:
    """Run everything but a beamline until a signal. Returns the exit code."""
    console.print("Starting the streaming process, Dagster, and what the settings leave open …")
    async with running(settings) as everything:
        _say_where(everything, console)
        console.print("Listening. Ctrl-C stops everything.")
        if settings.sources:
            await say_what_is_silent(everything.settings, console)
        await everything.supervisor.until_stopped()
    console.print("Everything stopped.")
    return 0


async def say_what_is_silent(settings: Settings, console: Console) -> None:
    """Tell of each source that cannot be listened to now. The streaming process goes on trying, and says so in its log alone."""
    silent = [finding for finding in await examine(source_checks(settings)) if finding.state != "ok"]
    redaction = Redaction(settings)
    tell([redaction.clean(finding) for finding in silent], console)
    if silent:
        console.print("wpb goes on trying; `wpb doctor` looks again.")


async def run_demo(settings: Settings, beamline: Beamline, console: Console, *, once: bool) -> int:
    """Run everything and a simulated beamline, until a signal or, with ``once``, until one scan is in Dagster. Returns the exit code."""
    began = monotonic()
    console.print("Starting PostgreSQL, a broker, the streaming process, Dagster and a simulated beamline …", soft_wrap=True)
    report: dict[str, Any] | None = None
    with _progress(console) as progress:
        beamline = replace(beamline, on_event=_shown(progress))
        async with running(settings) as everything:
            ready = monotonic()
            _say_where(everything, console)
            if once:
                report = await _one_scan(everything, beamline)
                report["timings"] = {"ready": round(ready - began, 2), **report["timings"], "total": round(monotonic() - began, 2)}
            else:
                console.print("Scanning until Ctrl-C, which stops everything.")
                await everything.scan(beamline)
                await everything.supervisor.until_stopped()
    console.print("Everything stopped.")
    if once and report is None:
        raise ServiceError("stopped before the scan was in Dagster")
    if report is not None:
        click.echo(json.dumps(report))
    return 0


def _progress(console: Console) -> Progress:
    points = TextColumn("points")
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), points, TimeElapsedColumn(), console=console)


def _say_where(everything: Running, console: Console) -> None:
    console.print(f"[bold]Viewer[/]   {everything.viewer}")
    console.print(f"[bold]Dagster[/]  {everything.dagster}")
    console.print(f"Feed     {everything.feed}")
    console.print(f"Bus      {' '.join(everything.settings.sources)}", highlight=False, soft_wrap=True)
    console.print(f"Logs     {everything.logs}", highlight=False, soft_wrap=True)


def _shown(progress: Progress) -> Callable[[dict[str, Any]], None]:
    """Shows the beamline's events: a bar for the running scan on a terminal, and a line for each that began or ended."""
    bars: dict[str, TaskID] = {}
    console = progress.console

    def show(event: dict[str, Any]) -> None:
        uid = event["uid"]
        match event["event"]:
            case "run_started":
                name = f"scan {event['scan_id']} ({' x '.join(map(str, event['shape']))})"
                console.print(f"{name} began")
                bars[uid] = progress.add_task(name, total=prod(event["shape"]))
            case "progress":
                progress.update(bars[uid], completed=event["points"])
            case _:
                bar = bars.pop(uid)
                name = next(task.description for task in progress.tasks if task.id == bar)
                progress.remove_task(bar)
                console.print(f"{name} ended: {event['exit_status']}, {event['points']} points")

    return show


async def _one_scan(everything: Running, beamline: Beamline) -> dict[str, Any]:
    """Take one scan, wait until it is streamed, materialised and checked; what to report of it."""
    began = monotonic()
    last, first_row_s = await _scanned(everything, beamline)
    streamed = monotonic()
    uid = last.run.uid
    verdict = await _materialised(everything, uid)
    with CatalogueReader(database_of(everything.settings)) as catalogue:
        run = catalogue.run(uid)
    nexus = Results(everything.settings.results).folder(uid) / NEXUS
    if run is None or not nexus.exists():
        raise ServiceError(f"the scan {uid} left no NeXus file {nexus}; see the logs in {everything.logs}")
    return {
        "run_uid": uid,
        "shape": last.run.shape,
        "points": last.run.points_expected,
        "rows": last.rows,
        "live_equals_batch": verdict.checks.get("live_equals_batch") is True,
        "checks": verdict.checks,
        "feed": everything.feed,
        "viewer": f"{everything.viewer}?run={uid}",
        "dagster": f"{everything.dagster}runs/{verdict.run_id}",
        "nexus_file": str(nexus),
        "timings": {
            "first_row": round(first_row_s, 2),
            "scan": round(streamed - began, 2),
            "dagster": round(monotonic() - streamed, 2),
        },
    }


async def _scanned(everything: Running, beamline: Beamline) -> tuple[Update, float]:
    """The last state of the scan as the feed shows it, and the seconds from the beamline's start to the first row."""
    began = monotonic()
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_event(event: dict[str, Any]) -> None:
        if event["event"] == "run_started":
            started.set_result(event["uid"])
        beamline.on_event(event)

    await everything.scan(replace(beamline, on_event=on_event))
    watching = asyncio.ensure_future(_until_stopped(everything, await started))
    try:
        await everything.supervisor.until_finished("beamline")
        async with asyncio.timeout(ROWS_TIMEOUT_S):
            last, first_row_at = await watching
    except TimeoutError:
        log = everything.logs / "stream.log"
        raise ServiceError(f"the feed did not show the end of the scan within {ROWS_TIMEOUT_S:g} s after it; see {log}") from None
    finally:
        watching.cancel()
    return last, first_row_at - began


async def _until_stopped(everything: Running, uid: str) -> tuple[Update, float]:
    """The last update of a scan that began or is about to, and when its first row came."""
    first_row_at = 0.0
    async for update in watch(everything.feed, token=everything.settings.token):  # the latest run: the feed may not know this one yet
        if update.run.uid != uid:
            continue
        if update.rows and not first_row_at:
            first_row_at = monotonic()
        if update.stopped is not None:
            return update, first_row_at
    raise AssertionError("watch never ends by itself")


async def _materialised(everything: Running, uid: str) -> Verdict:
    """What Dagster made of the scan."""
    web, verdict = DagsterWeb(everything.dagster), None
    try:
        async with asyncio.timeout(DAGSTER_TIMEOUT_S):
            while verdict is None or not verdict.final:
                with suppress(OSError):
                    verdict = await web.verdict(uid)
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        state = (
            "did not take up the scan" if verdict is None else f"has not finished the scan (its run {verdict.run_id} is {verdict.status})"
        )
        raise ServiceError(f"Dagster {state} within {DAGSTER_TIMEOUT_S:g} s; see its logs in {everything.logs}") from None
    if verdict.status != "SUCCESS":
        raise ServiceError(
            f"Dagster could not materialise the scan: {everything.dagster}runs/{verdict.run_id} says why; logs in {everything.logs}"
        )
    failed = [name for name, passed in verdict.checks.items() if not passed]
    if failed:
        raise ServiceError(f"Dagster's check {', '.join(failed)} failed for the scan: {everything.dagster}runs/{verdict.run_id} says why")
    return verdict
