"""Slices of whole sinograms, for tests that have all projections at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wpb_stream.core.tomography import BackProjection, Filter


def projected_back(
    sinogram: npt.NDArray[np.float64], angles: npt.NDArray[np.float64], centre: float | None = None, filter_name: Filter = "ramp"
) -> npt.NDArray[np.float64]:
    """The slice that line integrals of shape (angles, columns) are of; angles in radians."""
    made = BackProjection(sinogram.shape[1], centre, filter_name)
    for row, angle in zip(sinogram, angles.tolist(), strict=True):
        made.add(row, angle)
    return made.image()
