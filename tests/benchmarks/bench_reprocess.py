"""Many runs made again in one Dagster run, beside the bare core over the same runs in as many processes.

``python -m tests.benchmarks reprocess [RUNS]`` from the root of the repository; 200 runs by default.

The bare core does what the asset ``point_values`` does and nothing more: it reads a run's documents from the catalogue, reduces its frames,
and writes its rows. Dagster makes all assets of each run besides, evaluates their checks, and writes down what it did.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import dagster as dg
import numpy as np

from tests.dagster.scans import Beamline, raster, write_frames
from tests.helpers.services import running
from wpb_dagster.definitions import definitions, resources
from wpb_dagster.home import write_home
from wpb_dagster.reconstruction import reconstruct_run, replay
from wpb_dagster.resources import Catalogue, DetectorFiles, ResultsFolder
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes import chooser
from wpb_stream.settings import load

RUNS = 200
PROCESSES = 2
WINDOW_FRAMES = 64
MANTA = (1216, 1936)
SIZES: Sequence[tuple[tuple[int, int], tuple[int, int]]] = (((24, 24), (96, 128)), ((20, 20), MANTA), ((40, 40), MANTA))
"""Shapes of scans and of their frames."""
PROMISED = 0.7
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def main(runs: int = RUNS) -> None:
    """Print runs a minute and the ratio for each size of scan."""
    print(f"Dagster: {runs} runs made again in one Dagster run, {PROCESSES} at a time, beside the bare core in as many processes")
    for points, frame in SIZES:
        with _beamline() as (beamline, dagster_url), tempfile.TemporaryDirectory() as home:
            uids = _acquire(beamline, points, frame, runs)
            bare = _timed(partial(_bare, beamline, uids))
            dagster = _timed(partial(_dagster, beamline, uids, write_home(Path(home), dagster_url).folder))
            sizes = " x ".join(map(str, points)), " x ".join(map(str, frame))
            print(
                f"  {sizes[0]:8s} frames of {sizes[1]:12s} bare core {60 * runs / bare:7.0f} a minute   Dagster {60 * runs / dagster:7.0f}"
                f"   ratio {bare / dagster:.2f}   wanted {PROMISED}   overhead {(dagster - bare) / runs:.2f} s a run"
            )


@contextmanager
def _beamline() -> Iterator[tuple[Beamline, str]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs under another account where we are root
        postgres = EmbeddedPostgres(folder / "postgres")
        with running(postgres.service()):
            upgrade(postgres.database_url)
            (folder / "frames").mkdir()
            yield Beamline(postgres.database_url, Results(folder / "results"), DataRoots((folder / "frames",))), postgres.dagster_url


def _acquire(beamline: Beamline, points: tuple[int, int], frame: tuple[int, int], runs: int) -> list[str]:
    """Finished runs whose frames are in one file, in memory as page cache; one has been read for all."""
    frames = np.random.default_rng(0).integers(0, 255, (16, *frame), dtype=np.uint8)
    file = write_frames(beamline.roots.roots[0] / "frames.h5", np.tile(frames, (points[0] * points[1] // 16, 1, 1)))
    regions = {colour: {"rows": [k * 20, k * 20 + 40], "columns": [10, 90]} for k, colour in enumerate(("red", "green", "blue"))}
    uids: list[str] = []
    table = None
    for number in range(runs):
        documents = raster(file, points, scan_id=number, frames_per_datum=16, wpb={"regions": regions})
        documents[1].doc["data_keys"]["camera"]["shape"] = [1, *frame]
        table = table or beamline.reconstruct(documents, "live")[1]
        beamline.acquire(documents, table)
        uids.append(documents[0].doc["uid"])
    return uids


def _timed(work: Any) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def _bare(beamline: Beamline, uids: list[str]) -> None:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as processes:
        processes.map(partial(_core, beamline), [uids[k::PROCESSES] for k in range(PROCESSES)], chunksize=1)


def _core(beamline: Beamline, uids: Sequence[str]) -> None:
    choose = chooser(load().defaults_of)
    with CatalogueReader(beamline.database_url) as catalogue:
        for uid in uids:
            run, refs = replay(catalogue.documents(uid), choose)
            frames = ScanFrames(tuple(refs), beamline.roots)
            made = reconstruct_run(run, frames, window_frames=WINDOW_FRAMES, ended=True, produced_by="a benchmark", revision="bare")
            beamline.results.save(uid, "bare", made.table, made.arrays)


def _dagster(beamline: Beamline, uids: list[str], home: Path) -> None:
    given: Mapping[str, Any] = resources(
        catalogue=Catalogue(database_url=beamline.database_url),
        detector_files=DetectorFiles(data_roots=[str(root) for root in beamline.roots.roots], path_map=[]),
        results_folder=ResultsFolder(folder=str(beamline.results.root)),
    )
    config = {"ops": {"reprocess_each": {"config": {"runs": uids, "processes": PROCESSES}}}, **QUIET}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        job = definitions(given).resolve_job_def("reprocess")
        assert job.execute_in_process(run_config=config, instance=instance).success
