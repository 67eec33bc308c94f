"""The recipe package of the documentation, built and installed: chosen, and run in reader processes and as Dagster runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "ring_recipe"

USE = """
import asyncio, sys
from pathlib import Path
import h5py, numpy as np
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.window import FrameRef, StreamFile
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes import chooser
from wpb_dagster.scan_frames import reduce_frames

START = {"uid": "u", "time": 1.0, "shape": [2, 3], "snaking": [False, True]}


async def live(roots, refs, recipe):
    async with FrameReaders(roots, 1, 20.0) as readers:
        await readers.warm_up()  # walled in, before anything of the package was imported there
        return await readers.reduce(refs, recipe.reducer)


if __name__ == "__main__":
    choose = chooser(lambda start: PlanDefaults())
    recipe = choose({**START, "wpb": {"recipe": "ring", "inner": 2, "outer": 4}})
    refused = choose({**START, "wpb": {"recipe": "ring", "inner": 5, "outer": 4}})

    folder = Path(sys.argv[1])
    data = np.random.default_rng(1).integers(0, 200, (6, 12, 12)).astype("u2")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("d", data=data, chunks=(1, 12, 12))
    roots = DataRoots((folder,))
    stream = StreamFile("r", "camera", "application/x-hdf5", (folder / "a.h5").as_uri(), {"dataset": "d"}, (1, 12, 12))
    refs = [FrameRef(index, stream, index) for index in range(6)]
    result = asyncio.run(live(roots, refs, recipe))
    batch = reduce_frames(refs, recipe.reducer, roots)

    radius = np.hypot(*np.ogrid[-6:6, -6:6])
    ring = (radius >= 2) & (radius < 4)
    expected = [[frame[ring].sum() / frame.sum(), frame.sum()] for frame in data]
    print(recipe.name, [channel.name for channel in recipe.channels], recipe.grid.shape, [notice.code for notice in recipe.notices])
    print(refused.name, "wpb.outer" in refused.notices[0].message)
    print(result.reason, result.values.tobytes() == batch.values.tobytes(), np.array_equal(result.values, np.array(expected)))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder that the example's wheel was unpacked into, as an installer would."""
    build = f"import hatchling.build; print(hatchling.build.build_wheel({str(tmp_path)!r}))"
    wheel = subprocess.run([sys.executable, "-c", build], cwd=EXAMPLE, check=True, capture_output=True, text=True).stdout.split()[-1]
    with zipfile.ZipFile(tmp_path / wheel) as archive:
        archive.extractall(tmp_path / "site")
    return tmp_path / "site"


def test_the_recipe_of_the_documentation_is_found_chosen_and_run_live_and_in_batch(site: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "use.py").write_text(USE)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "use.py"), str(tmp_path / "data")], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["ring ['ring', 'total'] (2, 3) []", "raster True", "None True True"]
