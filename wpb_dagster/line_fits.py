"""The fits that a plan asked for as a table: a row for each line along the fast axis that could be fitted, and each channel."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wpb_dagster.reconstruction import Maps
from wpb_stream.core.derived import grid_of
from wpb_stream.core.line_fits import LineFits, name_of
from wpb_stream.core.line_models import LineModel
from wpb_stream.core.run import Run


@dataclass(frozen=True, slots=True)
class FittedLine:
    """The fit of one line of one channel."""

    channel: str
    line: tuple[int, ...]
    """Index of the line along the slower axes; empty for a scan of one axis."""
    model: LineModel
    told: tuple[float, ...]
    """In the order of ``model.told``."""

    def cells(self) -> dict[str, str | float]:
        """By column; empty text where lmfit could not tell an error."""
        told = {name: value if np.isfinite(value) else "" for name, value in zip(self.model.told, self.told, strict=True)}
        return {"channel": self.channel, "line": ", ".join(map(str, self.line)), **told}


def asked_of(run: Run) -> list[LineFits]:
    """The fits that a run's plan asked for."""
    return [each for each in (run.recipe.derived if run.recipe else ()) if isinstance(each, LineFits)]


def fits_of(fits: LineFits, maps: Maps) -> Iterator[FittedLine]:
    """The fits of every line that could be fitted, channel by channel, the slowest axis first."""
    if not maps.info.axes:
        return
    made = fits.arrays(maps.channels, grid_of(maps.info))
    for channel in fits.channels:
        told = np.stack([made[name_of(channel, name)] for name in fits.model.told], axis=-1)
        for line in np.ndindex(*told.shape[:-1]):
            if np.isfinite(told[line]).any():
                yield FittedLine(channel, line if len(maps.info.shape) > 1 else (), fits.model, tuple(told[line].tolist()))


def as_csv(fits: Sequence[FittedLine]) -> bytes:
    """The table as a CSV file with a header. All fits are of the same model."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(fits[0].cells()))
    writer.writeheader()
    writer.writerows(fit.cells() for fit in fits)
    return out.getvalue().encode()
