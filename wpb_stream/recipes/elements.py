"""Elements to be seen in the spectra of a fluorescence detector, as a start document names them: windows of channels, or of energies.

==================  =========================================================================================================
key                 what it says
==================  =========================================================================================================
``wpb.elements``    by name: ``window`` ``[first, one after the last]``, and ``background``, one or two such windows beside it
``wpb.energy``      ``offset`` and ``step``: channel k has its centre at ``offset + k step``; the windows are energies then
==================  =========================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.regions import Interval
from wpb_stream.core.spectra import ElementWindow
from wpb_stream.recipes.regions import is_number

KEYS = ("window", "background")
MAX_ENERGY = 1e9
"""In whatever units the windows are given."""
MAX_CHANNEL = 2**24
"""A longer spectrum is not believed."""


@dataclass(frozen=True, slots=True)
class Energies:
    """The energy of each channel of a spectrum, a straight line."""

    offset: float = 0.0
    step: float = 1.0

    def channel(self, energy: float) -> int:
        """The first channel whose centre lies at ``energy`` or above it; 0 below the first."""
        return min(max(ceil((energy - self.offset) / self.step), 0), MAX_CHANNEL)


def energies_of(given: Any) -> Energies:
    """The calibration that ``wpb.energy`` tells; without it, channels count.

    :raises RecipeError: it tells none
    """
    if given is None:
        return Energies()
    told = as_mapping(given)
    offset, step = told.get("offset", 0.0), told.get("step")
    if set(told) - {"offset", "step"} or not is_number(offset, MAX_ENERGY) or not is_number(step, MAX_ENERGY) or step <= 1e-9:
        raise RecipeError(f'wpb.energy must be like {{"offset": 0.0, "step": 0.01}}, with a step above 0, not {str(given)[:80]}')
    return Energies(offset, step)


def element_of(name: str, given: Any, energies: Energies) -> ElementWindow:
    """One entry of ``wpb.elements``.

    :raises RecipeError: it tells no window
    """
    told, key = as_mapping(given), f"wpb.elements.{name}"
    if "window" not in told or set(told) - set(KEYS):
        raise RecipeError(f'{key} must be like {{"window": [620, 660], "background": [[600, 615], [665, 680]]}}, not {str(given)[:80]}')
    listed = as_list(told.get("background", []))
    if listed is None or len(listed) > 2 or any(as_list(one) is None for one in listed):
        raise RecipeError(
            f"{key}.background must be a list of one or two windows, like [[600, 615], [665, 680]], not {str(told['background'])[:80]}"
        )
    background = tuple(_window(f"{key}.background", one, energies) for one in listed)
    return ElementWindow(name, _window(f"{key}.window", told["window"], energies), background)


def _window(key: str, given: Any, energies: Energies) -> Interval:
    match as_list(given):
        case [low, high] if is_number(low, MAX_ENERGY) and is_number(high, MAX_ENERGY) and low < high:
            first, stop = energies.channel(low), energies.channel(high)
            if first < stop:
                return Interval(first, stop)
            units = "channels, as there is no wpb.energy" if energies == Energies() else "the units of wpb.energy"
            raise RecipeError(f"{key}: no channel of the spectrum has its centre from {low:g} to {high:g}, in {units}")
        case _:
            raise RecipeError(f"{key}: {str(given)[:80]} is no pair [first, one after the last], in ascending order")
