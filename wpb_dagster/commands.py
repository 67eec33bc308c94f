"""`wpb reprocess`: runs made again from the command line, whether Dagster runs or not.

Loaded with every `wpb`: what takes long to import is imported where it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wpb_stream.commands.flags import settings_flags
from wpb_stream.commands.terminal import console, output, printable
from wpb_stream.core.exceptions import RecipeError, ServiceError
from wpb_stream.core.narrow import as_mapping
from wpb_stream.settings import Settings, load

if TYPE_CHECKING:
    from datetime import datetime

    from dagster import DagsterInstance

    from wpb_dagster.remaking import Given
    from wpb_stream.catalogue.reader import CatalogueReader

Wanted = Mapping[str, Mapping[str, Any]]
"""Uids of the runs to be made again, and what is asked for over the ``wpb`` entry of each."""
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Time(click.ParamType):
    """A day or a time."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time, in UTC if no zone is given."""
        from wpb_dagster.selection import time_of

        try:
            return time_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option("--run", "runs", multiple=True, metavar="UID", help="This run; may be given several times, instead of conditions.")
@click.option("--since", type=Time(), help="Runs that started then or later: a day, or a time; in UTC if no zone is given.")
@click.option("--until", type=Time(), help="Runs that started before.")
@click.option("--plan", help="Runs of this plan.")
@click.option("--status", type=click.Choice(["success", "abort", "fail", "lost"]), help="Runs that ended so.")
@click.option("--stale", is_flag=True, help="Runs that would come out otherwise today, failed, or lack frames, as each night does.")
@click.option("--regions", type=_FILE, help="YAML or JSON: the regions to reduce frames over, by name, as in `wpb.regions`.")
@click.option("--wpb", type=_FILE, help="YAML or JSON: what is asked for over the `wpb` entry of the start documents, key by key.")
@click.option("--processes", type=click.IntRange(1, 64), default=2, show_default=True, help="Runs at a time.")
@click.option("--attempts", type=click.IntRange(1, 10), default=2, show_default=True, help="How often a run that fails is tried.")
@click.option("--dry-run", is_flag=True, help="Only say which runs would be made again, and into which channels.")
@settings_flags("database_url", "data", "data_roots", "path_map")
def reprocess(
    runs: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    plan: str | None,
    status: str | None,
    stale: bool,
    regions: Path | None,
    wpb: Path | None,
    processes: int,
    attempts: int,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Make finished runs again, with other regions say. Each is a new revision, shown to whoever watches it, and kept in Dagster.

    \b
    Example: wpb reprocess --since 2026-06-01 --plan demo_plan --regions regions.yaml --dry-run
             wpb reprocess --run 0f1cfc1a-6ecf-4f6c-9a86-2f3f0a0b7d3e
    """
    conditions = (since, until, plan, status)
    if [bool(runs), any(condition is not None for condition in conditions), stale].count(True) != 1:
        raise click.UsageError("say which runs: either --run, or conditions (--since, --until, --plan, --status), or --stale")
    asked = _asked(regions, wpb)
    if stale and asked:
        raise click.UsageError("--stale makes each run with what was asked for before: neither --regions nor --wpb goes with it")
    settings = load(**flags)
    from wpb_dagster.selection import Selection, choose_runs
    from wpb_stream.catalogue.reader import CatalogueReader
    from wpb_stream.up import database_of

    database_url = database_of(settings)
    with CatalogueReader(database_url) as reader:
        if stale:
            wanted = _stale(reader)
        else:
            chosen = choose_runs(reader, Selection(runs, *conditions))
            wanted = {row.uid: asked for row in chosen.runs}
            for row in chosen.running:
                console.print(f"{row.uid} is left out: it is not over")
            if chosen.without_recipe:
                console.print(f"{len(chosen.without_recipe)} runs are left out: there is nothing to reconstruct")
        if dry_run:
            _say(reader, wanted)
            return
    if not _make_again(settings, database_url, wanted, processes=processes, attempts=attempts):
        raise SystemExit(1)


def _stale(reader: CatalogueReader) -> Wanted:
    from datetime import UTC, datetime

    from wpb_dagster.resources import Recipes
    from wpb_dagster.stale import stale_runs

    found = list(stale_runs(reader, Recipes(), datetime.now(UTC)))
    for each in found:
        console.print(printable(f"{each.uid}: {each.reason}"), soft_wrap=True, markup=False)
    return {each.uid: each.wpb for each in found}


def _asked(regions: Path | None, wpb: Path | None) -> dict[str, Any]:
    """What the files ask for.

    :raises ServiceError: a file that holds no mapping, or asks for something impossible
    """
    from wpb_stream.recipes.asked import asked_of

    asked = dict(_mapping(wpb)) if wpb else {}
    if regions:
        asked["regions"] = dict(_mapping(regions))
    try:
        asked_of({"wpb": asked})
    except RecipeError as error:
        raise ServiceError(str(error)) from None
    return asked


def _mapping(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        value = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ServiceError(f"{file} is neither YAML nor JSON: {' '.join(str(error).split())}") from None
    if not isinstance(value, Mapping):
        raise ServiceError(f"{file} holds no mapping of names to values")
    return as_mapping(value)


def _say(reader: CatalogueReader, wanted: Wanted) -> None:
    """Which runs would be made again, and into what."""
    from rich.table import Column, Table

    from wpb_dagster.resources import Recipes

    table = Table("scan", "plan", "status", "started", "channels now", "channels then", Column("uid", no_wrap=True, min_width=36), box=None)
    for row, asked in ((reader.run(uid), asked) for uid, asked in wanted.items()):
        if row is None:
            continue
        before = reader.revision(row.uid)
        now = ", ".join(channel.name for channel in (before.info if before else row.info).channels)
        try:
            recipe = Recipes(wpb=dict(asked) or None).chooser()(reader.start(row.uid))
            then = ", ".join(channel.name for channel in recipe.channels) if recipe else "none: no recipe fits"
        except RecipeError as error:
            then = f"none: {error}"
        told = (
            str(row.info.scan_id or ""),
            row.info.plan_name or "",
            row.status,
            f"{row.started_at:%Y-%m-%d %H:%M:%S}",
            now,
            then,
            row.uid,
        )
        table.add_row(*map(printable, told))
    if wanted:
        output().print(table)
    output().print(f"{len(wanted)} runs would be made again.")


def _make_again(settings: Settings, database_url: str, wanted: Wanted, *, processes: int, attempts: int) -> bool:
    """Make the runs again, with a progress bar; gives whether all were."""
    from uuid import uuid4

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from wpb_dagster.partitions import add_runs
    from wpb_dagster.remaking import Remade, Task
    from wpb_dagster.reporting import Reporter
    from wpb_dagster.reprocess_job import told
    from wpb_dagster.reprocessing import reprocess as made_again

    revision = str(uuid4())
    tasks = [Task(uid, revision, "wpb reprocess", asked) for uid, asked in wanted.items()]
    instance = _instance(settings)
    if instance is None:
        console.print("Dagster is not set up here: the new revisions are in the catalogue and the results folder alone.")
    else:
        add_runs(instance, [task.uid for task in tasks])
    done = failed = 0
    columns = (TextColumn("making runs again"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Reporter(instance) if instance else nullcontext() as reporter, Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(tasks))
        for outcome in made_again(tasks, _given(settings, database_url), processes=processes, attempts=attempts):
            if isinstance(outcome, Remade):
                done += 1
                if reporter is not None:
                    reporter.add(outcome.materializations)
            else:
                failed += outcome.final
            if not isinstance(outcome, Remade) or outcome.failed_checks:
                progress.console.print(printable(told(outcome, done + failed, len(tasks))), soft_wrap=True, markup=False)
            progress.update(bar, completed=done + failed)
    output().print(f"{done} runs were made again{f', {failed} could not be' if failed else ''}; revision {revision}.")
    return not failed


def _given(settings: Settings, database_url: str) -> Given:
    """What the processes work with."""
    roots = settings.data_roots or (settings.data.resolve() / "frames",)  # as `wpb up` has it
    return {
        "catalogue": {"database_url": database_url},
        "detector_files": {"data_roots": [str(root) for root in roots], "path_map": list(settings.path_map)},
        "results_folder": {"folder": str(settings.results.resolve())},
        "recipes": {},
        "viewer": {},
    }


def _instance(settings: Settings) -> DagsterInstance | None:
    """Dagster as ``DAGSTER_HOME`` or `wpb up` sets it up; None if neither does.

    :raises ServiceError: its database cannot be reached
    """
    import os

    import dagster as dg
    from sqlalchemy.exc import OperationalError

    home = Path(os.environ.get("DAGSTER_HOME") or settings.data.resolve() / "dagster")
    if not (home / "dagster.yaml").exists():
        return None
    try:
        instance = dg.DagsterInstance.from_config(str(home))
        instance.has_dynamic_partition("run", "")
    except OperationalError as error:
        raise ServiceError(f"Dagster's database, which {home / 'dagster.yaml'} names, cannot be reached ({error.orig})") from None
    return instance
