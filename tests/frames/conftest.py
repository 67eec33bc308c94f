"""Files of frames, and a detector that writes them in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest

from wpb_stream.core.window import StreamFile
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots


class Detector:
    """A writer in another process; each call returns once it is done."""

    def __init__(self, path: Path, **settings: Any) -> None:
        asked = {"frames": 0, "chunk": [1, 12, 16], "dtype": "u2", "filter": "none", "swmr": True} | settings
        command = [sys.executable, str(Path(__file__).with_name("detector.py")), str(path), json.dumps(asked)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._greeted = False

    def tell(self, *lines: str) -> None:
        assert self.process.stdin is not None
        if not self._greeted:
            self._await()
            self._greeted = True
        for line in lines:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            self._await()

    def append(self, index: int, value: int) -> None:
        self.tell(f"grow {index + 1}", f"write {index} {value}", "flush")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _await(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "done\n"


@pytest.fixture
def detector() -> Iterator[Callable[..., Detector]]:
    started: list[Detector] = []

    def start(path: Path, **settings: Any) -> Detector:
        started.append(Detector(path, **settings))
        started[-1].tell()
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def roots(tmp_path: Path) -> DataRoots:
    folder = tmp_path / "data"
    folder.mkdir()
    return DataRoots((folder,))


@pytest.fixture
def folder(roots: DataRoots) -> Path:
    return roots.roots[0]


@pytest.fixture
def reader(roots: DataRoots) -> Iterator[FrameReader]:
    reader = FrameReader(roots)
    yield reader
    reader.close()


def frames_of(reader: FrameReader, file: StreamFile, first: int, stop: int) -> npt.NDArray[Any]:
    """Frames ``first`` to ``stop`` (exclusive) of a file that has one an index: shape (frames, rows, columns)."""
    return reader.read(file, range(first, stop))[:, 0]


@pytest.fixture
def stream_file() -> Callable[..., StreamFile]:
    def make(path: Path, dataset: str = "/entry/data/data", mimetype: str = "application/x-hdf5") -> StreamFile:
        return StreamFile("resource", "camera", mimetype, path.as_uri(), {"dataset": dataset})

    return make
