"""Runs the plans of the page with a real RunEngine, and reconstructs the runs from their documents and files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import numpy.typing as npt
from bluesky import RunEngine
from event_model import sanitize_doc
from ophyd_async.core import TriggerInfo

from gallery.devices import Detector, Motor, Number, Stage, Trajectory
from wpb_dagster.reconstruction import Reconstructed, reconstruct_run, replay
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.core.documents import Document, parse
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes import chooser

DATA = "/dls/b01-1/data"
"""Where the page says that files are; they are in the bench's folder."""
FRAME = (48, 64)

Map = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Section:
    """One entry of the page."""

    title: str
    picture: str
    """Its file's name, without ``.png``."""
    plan: str
    """Python, as the page has it."""


def sections_of(page: str) -> list[Section]:
    """The entries of the gallery's page: each headline ``##`` with a plan below it, and a picture below that."""
    found: list[Section] = []
    for title, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL):
        plans = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        pictures = re.findall(r"!\[[^]]+\]\(pictures/gallery/([a-z-]+)\.png\)", text)
        if len(plans) != 1 or len(pictures) != 1:
            raise ValueError(f"gallery.md: {title!r} must have one plan and one picture")
        found.append(Section(title, pictures[0], plans[0]))
    return found


@dataclass(frozen=True)
class Made:
    """What wpb makes of a run."""

    recipe: str
    run: Reconstructed

    @property
    def maps(self) -> dict[str, Map]:
        """By channel, NaN where nothing was measured."""
        return self.run.table.maps(self.run.info.shape)

    def array(self, name: str) -> Map:
        """What is accumulated, or made of the maps."""
        return self.run.arrays[name].values.astype(np.float64)


class Bench:
    """The names that plans of the page use: ``RE``, plans, and devices, of which a scene says what they see.

    :param folder: an empty one, for the files
    """

    def __init__(self, section: Section, folder: Path) -> None:
        self.folder = folder
        self.random = np.random.default_rng(list(section.picture.encode()))
        self.stage, self.piezo, self.slit = Stage("stage"), Stage("piezo", "um"), Stage("slit")
        self.theta = Motor("theta", "deg")
        self.jittery = Stage("jittery", error=lambda: self.random.normal(0, 0.03))
        trajectory = Trajectory(self.stage)
        self.camera = Detector("camera", FRAME, "u2", folder, f"file://localhost{DATA}", trajectory)
        self.xspress3 = Detector("xspress3", (2, 500), "u4", folder, f"file://localhost{DATA}", trajectory)
        self.diode, self.i0 = Number("diode", lambda: 0.0, "nA"), Number("i0", lambda: 1.0, "nA")
        self.trajectory = trajectory
        self._section = section
        self._documents: list[Document] = []

    def run(self) -> Made:
        """Run the section's plan, and reconstruct it."""
        engine = RunEngine({}, context_managers=[])
        engine.subscribe(self._remember)
        devices = ("stage", "piezo", "slit", "theta", "jittery", "camera", "xspress3", "diode", "i0", "trajectory")
        names = {name: getattr(self, name) for name in devices}
        exec(self._section.plan, {"RE": engine, "bp": bp, "bps": bps, "bpp": bpp, "TriggerInfo": TriggerInfo, "np": np, **names})  # noqa: S102  our own pages
        return self.again()

    def again(self, without: Sequence[str] = ()) -> Made:
        """Reconstruct the run as if its plan had not asked for some keys."""
        (start, *others) = self._documents
        entry = {key: value for key, value in dict(start.doc.get("wpb", {})).items() if key not in without}
        documents = [_received("start", {**start.doc, "wpb": entry}), *others]
        run, refs = replay(documents, chooser(lambda _: PlanDefaults()))
        assert run.recipe is not None
        frames = ScanFrames(tuple(refs), DataRoots((self.folder,), ((DATA, str(self.folder)),)))
        made = reconstruct_run(run, frames, window_frames=64, ended=True, produced_by="gallery", revision="batch")
        return Made(run.recipe.name, made)

    def _remember(self, name: str, doc: Mapping[str, Any]) -> None:
        self._documents.append(_received(name, doc))


def _received(name: str, doc: Mapping[str, Any]) -> Document:
    """A document as it is after a bus."""
    document = parse(json.dumps([name, sanitize_doc(doc)]).encode())
    assert isinstance(document, Document), document
    return document


__all__ = ["FRAME", "Bench", "Made", "Section", "sections_of"]
