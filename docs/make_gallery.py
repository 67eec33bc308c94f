"""Make the pictures of docs/gallery.md anew: run each plan of the page as it stands there, reconstruct the run, draw it.

An entry is a section of the page, with a plan and a picture, and a function here of the picture's name (``_`` for ``-``) that
sets up what the devices see, has the plan run, and gives rows of panels. The same script makes the same pictures, byte for byte.

``python docs/make_gallery.py [PICTURE...]``
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import h5py
import numpy as np
import tifffile

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from gallery import scenes
from gallery.bench import Bench, Made, Section, sections_of
from gallery.drawing import Line, Panel, of_colours, of_frame, of_lines, of_map, page_of

from wpb_stream.core.peaks import peak_of

PAGE = Path(__file__).parent / "gallery.md"
PICTURES = Path(__file__).parent / "pictures" / "gallery"
COLOURS = ("red", "green", "blue")

Entry = Callable[[Bench], tuple[Made, Sequence[Sequence[Panel]]]]
ENTRIES: dict[str, Entry] = {}


def entry(function: Entry) -> Entry:
    """Count a function among the entries."""
    ENTRIES[function.__name__.replace("_", "-")] = function
    return function


def draw(section: Section) -> tuple[Made, bytes]:
    """What wpb makes of an entry's plan, and the picture of it."""
    with tempfile.TemporaryDirectory() as folder:
        made, rows = ENTRIES[section.picture](Bench(section, Path(folder)))
    return made, page_of(rows)


def _shining(bench: Bench, stage: str = "stage") -> Made:
    bench.camera.sees = lambda: scenes.shines(getattr(bench, stage), bench.random)
    return bench.run()


def _coloured(made: Made, *more: str, names: Sequence[str] = COLOURS) -> list[Panel]:
    maps = made.maps
    panels = [of_colours("RGB", *(maps[name] for name in names))]
    panels += [of_map(name, maps[name], _units(made, name), colour) for name, colour in zip(names, COLOURS, strict=True)]
    return panels + [of_map(name, maps[name], _units(made, name)) for name in more]


def _units(made: Made, channel: str) -> str:
    return next(told.units for told in made.run.info.channels if told.name == channel) or ""


@entry
def colours(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """A raster."""
    made = _shining(bench)
    return made, [_coloured(made, "total")]


@entry
def peak(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """A line and its fit."""
    at = bench.slit.x

    def wanted(x: float) -> float:
        return 3 + 0.8 * x + 20 * float(np.exp(-(((x - 0.17) / 0.2) ** 2) / 2))

    bench.diode.value = lambda: float(bench.random.normal(wanted(at.position), 0.8))
    made = bench.run()
    y, x = made.maps["diode"], np.linspace(-1, 1, 61)
    fit = {name: float(made.array(f"fit.diode.{name}")[0]) for name in ("centre", "centre_stderr", "fwhm", "fwhm_stderr", "height")}
    stats = peak_of(x, y)
    assert stats is not None
    assert stats.centre is not None
    assert stats.fwhm is not None
    told = [
        (f"fit: centre {fit['centre']:.4f} ± {fit['centre_stderr']:.4f} mm", 1),
        (f"fwhm {fit['fwhm']:.4f} ± {fit['fwhm_stderr']:.4f} mm", 1),
        (f"height {fit['height']:.2f} nA", 1),
        (f"PeakStats: centre {stats.centre:.4f} mm", 0),
        (f"fwhm {stats.fwhm:.4f} mm, maximum {stats.maximum[1]:.2f} nA", 0),
    ]
    lines = [Line(x, made.array("fit.diode.curve"), 1), Line(x, y, dots=True)]
    return made, [[of_lines("diode", lines, (640, 300), ("slit-x (mm)", "nA"), told)]]


@entry
def edges(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """A map, each line of which is fitted."""
    at = bench.slit.x

    def current() -> float:
        y = bench.stage.y.position
        return float(bench.random.normal(10 * scenes.edge(at.position, 0.5 * np.sin(8 * y) - 0.1, 0.15 + 0.3 * y), 0.3))

    bench.diode.value = current
    made = bench.run()
    y = np.linspace(0, 0.5, 11)
    centres = Line(y, made.array("fit.diode.centre"), 0, dots=True, errors=made.array("fit.diode.centre_stderr"))
    panels = [
        of_map("diode", made.maps["diode"], "nA"),
        of_map("fit.diode.curve", made.array("fit.diode.curve"), "nA"),
        of_lines("fit.diode.centre", [Line(y, centres.y, 0), centres], (320, 190), ("stage-y (mm)", "mm")),
    ]
    return made, [panels]


@entry
def sliding(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Means of a point and of those before it."""
    at = bench.slit.x
    bench.diode.value = lambda: float(bench.random.normal(10 * scenes.edge(at.position, 0.1, 0.4), 1.5))
    made = bench.run()
    x = np.linspace(-1, 1, 121)
    lines = [Line(x, made.maps["diode"], dots=True), Line(x, made.array("sliding.diode"), 1)]
    return made, [[of_lines("diode", lines, (640, 240), ("slit-x (mm)", "nA"), [("diode", 0), ("sliding.diode", 1)])]]


@entry
def adaptive(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """A line of unknown length."""
    at = bench.slit.x
    bench.diode.value = lambda: 20 * scenes.edge(at.position, 0.1)
    bench.camera.sees = lambda: bench.random.poisson(
        5 + 60 * np.clip((at.position - 0.1) * 40 + 32 - scenes.COLUMNS + 0.5, 0, 1) * np.exp(-((scenes.RADIUS / 14) ** 2))
    )
    made = bench.run()
    maps = made.maps
    line = Line(maps["slit-x"], maps["diode"], 0, dots=True)
    lines = of_lines("diode over slit-x", [line], (470, 230), ("slit-x (mm)", "nA"), [(f"{len(maps['diode'])} points", 0)])
    return made, [[lines, of_frame("mean_frame", made.array("mean_frame"), "counts/pixel")]]


@entry
def spiral(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Positions that are no grid."""
    made = _shining(bench)
    return made, [_coloured(made)]


@entry
def ellipse(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """A scanspec with a mask."""
    made = _shining(bench)
    return made, [_coloured(made)]


@entry
def statistics(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Every statistic but the sum."""
    bench.camera.sees = lambda: scenes.grains(bench.stage, bench.random)
    made = bench.run()
    return made, [[of_map(channel.label, made.maps[channel.name], channel.units or "") for channel in made.run.info.channels]]


@entry
def virtual_detectors(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Bright, annular and dark field."""
    bench.camera.sees = lambda: scenes.scatters(bench.stage, bench.random)
    made = bench.run()
    circles = [(*scenes.CENTRE, radius) for radius in (7, 15)]
    frame = of_frame("mean_frame, as its logarithm", np.log10(made.array("mean_frame")), "", circles)
    return made, [[frame, *(of_map(name, made.maps[name], "counts") for name in ("bright field", "annular", "dark field"))]]


@entry
def phase(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Differential phase contrast."""
    bench.camera.sees = lambda: scenes.bends(bench.piezo, bench.random)
    made = bench.run()
    shifts = [of_map(name, made.maps[name], "pixels") for name in ("row", "column")]
    return made, [[*shifts, of_map("phase", made.array("phase"), "radians")]]


@entry
def elements(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Fluorescence."""
    fluorescence = scenes.Fluorescence(bench.stage, bench.random)
    bench.xspress3.sees = fluorescence.spectra
    for number in (0, 1):
        bench.xspress3.beside[f"/entry/instrument/NDAttributes/CHAN{number + 1}DTFactor"] = lambda number=number: fluorescence.factors[
            number
        ]
    made = bench.run()
    windows = {"Fe": (6.2, 6.6), "Ca": (3.5, 3.9), "Cu": (7.8, 8.3)}
    spectra = made.array("sum_spectrum")
    lines = [Line(scenes.ENERGIES[50:], np.log10(np.maximum(spectrum[50:], 1)), 2 * number) for number, spectrum in enumerate(spectra)]
    told = [("element 1", 0), ("element 2", 2)]
    spectrum = of_lines("sum_spectrum", lines, (956, 220), ("energy (keV)", "log10 counts"), told, windows)
    return made, [_coloured(made, names=("Fe", "Ca", "Cu")), [spectrum]]


@entry
def rings(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Azimuthal integration."""
    bench.camera.sees = lambda: scenes.powders(bench.stage, bench.random)
    made = bench.run()
    frame = of_frame("mean_frame", made.array("mean_frame"), "counts/pixel")
    return made, [[frame, *_coloured(made, names=("first", "second", "halo"))]]


@entry
def corrections(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Masks, dark and flat, with and without."""
    camera = scenes.OldCamera()
    with h5py.File(bench.folder / "masks.h5", "w") as masks:
        masks["pixel_mask"], masks["ring"] = camera.bad, camera.ring
    with h5py.File(bench.folder / "dark.h5", "w") as dark:
        dark["entry/data/data"] = camera.dark
    tifffile.imwrite(bench.folder / "flat.tif", camera.flat.astype(np.float32))
    bench.camera.sees = lambda: camera.frame(bench.stage, bench.random)
    made = bench.run()
    raw = bench.again(without=("bad_pixels", "dark", "flat"))
    panels = [
        of_frame("mean_frame, raw", np.minimum(raw.array("mean_frame"), 110), "counts/pixel, and above"),
        of_frame("mean_frame", made.array("mean_frame"), "counts/pixel"),
        of_map("ring, raw", raw.maps["ring"], "counts"),
        of_map("ring", made.maps["ring"], "counts"),
    ]
    return made, [panels]


@entry
def normalised(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Divided by a monitor."""
    points = count()

    def look() -> scenes.Frame:
        current = scenes.fading(next(points))
        bench.i0.value = lambda: current
        return scenes.shines(bench.stage, bench.random) * current

    bench.camera.sees = look
    made, raw = bench.run(), bench.again(without=("normalise",))
    panels = [of_map("total, not divided", raw.maps["total"], "counts")]
    return made, [[*panels, *(of_map(name, made.maps[name], _units(made, name)) for name in ("i0", "total"))]]


@entry
def bins(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Measured positions."""
    made = _shining(bench, "jittery")
    return made, [_coloured(made, "count")]


@entry
def slices(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """Tomography."""
    bench.camera.sees = lambda: scenes.turns(bench.theta, bench.random)
    made = bench.run()
    return made, [
        [of_frame(name, made.array(name), "by a pixel" * name.startswith("slice")) for name in ("sinogram.34", "slice.34", "slice.12")]
    ]


@entry
def frames(bench: Bench) -> tuple[Made, Sequence[Sequence[Panel]]]:
    """What becomes of all frames together."""
    bench.camera.sees = lambda: scenes.grains(bench.stage, bench.random)
    made = bench.run()
    names = {"mean_frame": "counts/pixel", "maximum_frame": "counts", "last_frame": "counts/pixel"}
    return made, [[of_frame(name, made.array(name), units) for name, units in names.items()]]


def main(only: Sequence[str]) -> None:
    """Draw all pictures, or those named."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for section in sections_of(PAGE.read_text()):
        if not only or section.picture in only:
            (PICTURES / f"{section.picture}.png").write_bytes(draw(section)[1])


if __name__ == "__main__":
    main(sys.argv[1:])
