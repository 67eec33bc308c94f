"""A run larger than the memory there is, through the assets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from tests.dagster.scans import Beamline, random_frames, raster, write_frames
from wpb_dagster.io_managers import stored_maps
from wpb_dagster.partitions import add_runs

pytestmark = [pytest.mark.integration, pytest.mark.faults, pytest.mark.whole]

FRAMES, SIDE = 160, 1024
"""160 MiB of frames, where 64 MiB are left."""
LARGER_THAN_MEMORY = """
import resource, sys
from pathlib import Path
import dagster as dg
from wpb_dagster.definitions import defs
from wpb_dagster.resources import DetectorFiles, ResultsFolder
from wpb_dagster.io_managers import FramesIOManager

home, small, large = sys.argv[1:]
job = defs.resolve_job_def("reconstruct_scan")
with dg.DagsterInstance.from_config(home) as instance:
    assert job.execute_in_process(instance=instance, partition_key=small).success  # all that is imported is imported
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
    assert job.execute_in_process(instance=instance, partition_key=large).success
    frames = FramesIOManager().load_input(dg.build_input_context(asset_key="frames", partition_key=large))
    try:
        frames[:]
    except MemoryError:
        sys.stdout.write("all at once is too much")
"""


def test_a_run_of_more_bytes_than_there_is_memory_is_reconstructed(
    beamline: Beamline, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = beamline.roots.roots[0]
    small = raster(write_frames(folder / "small.h5", random_frames(20)))
    frames = np.broadcast_to(np.arange(FRAMES, dtype=np.uint8)[:, None, None], (FRAMES, SIDE, SIDE))
    large = raster(write_frames(folder / "large.h5", frames), shape=(10, 16))
    large[1].doc["data_keys"]["camera"]["shape"] = [1, SIDE, SIDE]
    for documents in (small, large):
        beamline.acquire(documents, live=False)
    uids = [documents[0].doc["uid"] for documents in (small, large)]
    add_runs(instance, uids)
    monkeypatch.setenv("WPB_DATABASE_URL", beamline.database_url)
    monkeypatch.setenv("WPB_DATA_ROOTS", str(folder))
    monkeypatch.setenv("WPB_DATA", str(beamline.results.root.parent))
    command = [sys.executable, "-c", LARGER_THAN_MEMORY, str(tmp_path / "dagster"), *uids]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "all at once is too much"), done.stderr[-3000:]
    maps = stored_maps(beamline.results, uids[1])
    assert maps is not None
    expected = np.arange(FRAMES, dtype=np.float64).reshape(10, 16) * SIDE**2
    expected[1::2] = expected[1::2, ::-1]
    np.testing.assert_array_equal(maps.channels["total"], expected)
