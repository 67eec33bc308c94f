"""Peak statistics of every line of a scan: along its fast axis, for each pass and each channel."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wpb_dagster.reconstruction import Maps
from wpb_stream.core.derived import grid_of
from wpb_stream.core.peaks import Peak, peak_of

COLUMNS = ("channel", "line", "maximum", "maximum at", "minimum", "minimum at", "centre of mass", "centre", "fwhm")


@dataclass(frozen=True, slots=True)
class LineStatistics:
    """The statistics of one line of one channel."""

    channel: str
    line: tuple[int, ...]
    """Index of the line along the slower axes; empty for a scan of one axis."""
    peak: Peak

    def row(self) -> tuple[str | float, ...]:
        """As a row under ``COLUMNS``; empty text where there is no such number."""
        peak = self.peak
        numbers = (*peak.maximum[::-1], *peak.minimum[::-1], peak.centre_of_mass, peak.centre, peak.fwhm)
        told = ["" if number is None or not np.isfinite(number) else number for number in numbers]
        return (self.channel, ", ".join(map(str, self.line)), *told)


def statistics_of(maps: Maps) -> Iterator[LineStatistics]:
    """The statistics of every line that has a value, channel by channel, the slowest axis first."""
    if not maps.info.axes:
        return
    grid = grid_of(maps.info)
    x = grid.axes[-1].positions(grid.shape[-1])
    for channel, values in maps.channels.items():
        for line in np.ndindex(*values.shape[:-1]):
            peak = peak_of(x, values[line])
            if peak is not None:
                yield LineStatistics(channel, line, peak)


def as_csv(statistics: Sequence[LineStatistics]) -> bytes:
    """The table as a CSV file with a header."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(each.row() for each in statistics)
    return out.getvalue().encode()
