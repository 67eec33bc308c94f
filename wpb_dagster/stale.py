"""Runs that would come out otherwise if they were made today."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from wpb_dagster.resources import Recipes
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.records import EndedRun, MadeWith
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.recipes.asked import as_asked
from wpb_stream.settings import load

SETTLED = timedelta(hours=1)
"""A run that ended within this is left to the stop sensor, which may be at it; and one whose maps were made within it to who made them."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A run that is to be made again."""

    uid: str
    wpb: Mapping[str, Any]
    """What was asked for over its ``wpb`` entry, and is again."""
    reason: str
    """Why, for people."""


def stale_runs(reader: CatalogueReader, recipes: Recipes, now: datetime) -> Iterator[Stale]:
    """The runs that are to be made again, oldest first.

    What settings and code say is looked at for every run. A run of which not all was made, or that lacks frames, is tried for
    ``reprocess_days`` after its end: what has not come by then does not come.
    """
    choose, defaults_of = recipes.chooser(), recipes.defaults_of()
    patience = timedelta(days=load().reprocess_days)
    for run in reader.ended_runs():
        if now - run.ended_at < SETTLED:
            continue
        reason = _reason(run, choose, defaults_of, now, young=now - run.ended_at < patience)
        if reason:
            yield Stale(run.uid, run.made_with.wpb if run.made_with else {}, reason)


def _reason(
    run: EndedRun,
    choose: Callable[[dict[str, Any]], Recipe | None],
    defaults_of: Callable[[Mapping[str, Any]], PlanDefaults],
    now: datetime,
    *,
    young: bool,
) -> str | None:
    made = run.made_with
    if made is None:
        return "it was not made in Dagster, or failed" if young else None
    if made.ended_seq != run.ended_seq:
        return "documents came after it was made"
    if made.settings != defaults_of(run.start).digest:
        return "the settings say something else of it by now"
    if made.code_version != _code_version(run, made, choose):
        return "its recipe is another one by now"
    if young and run.unfinished_since and now - run.unfinished_since > SETTLED:
        return "not all of its assets could be made"
    return f"{made.missing} of its frames were not there" if made.missing and young else None


def _code_version(run: EndedRun, made: MadeWith, choose: Callable[[dict[str, Any]], Recipe | None]) -> str | None:
    try:
        recipe = as_asked(choose, run.start, made.wpb) if made.wpb else choose(run.start)
    except RecipeError:
        recipe = None
    return recipe.code_version if recipe else made.code_version  # what cannot be made so any more stays as it is
