"""The camera's exposures and the file it writes them to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import h5py
import numpy as np
import pytest

from wpb_stream.sim.camera import Exposures

SHAPE = (3, 4)


def exposures(rate: float | None = None) -> Exposures:
    """Exposures whose frames hold 1, 2, 3, ... everywhere."""
    taken = iter(range(1, 100))
    return Exposures(lambda: np.full(SHAPE, next(taken), dtype=np.uint8), SHAPE, rate)


def values(path: Path) -> list[int]:
    with h5py.File(path) as file:
        return [int(value) for value in file["/entry/data/data"][:, 0, 0]]


async def test_frames_are_written_in_the_order_they_were_taken(tmp_path: Path) -> None:
    camera = exposures()
    await camera.open(tmp_path / "frames.h5")
    for _ in range(3):
        await camera.expose()
    await camera.close()
    assert values(tmp_path / "frames.h5") == [1, 2, 3]


async def test_each_run_has_a_file_of_its_own(tmp_path: Path) -> None:
    camera = exposures()
    for name in ("one.h5", "two.h5"):
        await camera.open(tmp_path / name)
        await camera.expose()
    await camera.close()
    assert (values(tmp_path / "one.h5"), values(tmp_path / "two.h5")) == ([1], [2])


async def test_closing_ends_the_exposure_that_waits_for_its_time_and_keeps_its_frame(tmp_path: Path) -> None:
    camera = exposures(rate=0.001)
    await camera.open(tmp_path / "frames.h5")
    await camera.expose()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        second = group.create_task(camera.expose())
        # Once round the loop: the second exposure, due in 1,000 s, is waiting.
        await asyncio.sleep(0)
        assert not second.done()
        await camera.close()
    assert values(tmp_path / "frames.h5") == [1, 2]


async def test_a_trigger_after_the_end_is_an_error(tmp_path: Path) -> None:
    camera = exposures()
    await camera.open(tmp_path / "frames.h5")
    await camera.close()
    with pytest.raises(RuntimeError, match="after it was stopped"):
        await camera.expose()
