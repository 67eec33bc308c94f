"""Many runs made again in one Dagster run, beside the bare core over the same runs in as many processes.

``python -m tests.benchmarks reprocess [RUNS]`` from the root of the repository; 200 runs by default.

The bare core does what the asset ``point_values`` does and nothing more: it reads a run's documents from the catalogue, reduces its frames,
and writes its rows. Dagster makes all assets of each run besides, evaluates their checks, and writes down what it did. What of that is work
of wpb's own shows the second comparison: the same files by the plain functions that the assets and checks call, without Dagster.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import dagster as dg
import numpy as np

from tests.dagster.scans import Beamline, raster, write_frames
from tests.helpers.services import running
from wpb_dagster.comparison import differences
from wpb_dagster.definitions import definitions, resources
from wpb_dagster.files_seen import changed_since, keep_seen, stored_seen
from wpb_dagster.formats import encode, write_whole
from wpb_dagster.home import write_home
from wpb_dagster.line_statistics import as_csv, statistics_of
from wpb_dagster.positions import measured_along
from wpb_dagster.reconstruction import Maps, Values, code_version_of, reconstruct_run, replay
from wpb_dagster.resources import Catalogue, DetectorFiles, ResultsFolder
from wpb_dagster.scan_frames import ScanFrames
from wpb_dagster.summary import MARKDOWN, as_markdown, summary_of
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.records import MadeWith
from wpb_stream.catalogue.results import LINE_STATISTICS, NEXUS, PREVIEW, Results
from wpb_stream.core.derived import grid_of
from wpb_stream.core.documents import Document
from wpb_stream.core.recipe import Channel
from wpb_stream.core.run import Run
from wpb_stream.core.table import PointTable
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.frames.nexus import write_nexus
from wpb_stream.frames.roots import DataRoots
from wpb_stream.pictures import composite, draw
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
            bare = _timed(partial(_in_processes, partial(_core, beamline), uids))
            plain = _timed(partial(_in_processes, partial(_everything, beamline), uids))
            dagster = _timed(partial(_dagster, beamline, uids, write_home(Path(home), dagster_url).folder))
            sizes = " x ".join(map(str, points)), " x ".join(map(str, frame))
            print(
                f"  {sizes[0]:8s} frames of {sizes[1]:12s} runs a minute: Dagster {60 * runs / dagster:5.0f}"
                f"   bare core, values alone {60 * runs / bare:5.0f}: ratio {bare / dagster:.2f}, wanted {PROMISED}"
                f"   bare core, the same files {60 * runs / plain:5.0f}: ratio {plain / dagster:.2f}"
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


def _in_processes(work: Callable[[Sequence[str]], None], uids: list[str]) -> None:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as processes:
        processes.map(work, [uids[k::PROCESSES] for k in range(PROCESSES)], chunksize=1)


def _core(beamline: Beamline, uids: Sequence[str]) -> None:
    choose = chooser(load().defaults_of)
    with CatalogueReader(beamline.database_url) as catalogue:
        for uid in uids:
            run, refs = replay(catalogue.documents(uid), choose)
            frames = ScanFrames(tuple(refs), beamline.roots)
            made = reconstruct_run(run, frames, window_frames=WINDOW_FRAMES, ended=True, produced_by="a benchmark", revision="bare")
            beamline.results.save(uid, "bare", made.table, made.arrays)


def _everything(beamline: Beamline, uids: Sequence[str]) -> None:
    """What the assets and their checks do, by the plain functions they call."""
    defaults_of = load().defaults_of
    choose, results = chooser(defaults_of), beamline.results
    with CatalogueReader(beamline.database_url) as catalogue:
        for uid in uids:
            documents, folder = catalogue.documents(uid), results.folder(uid)
            run, refs = replay(documents, choose)
            frames = ScanFrames(tuple(refs), beamline.roots)
            keep_seen(results, uid, frames)
            made = reconstruct_run(run, frames, window_frames=WINDOW_FRAMES, ended=True, produced_by="a benchmark", revision="plain")
            file = results.save(uid, "plain", made.table, made.arrays)
            made_with = MadeWith(code_version_of(run), defaults_of(run.start).digest, {}, len(made.missing), None)
            catalogue.add_revision(made.info, "plain", "a benchmark", file, made_with)
            values = Values(made.info, "plain", file, len(refs), made.missing, made.notices)
            maps = Maps(made.info, "plain", made.notices, made.table.maps(made.info.shape))
            for name, value in (("documents", documents), ("frames", frames), ("point_values", values), ("maps", maps)):
                suffix, encoded = encode(value)
                write_whole(folder / f"{name}{suffix}", encoded)
            write_whole(folder / PREVIEW, draw(made.info, maps.channels))
            write_whole(folder / LINE_STATISTICS, as_csv(list(statistics_of(maps))))
            _nexus(documents, maps, folder / NEXUS)
            _check(catalogue, results, run, documents, maps, made.table)
            told = summary_of(made.info, "", len(documents), values, maps, [], {})
            write_whole(folder / MARKDOWN, as_markdown(told).encode())
            catalogue.finish_revision(uid, "plain")


def _nexus(documents: Sequence[Document], maps: Maps, path: Path) -> None:
    channels = [Channel(channel.name, channel.label, channel.units, channel.colour) for channel in maps.info.channels]
    coloured = composite([maps.channels[colour] for colour in ("red", "green", "blue")])[0]
    write_nexus(
        path,
        start=documents[0].doc,
        stop=documents[-1].doc,
        maps=maps.channels,
        grid=grid_of(maps.info),
        channels=channels,
        composite=coloured,
        revision=maps.revision,
        notices=[],
        arrays={},
    )


def _check(catalogue: CatalogueReader, results: Results, run: Run, documents: Sequence[Document], maps: Maps, table: PointTable) -> None:
    live = catalogue.live_revision(maps.info.uid)
    seen = stored_seen(results, maps.info.uid)
    assert live is not None
    assert seen is not None
    assert not differences(results.load(live.file).maps(live.info.shape), maps.channels)
    assert all(np.isfinite(table.data[name]).all() for name in table.channels)
    assert not changed_since(seen, DataRoots((results.root.parent / "frames",)))
    measured_along(run, documents, table)


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
