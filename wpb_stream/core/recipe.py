"""What to make of a run is decided by its start document.

A recipe = a reducer (frames to values: here, regions to sum) + a grid (which cell) + names, units, colours.
The recipes themselves live in :mod:`wpb_stream.recipes`, or in a facility's own package; this module chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from wpb_stream.core.accumulation import Accumulation
from wpb_stream.core.companions import Companions
from wpb_stream.core.derived import Derived
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.geometry import Grid
from wpb_stream.core.narrow import as_mapping
from wpb_stream.core.reducers import Reducer, RegionSums
from wpb_stream.core.regions import Region

CODE_VERSION = "1"
"""Counts up when the recipes here make something else of the same frames: what was made before is then made again."""


@dataclass(frozen=True, slots=True)
class Notice:
    """The run goes on, but something was lost or guessed: a code for programs, a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One value a point: a map of its own."""

    name: str
    label: str
    units: str = "counts"
    colour: str | None = None
    """``red``, ``green`` or ``blue`` where it feeds that channel of the composite."""
    region: Region | None = None
    """Where on the detector it is summed; None for the whole frame."""
    data_key: str | None = None
    """The data key whose number it is, where it is no value of frames: its descriptor tells the units."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one run is reconstructed."""

    name: str
    grid: Grid
    channels: tuple[Channel, ...]
    data_key: str | None = None
    """The detector to read; None for the first one in the descriptor that writes images."""
    notices: tuple[Notice, ...] = ()
    """What was guessed for want of metadata."""
    reduction: Reducer | None = None
    """What makes the channels' values of frames; None for the sum over each channel's region."""
    accumulation: Accumulation | None = None
    """What becomes of all frames together."""
    derived: tuple[Derived, ...] = ()
    """What makes arrays of the channels' maps."""
    grows: bool = False
    """Whether nobody knows beforehand how long the scan is: the slow axis grows with its points."""
    code_version: str = CODE_VERSION
    """Which code this is; a facility's own recipe gives its own, and another one when it makes something else of the same frames."""
    companions: Companions | None = None
    """What is joined to the frames; the channels of what is joined are the last ones."""

    @property
    def reducer(self) -> Reducer:
        """What makes the values of each point's frames, in the order of the channels."""
        return self.reduction or RegionSums(self.regions)

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of what accumulates and of what is made of the maps."""
        return (*(self.accumulation.names if self.accumulation else ()), *(name for each in self.derived for name in each.names))

    @property
    def regions(self) -> tuple[Region, ...]:
        """The region of each channel, the whole frame where a channel has none."""
        return tuple(channel.region or Region(channel.name) for channel in self.channels)


@dataclass(frozen=True, slots=True)
class PlanDefaults:
    """What the settings say of a plan whose start documents leave it out."""

    recipe: str | None = None
    shape: tuple[int, ...] | None = None
    snaking: tuple[bool, ...] | None = None
    extents: tuple[tuple[float, float], ...] | None = None
    axes: tuple[str, ...] | None = None
    regions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    wpb: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the ``wpb`` entry asks for, key by key, where the start document's own does not."""

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits, others for other settings."""
        return sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:16]


class RecipeMaker(Protocol):
    """A kind of recipe: tells whether it fits a start document, and makes the recipe."""

    @property
    def name(self) -> str:
        """What a ``wpb`` entry calls it."""
        ...

    def fits(self, start: Mapping[str, Any], defaults: PlanDefaults) -> bool:
        """Whether this recipe can be made for the run."""
        ...

    def make(self, start: Mapping[str, Any], defaults: PlanDefaults) -> Recipe:
        """The recipe for the run.

        :raises RecipeError: the metadata asks for something impossible
        """
        ...


GUESSED = "The best guess without the wpb entry is shown instead."
"""What a notice ends with that refuses what was asked for."""


def choose(start: Mapping[str, Any], makers: Sequence[RecipeMaker], defaults: PlanDefaults) -> Recipe | None:
    """The recipe for a run: the one its ``wpb`` entry or the settings name, else the first that fits.

    A mistake in the ``wpb`` entry costs no run: it is told in a notice, and the best guess without that entry is made instead.

    :returns: None if no recipe fits: the run is tracked and kept, but nothing is reconstructed live
    """
    own = as_mapping(start.get("wpb"))
    readable = own or start.get("wpb") in (None, {})  # else what is wrong with it is to be told
    asked = {**start, "wpb": {**defaults.wpb, **own}} if defaults.wpb and readable else start
    try:
        return _choose(asked, makers, defaults)
    except RecipeError as error:
        end = "" if str(error).endswith("?") else "."
        told = Notice("recipe_refused", f"{error}{end} {GUESSED}")
    try:
        guess = _choose({key: value for key, value in start.items() if key != "wpb"}, makers, defaults)
    except RecipeError:
        return None
    return replace(guess, notices=(told, *guess.notices)) if guess else None


def _choose(start: Mapping[str, Any], makers: Sequence[RecipeMaker], defaults: PlanDefaults) -> Recipe | None:
    name = as_mapping(start.get("wpb")).get("recipe") or defaults.recipe
    if name and name not in [maker.name for maker in makers]:
        raise RecipeError(f"wpb.recipe: there is no {str(name)[:80]!r}; known are {', '.join(maker.name for maker in makers)}")
    failed: list[Notice] = []
    for maker in makers:
        try:
            if name in (None, maker.name) and maker.fits(start, defaults):
                recipe = maker.make(start, defaults)
                return replace(recipe, notices=(*failed, *recipe.notices))
        except RecipeError:
            raise
        except Exception as error:  # a facility's own recipe must not end the process, at this start and at every restart
            failed.append(Notice("recipe_refused", f"The recipe {maker.name!r} failed on this start document ({error!r})."))
    return None
