"""`wpb explain`: which recipe a run has, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from wpb_stream.commands.flags import settings_flags
from wpb_stream.commands.terminal import output, printable
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.settings import Settings, load


@click.command()
@click.argument("run", metavar="RUN|FILE")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run.")
@settings_flags("database_url", "data")
def explain(run: str, as_json: bool, **flags: Any) -> None:
    """Say which recipe a run has, why, and what was read from where: a run of the catalogue by its uid, or those in a recording.

    \b
    Example: wpb explain 0f1cfc1a-6ecf-4f6c-9a86-2f3f0a0b7d3e
             wpb explain run.jsonl
    """
    settings = load(**flags)
    documents = _documents(run, settings)
    for start in (doc for name, doc in documents if name == "start"):
        descriptors = [doc for name, doc in documents if name == "descriptor" and doc.get("run_start") == start["uid"]]
        _tell(start, descriptors, settings, as_json)


def _documents(run: str, settings: Settings) -> list[tuple[str, dict[str, Any]]]:
    """Of the runs to explain: start documents, at least one, and others."""
    path = Path(run)
    if path.is_file():
        from wpb_stream.replay import read_recording

        documents = [(name, doc) for name, doc in read_recording(path) if name in ("start", "descriptor")]
        if not any(name == "start" for name, _ in documents):
            raise ServiceError(f"{run} is a recording without a start document: there is no run in it to explain")
        return documents
    from wpb_stream.catalogue.reader import CatalogueReader
    from wpb_stream.up import database_of

    with CatalogueReader(database_of(settings)) as catalogue:
        documents = [(document.name, document.doc) for document in catalogue.documents(run)]
    if not any(name == "start" for name, _ in documents):
        raise ServiceError(f"there is no file {run}, and no run of that uid in the catalogue; `wpb runs` lists them")
    return documents


def _tell(start: dict[str, Any], descriptors: list[dict[str, Any]], settings: Settings, as_json: bool) -> None:
    from wpb_stream.core.explanation import explain as explained
    from wpb_stream.core.explanation import origins_of
    from wpb_stream.core.recipe import PlanDefaults, Recipe
    from wpb_stream.recipes import chooser

    with_settings, without = chooser(settings.defaults_of), chooser(lambda _: PlanDefaults())

    def choose(document: Mapping[str, Any], use_settings: bool) -> Recipe | None:
        return (with_settings if use_settings else without)(dict(document))

    recipe = choose(start, True)
    aspects = [*explained(start, choose), *origins_of(start, recipe, descriptors)]
    notices = recipe.notices if recipe else ()
    if as_json:
        told = {aspect.name: {"value": aspect.value, "from": aspect.sources} for aspect in aspects}
        click.echo(json.dumps({"uid": start["uid"], **told, "notices": [notice.message for notice in notices]}))
        return
    out = output()
    out.print(f"run {printable(str(start['uid']))}, plan {printable(str(start.get('plan_name')))}", style="bold")
    table = Table("", "", "from", box=None)
    for aspect in aspects:
        table.add_row(aspect.name, printable(aspect.value), printable(", ".join(aspect.sources)))
    out.print(table)
    for notice in notices:
        out.print(f"{notice.code}: {printable(notice.message)}", soft_wrap=True)
