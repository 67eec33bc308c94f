"""The documents of a run turned into the frames to read: one state machine a run.

Positions: the point of the scan comes from ``seq_num`` (which is rewound after a pause), the place in the file from ``indices``
(which never is). When a point was measured twice, the later frame wins. Everything is idempotent: buses redeliver.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wpb_stream.core.documents import MAX_INDEX, Document
from wpb_stream.core.narrow import as_mapping
from wpb_stream.core.recipe import Notice, Recipe
from wpb_stream.core.window import FrameRef, StreamFile

ENDED = ("success", "abort", "fail", "lost")
"""What ``status`` may be once a run is over."""
MAX_NOTICES = 20
"""Notices of one code that a run keeps; a scan of a million missing frames must not tell a million sentences."""
MAX_FRAMES_PER_POINT = 2**20
"""Frames a point above this are not believed."""


@dataclass(slots=True)
class Run:
    """One run, as far as its documents have come."""

    start: dict[str, Any]
    recipe: Recipe | None
    """None: the run is tracked and kept, but nothing is reconstructed live."""
    stop: dict[str, Any] | None = None
    notices: list[Notice] = field(default_factory=list[Notice])
    """Grows only: readers hold a position."""
    _told: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    _descriptors: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    _files: dict[str, tuple[int, StreamFile]] = field(default_factory=dict[str, tuple[int, StreamFile]])
    _detector: tuple[str, str] | None = None
    last_time: float = 0.0
    """The largest time in any of its documents, seconds since 1970."""
    _latest: npt.NDArray[np.int64] = field(init=False)
    """For each point of the grid the version of its newest frame, plus 1; 0 for a point without one."""

    def __post_init__(self) -> None:
        # Zeros cost no memory before they are written: a hostile shape is not believed.
        self._latest = np.zeros(self.recipe.grid.size if self.recipe else 0, np.int64)
        if self.recipe is None:
            self.notice(
                "no_recipe", "No reconstruction fits this run: its start document names no shape. It is kept, and can be reprocessed."
            )
        else:
            for told in self.recipe.notices:
                self.notice(told.code, told.message)

    @property
    def uid(self) -> str:
        """Uid of the start document."""
        return self.start["uid"]

    @property
    def status(self) -> str:
        """``running``, or how it ended: ``success``, ``abort``, ``fail``."""
        return "running" if self.stop is None else self.stop["exit_status"]

    @property
    def complete(self) -> bool:
        """Whether as many points were announced as the stop document counts; True while there is nothing to compare."""
        if self.stop is None or self._detector is None:
            return True
        counted = as_mapping(self.stop.get("num_events")).get(self._detector[0])
        return not isinstance(counted, int) or int(np.count_nonzero(self._latest)) >= min(counted, len(self._latest))

    def knows(self, uid: str) -> bool:
        """Whether the descriptor or stream resource of that uid was taken in."""
        return uid in self._descriptors or uid in self._files

    @property
    def descriptors(self) -> int:
        """Descriptors taken in so far."""
        return len(self._descriptors)

    def units(self, name: str) -> str | None:
        """Units of a motor or other data key, once a descriptor has named them."""
        for descriptor in self._descriptors.values():
            units = descriptor["data_keys"].get(name, {}).get("units")
            if units:
                return str(units)
        return None

    def notice(self, code: str, message: str) -> None:
        """Tell the people who watch this run, once for each code and message, and a bounded number of times for each code."""
        told = self._told[code]
        if message in told or len(told) > MAX_NOTICES:
            return
        told.add(message)
        more = len(told) > MAX_NOTICES
        self.notices.append(Notice(code, "There was more of this kind, which is not listed one by one." if more else message))

    def apply(self, document: Document) -> list[FrameRef]:
        """Take in one document of this run whose parents were taken in before.

        :returns: the frames it announces that are to be read, in order; none if it was seen before
        """
        doc = document.doc
        time = doc.get("time")
        if isinstance(time, (int, float)):
            self.last_time = max(self.last_time, float(time))
        match document.name:
            case "descriptor":
                self._descriptors.setdefault(doc["uid"], doc)
                self._choose_detector(doc)
            case "stream_resource":
                if doc["uid"] not in self._files:
                    file = StreamFile(doc["uid"], doc["data_key"], doc["mimetype"], doc["uri"], doc["parameters"])
                    self._files[doc["uid"]] = (len(self._files), file)
            case "stream_datum":
                return self._frames(doc)
            case "stop":
                self.stop = self.stop or doc
            case _:
                pass
        return []

    def _choose_detector(self, descriptor: dict[str, Any]) -> None:
        if self._detector is not None or self.recipe is None:
            return
        images = [key for key, value in descriptor["data_keys"].items() if _is_image(value)]
        wanted = self.recipe.data_key
        if wanted is not None and wanted not in descriptor["data_keys"]:
            return
        if wanted is None and not images:
            return
        key = wanted or images[0]
        self._detector = (descriptor.get("name", "primary"), key)
        if wanted is None and len(images) > 1:
            self.notice("detector_guessed", f"Several detectors write images ({', '.join(images)}); the maps are made from {key!r}.")

    def _frames(self, datum: dict[str, Any]) -> list[FrameRef]:
        descriptor = self._descriptors.get(datum["descriptor"])
        order, file = self._files.get(datum["stream_resource"], (0, None))
        if descriptor is None or file is None:
            self.notice("documents_contradict", f"Stream datum {datum['uid']} refers to documents of another run, or of another kind.")
            return []
        if self.recipe is None or self._detector != (descriptor.get("name", "primary"), file.data_key):
            return []
        per_index = _frames_per_index(descriptor["data_keys"].get(file.data_key, {}), file.parameters)
        first_index, first_point = datum["indices"]["start"], datum["seq_nums"]["start"] - 1
        width = min(datum["indices"]["stop"] - first_index, datum["seq_nums"]["stop"] - 1 - first_point)
        placeable = max(0, min(width, self.recipe.grid.size - first_point))
        versions = order * MAX_INDEX + first_index + 1 + np.arange(placeable)
        latest = self._latest[first_point : first_point + placeable]
        newer = np.flatnonzero(versions > latest)
        latest[newer] = versions[newer]
        refs = [
            FrameRef(first_point + step, file, (first_index + step) * per_index, per_index, order * MAX_INDEX + first_index + step)
            for step in newer.tolist()
        ]
        if first_point + width > self.recipe.grid.size:
            self.notice(
                "overrun", f"The scan went on beyond the {self.recipe.grid.size} points of its shape; the points after are not on the map."
            )
        return refs


def _is_image(data_key: dict[str, Any]) -> bool:
    shape = data_key.get("shape") or ()
    return str(data_key.get("external", "")).startswith("STREAM:") and len(shape) >= 2


def _frames_per_index(data_key: dict[str, Any], parameters: dict[str, Any]) -> int:
    """Frames in the file for each index: the leading 1 of ``[F, rows, columns]``, or the older ``multiplier``."""
    shape = data_key.get("shape") or ()
    told = (parameters.get("multiplier"), shape[0] if len(shape) == 3 else None)
    return next((number for number in told if type(number) is int and 0 < number <= MAX_FRAMES_PER_POINT), 1)
