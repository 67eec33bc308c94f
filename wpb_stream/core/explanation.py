"""Why a run is reconstructed as it is: which entries of its start document, and of the settings, made its recipe.

Nothing keeps a record of what it looked at. An entry counts if the recipe is another one without it, or if it alone gives the same; that
holds for recipes of a facility's own as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wpb_stream.core.binning import Binned
from wpb_stream.core.documents import Document
from wpb_stream.core.narrow import as_mapping
from wpb_stream.core.recipe import Recipe
from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.run import Run
from wpb_stream.core.wording import place_of, words_of

Choose = Callable[[Mapping[str, Any], bool], Recipe | None]
"""Gives the recipe for a start document; the flag says whether the settings have a word in it."""

NEEDED = ("uid", "time")
"""Entries that every start document must have; no recipe follows from them."""
DEFAULT = "by default"


@dataclass(frozen=True, slots=True)
class Aspect:
    """One property of a recipe, and where it comes from."""

    name: str
    value: str
    sources: tuple[str, ...]
    """Entries of the start document (``shape``, ``wpb.regions``), ``settings``, or ``by default``."""


def aspects_of(recipe: Recipe | None) -> dict[str, str]:
    """What can be told of a recipe, as text."""
    if recipe is None:
        return {"recipe": "none"}
    axes = recipe.grid.axes
    spans = ["?" if axis.start is None or axis.stop is None else f"{axis.start:g} to {axis.stop:g}" for axis in axes]
    return {
        "recipe": recipe.name,
        "shape": "grows" if recipe.grows and not isinstance(recipe.grid, Binned) else " x ".join(map(str, recipe.grid.shape)),
        "points": "unknown" if recipe.grows else str(recipe.grid.points),
        "axes": ", ".join(axis.name for axis in axes),
        "snaking": ", ".join("yes" if axis.snaking else "no" for axis in axes),
        "positions": ", ".join(spans),
        "channels": ", ".join(channel.name for channel in recipe.channels),
        "regions": "; ".join(f"{channel.name}: {place_of(channel.region)}" for channel in recipe.channels[: recipe.reducer.size]),
        "reduction": "sums over the regions" if isinstance(recipe.reducer, RegionSums) else words_of(recipe.reducer),
        "arrays": ", ".join(recipe.arrays) or "none",
        "detector": recipe.data_key or "the first that writes images",
        "joined": ", ".join(recipe.companions.joined if recipe.companions else ()) or "nothing",
        "divided by": (recipe.companions.monitor if recipe.companions else None) or "nothing",
    }


def explain(start: Mapping[str, Any], choose: Choose) -> list[Aspect]:
    """Each property of the recipe for a run, and what made it so."""
    chosen = aspects_of(choose(start, True))
    bare = {key: start[key] for key in NEEDED if key in start}
    nothing = aspects_of(choose(bare, False))
    told: dict[str, list[str]] = {name: [] for name in chosen}
    for entry, without, alone in _entries(start, bare):
        lacking, only = aspects_of(choose(without, True)), aspects_of(choose(alone, False))
        for name, value in chosen.items():
            if lacking.get(name) != value or (only.get(name) == value and nothing.get(name) != value):
                told[name].append(entry)
    unset = aspects_of(choose(start, False))
    for name, value in chosen.items():
        if unset.get(name) != value:
            told[name].append("settings")
    return [Aspect(name, value, tuple(told[name]) or (DEFAULT,)) for name, value in chosen.items()]


def origins_of(start: Mapping[str, Any], recipe: Recipe | None, descriptors: Iterable[Mapping[str, Any]]) -> list[Aspect]:
    """Where each number is taken from that is joined to the frames of a run, as its descriptors tell."""
    run = Run(dict(start), recipe)
    for descriptor in descriptors:
        run.apply(Document("descriptor", dict(descriptor)))
    return [Aspect(data_key, run.origin(data_key), ("descriptor",)) for data_key in run.join.companions.data_keys]


def _entries(start: Mapping[str, Any], bare: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each entry by its name; the start document without it; and one with nothing else."""
    for key, value in start.items():
        if key in bare:
            continue
        others = {name: other for name, other in start.items() if name != key}
        if key != "wpb" or not as_mapping(value):
            yield key, others, {**bare, key: value}
            continue
        asked = as_mapping(value)
        for part in asked:
            rest = {name: other for name, other in asked.items() if name != part}
            yield f"wpb.{part}", {**others, **({"wpb": rest} if rest else {})}, {**bare, "wpb": {part: asked[part]}}
