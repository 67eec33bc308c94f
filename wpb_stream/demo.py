"""`wpb demo` and `wpb up` as a person sees them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.records import RunRow
from wpb_stream.client import watch
from wpb_stream.core.exceptions import ServiceError
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
        console.print(f"Listening to {' '.join(everything.settings.sources)}. Ctrl-C stops everything.")
        await everything.supervisor.until_stopped()
    console.print("Everything stopped.")
    return 0


async def run_demo(settings: Settings, beamline: Beamline, console: Console, *, once: bool) -> int:
    """Run everything and a simulated beamline, until a signal or, with ``once``, until one scan is in Dagster. Returns the exit code."""
    began = monotonic()
    console.print("Starting PostgreSQL, a broker, the streaming process, Dagster and a simulated beamline …")
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("points"), TimeElapsedColumn(), console=console
    ) as progress:
        beamline = replace(beamline, on_event=_shown(progress))
        async with running(settings, None) as everything:
            ready = monotonic()
            _say_where(everything, console)
            if not once:
                console.print("Scanning until Ctrl-C, which stops everything.")
            await everything.scan(beamline)
            if once:
                report = await _one_scan(everything)
                report["timings"] = {"ready": round(ready - began, 2), **report["timings"], "total": round(monotonic() - began, 2)}
            else:
                await everything.supervisor.until_stopped()
    if not once:
        console.print("Everything stopped.")
        return 0
    if everything.supervisor.stopped_by is not None:
        raise ServiceError(f"stopped by {everything.supervisor.stopped_by.name} before the scan was in Dagster")
    click.echo(json.dumps(report))
    return 0


def _say_where(everything: Running, console: Console) -> None:
    console.print(f"[bold]Viewer[/]   {everything.viewer}")
    console.print(f"[bold]Dagster[/]  {everything.dagster}")
    console.print(f"Feed     {everything.feed}")
    console.print(f"Logs     {everything.logs}", highlight=False, soft_wrap=True)


def _shown(progress: Progress) -> Callable[[dict[str, Any]], None]:
    """Shows the beamline's events: a bar for each scan."""
    bars: dict[str, Any] = {}

    def show(event: dict[str, Any]) -> None:
        uid = event["uid"]
        match event["event"]:
            case "run_started":
                shape = "x".join(map(str, event["shape"]))
                bars[uid] = progress.add_task(f"scan {event['scan_id']} ({shape})", total=None)
            case "progress":
                progress.update(bars[uid], completed=event["points"], total=event["of"])
            case _:
                progress.stop_task(bars[uid])

    return show


async def _one_scan(everything: Running) -> dict[str, Any]:
    """Wait until the one scan is streamed, materialised and checked; what to report of it."""
    began = monotonic()
    await everything.supervisor.until_finished("beamline")
    scanned = monotonic()
    async with asyncio.timeout(ROWS_TIMEOUT_S):
        async for update in watch(everything.feed):
            if update.stopped is not None:
                break
    streamed = monotonic()
    with CatalogueReader(database_of(everything.settings)) as catalogue:
        run = await _ended(catalogue, update.run.uid)
    raise NotImplementedError
