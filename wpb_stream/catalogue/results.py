"""The rows of finished revisions, a file each, in the results folder.

Plain ``.npy`` files of a structured array: what :attr:`PointTable.data` is, readable by numpy alone and mapped rather than loaded.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import numpy as np

from wpb_stream.core.board import Versioned
from wpb_stream.core.table import PointTable
from wpb_stream.wholefile import whole_file

PREVIEW = "preview.png"
"""Name of the preview picture in a run's folder."""
NEXUS = "maps.nxs"
"""Name of the NeXus file in a run's folder."""
LINE_STATISTICS = "line_statistics.csv"
"""Name of the table of peak statistics in a run's folder."""
LINE_FITS = "line_fits.csv"
"""Name of the table of fits in a run's folder."""
LONGEST_NAME = 200


def safe_name(text: str) -> str:
    """A file name for any uid, another one for each: what is not a letter, digit, ``-`` or ``_`` is percent-encoded, dots included."""
    name = quote(text, safe="").replace(".", "%2E").replace("~", "%7E")
    # File systems take 255 bytes; the dot keeps cut names apart from all that were not cut.
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 33]}.{sha256(text.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Results:
    """The folder where results are kept, one folder a run in it."""

    root: Path

    def folder(self, run: str) -> Path:
        """The folder of a run; made if it is not there."""
        path = self.root / safe_name(run)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def save(self, run: str, revision: str, table: PointTable, arrays: Mapping[str, Versioned] | None = None) -> str:
        """Write a table so that it is there whole or not at all; before it the arrays, beside it.

        :returns: the file, relative to :attr:`root`
        """
        path = self.folder(run) / f"{safe_name(revision)}.npy"
        beside = path.with_suffix(".npz")
        if arrays:
            # Numbered, because arrays are called what people like, and names of members of a zip file are not.
            members = {str(number): each.values for number, each in enumerate(arrays.values())}
            about = json.dumps([[name, each.version] for name, each in arrays.items()]).encode()
            with whole_file(beside) as unfinished, unfinished.open("wb") as file:
                np.savez(file, allow_pickle=False, about=np.frombuffer(about, np.uint8), **members)
        else:
            beside.unlink(missing_ok=True)
        with whole_file(path) as unfinished, unfinished.open("wb") as file:
            np.save(file, table.data, allow_pickle=False)
        return str(path.relative_to(self.root))

    def load(self, file: str) -> PointTable:
        """The table in a file that :meth:`save` named.

        :raises OSError: the file is gone
        """
        return PointTable.from_array(np.load(self.root / file, mmap_mode="r", allow_pickle=False))

    def arrays(self, file: str) -> dict[str, Versioned]:
        """The arrays that :meth:`save` wrote with the table in that file; none if it had none.

        :raises OSError: they cannot be read
        """
        beside = (self.root / file).with_suffix(".npz")
        if not beside.exists():
            return {}
        with np.load(beside, allow_pickle=False) as stored:
            about: list[tuple[str, int]] = json.loads(stored["about"].tobytes())
            return {name: Versioned(stored[str(number)], version) for number, (name, version) in enumerate(about)}

    def size(self, file: str) -> int:
        """Bytes of a file that :meth:`save` named, and of the arrays beside it."""
        return sum(path.stat().st_size for path in self._both(file) if path.exists())

    def remove(self, file: str) -> int:
        """Remove them, if they are there; gives the bytes that are free then.

        :raises OSError: they cannot be removed
        """
        size = self.size(file)
        for path in self._both(file):
            path.unlink(missing_ok=True)
        return size

    def left_over(self, known: Container[str], before: float) -> list[str]:
        """Tables that are not known, and files whose writing was cut off, last written to before a time, in seconds since 1970.

        :param known: the files that :meth:`save` named and that are in the catalogue
        :returns: them, relative to :attr:`root`; :meth:`remove` takes each
        """
        old = (path for pattern in ("*/*.npy", "*/.*.part") for path in self.root.glob(pattern) if path.stat().st_mtime < before)
        return sorted(file for file in (str(path.relative_to(self.root)) for path in old) if file not in known)

    def _both(self, file: str) -> tuple[Path, Path]:
        return self.root / file, (self.root / file).with_suffix(".npz")

    def preview(self, run: str) -> bytes | None:
        """The preview picture of a run as PNG; None if there is none (yet)."""
        try:
            return (self.root / safe_name(run) / PREVIEW).read_bytes()
        except OSError:
            return None
