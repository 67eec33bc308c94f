"""Where the simulated beamline keeps its frames, and the number of its next scan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ophyd_async.core import PathInfo, PathProvider

INSTRUMENT = "wpb-demo"

# Only files named like this are ever deleted.
_OURS = re.compile(rf"{INSTRUMENT}-(\d{{5,}})-\w+\.h5")


class FrameStore(PathProvider):
    """A folder of frame files, one a scan: ``wpb-demo-00012-camera.h5``.

    :param directory: made if it does not exist
    :raises OSError: the folder cannot be made or written
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._counter = self.directory / "scan_id"
        self.scan_id = max(self._remembered(), *self._files(), 0)
        """Number of the last scan."""

    def next_scan_id(self, metadata: Mapping[str, Any] | None = None) -> int:
        """Number of a new scan, one more than ever given before in this folder. A RunEngine's ``scan_id_source``."""
        self.scan_id += 1
        # Written aside and renamed: a kill in between leaves the old number, and the files tell the rest.
        aside = self._counter.with_suffix(".new")
        aside.write_text(f"{self.scan_id}\n")
        aside.replace(self._counter)
        return self.scan_id

    def __call__(self, datakey_name: str | None = None) -> PathInfo:
        """Where the current scan's frames go."""
        return PathInfo(
            directory_path=self.directory,
            filename=f"{INSTRUMENT}-{self.scan_id:05d}-{datakey_name or 'frames'}",
            directory_uri=f"file://localhost{quote(self.directory.as_posix())}/",
        )

    def prune(self, keep: int) -> list[Path]:
        """Delete the frames of all but the newest ``keep`` scans; returns what was deleted."""
        files = self._files()
        old = sorted(files)[: max(len(files) - keep, 0)]
        deleted = [path for scan_id in old for path in files[scan_id]]
        for path in deleted:
            path.unlink(missing_ok=True)
        return deleted

    def _files(self) -> dict[int, list[Path]]:
        files: dict[int, list[Path]] = {}
        for path in self.directory.iterdir():
            if named := _OURS.fullmatch(path.name):
                files.setdefault(int(named[1]), []).append(path)
        return files

    def _remembered(self) -> int:
        try:
            return int(self._counter.read_text())
        except (FileNotFoundError, ValueError):
            return 0
