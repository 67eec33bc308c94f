"""What the devices of the gallery see: small worlds, each a function of where the stage stands."""

from __future__ import annotations

from math import erf, exp, pi

import numpy as np
import numpy.typing as npt

from gallery.bench import FRAME
from gallery.devices import Motor, Stage
from wpb_stream.sim import sample

Frame = npt.NDArray[np.float64]
Random = np.random.Generator

ROWS, COLUMNS = np.mgrid[0 : FRAME[0], 0 : FRAME[1]].astype(np.float64)
CENTRE = (24.0, 32.0)
RADIUS = np.hypot(ROWS - CENTRE[0], COLUMNS - CENTRE[1])

FIELD_MM = (1.38, 0.9)
"""What is scanned of the sample, across and up."""

Q_RINGS = ((9.9, 16.1), (13.3, 18.9))
"""Rings of two phases, in 1/nm."""
ENERGIES = (np.arange(500) + 0.5) * 0.02
"""Of the channels of a spectrum, in keV."""
LINES_KEV = {
    "Fe": ((6.40, 1.0), (7.06, 0.13)),
    "Ca": ((3.69, 1.0), (4.01, 0.12)),
    "Cu": ((8.05, 1.0), (8.90, 0.13)),
    "Ar": ((2.96, 1.0), (3.19, 0.1)),
}
PULSE_S = 4e-7
"""How long a fluorescence detector's element is dead after each count."""

BEADS = ((1.3, 1.2, 0.9), (2.8, 1.9, 1.1), (3.4, 0.7, 0.5))
"""Across, up and radius in um."""
BEAM_PX = 10.0
"""Radius of the beam on the detector."""


def place(stage: Stage) -> tuple[float, float]:
    """Where the stage is in the field, across and down, 0..1."""
    return stage.x.position / FIELD_MM[0], 1 - stage.y.position / FIELD_MM[1]


def shines(stage: Stage, random: Random) -> Frame:
    """A ring, a flower and a dendrite, each in its third of the frame."""
    return sample.frame(*place(stage), FRAME, random).astype(np.float64)


def _grains() -> tuple[Frame, list[Frame]]:
    """Middles of grains in the field, and where each scatters to: its spots, row and column."""
    random = np.random.default_rng(8)
    middles = random.uniform(0, 1, (24, 2))
    spots: list[Frame] = []
    for grain in range(len(middles)):
        angles = random.uniform(0, pi) + np.arange(2 + grain % 4) * 2 * pi / (2 + grain % 4)
        spots.append(np.stack([CENTRE[0] + 17 * np.sin(angles), CENTRE[1] + 17 * np.cos(angles)], axis=-1))
    return middles, spots


_MIDDLES, _SPOTS = _grains()
_BRIGHTNESS = np.random.default_rng(4).uniform(60, 260, len(_MIDDLES))


def grains(stage: Stage, random: Random) -> Frame:
    """Spots of the grain that the beam is on, and of none where it is between two; and something in between, the more the thicker."""
    u, v = place(stage)
    distances = np.hypot((_MIDDLES[:, 0] - u) * FIELD_MM[0] / FIELD_MM[1], _MIDDLES[:, 1] - v)
    nearest, second = np.argsort(distances)[:2]
    inside = 1 / (1 + exp(-(distances[second] - distances[nearest] - 0.03) / 0.008))
    image = (3 + 5 * v * (1 - u)) * np.exp(-RADIUS / 40)
    for row, column in _SPOTS[nearest]:
        image += inside * _BRIGHTNESS[nearest] * np.exp(-((ROWS - row) ** 2 + (COLUMNS - column) ** 2) / (2 * 1.1**2))
    return random.poisson(image).astype(np.float64)


def scatters(stage: Stage, random: Random) -> Frame:
    """A disk of what goes through, and a halo of what does not: the dendrite is heavy and scatters far, the ring is light."""
    light, medium, heavy = sample.response(*place(stage))
    through = exp(-0.5 * light - 0.6 * medium - 1.2 * heavy)
    near, far = (1 - through) * (light + 0.7 * medium) + 0.01, (1 - through) * (heavy + 0.3 * medium) + 0.005
    direct = 120 * through / (1 + np.exp((RADIUS - 5) / 0.5))
    outside = 1 / (1 + np.exp((6 - RADIUS) / 0.5))
    image = direct + outside * (60 * near * np.exp(-((RADIUS / 9) ** 2)) + 30 * far * np.exp(-((RADIUS / 24) ** 2))) + 0.3
    return random.poisson(image).astype(np.float64)


def bends(stage: Stage, random: Random) -> Frame:
    """The beam as a disk, moved by the gradient of the phase of some beads, at 2 m and 0.15 nm, on pixels of 55 um."""
    across = up = 0.0
    for x, y, radius in BEADS:
        dx, dy = stage.x.position - x, stage.y.position - y
        inside = radius**2 - dx**2 - dy**2
        # A ball's thickness is 2 sqrt(inside): its slope at the rim is without end, and is cut off where a beam of 0.1 um would.
        slope = -2.0 / np.sqrt(max(inside, 0.12 * radius**2)) if inside > 0 else 0.0
        across, up = across + slope * dx, up + slope * dy
    per_um = 1.2e6 * 0.15e-9 / (2 * pi) * 2.0 / 55e-6
    row, column = CENTRE[0] - per_um * up, CENTRE[1] + per_um * across
    return random.poisson(40 / (1 + np.exp((np.hypot(ROWS - row, COLUMNS - column) - BEAM_PX) / 0.6))).astype(np.float64)


class Fluorescence:
    """Spectra of a detector of two elements, of which the nearer one counts more, and loses more to its dead time."""

    def __init__(self, stage: Stage, random: Random) -> None:
        self._stage, self._random = stage, random
        self.factors = [1.0, 1.0]
        """What each element's last spectrum is to be multiplied by."""

    def spectra(self) -> Frame:
        """Counts, shape (2, channels)."""
        ring, flower, dendrite = sample.response(*place(self._stage))
        amounts = {"Fe": ring, "Ca": flower, "Cu": dendrite, "Ar": 0.5}
        wanted = 1.5 * np.exp(-ENERGIES / 4)
        for element, amount in amounts.items():
            for energy, strength in LINES_KEV[element]:
                wanted += 30 * amount * strength * np.exp(-(((ENERGIES - energy) / 0.075) ** 2) / 2)
        rates = [4e5 * near * float(wanted.sum()) / 300 for near in (1.0, 0.6)]
        self.factors = [1 + PULSE_S * rate for rate in rates]
        return np.stack([self._random.poisson(near * wanted / dead) for near, dead in zip((1.0, 0.6), self.factors, strict=True)])


def powders(stage: Stage, random: Random) -> Frame:
    """Rings on a detector whose beam centre is at its left edge, low: pixels of 1 mm, 0.2 m away, 0.1 nm."""
    first, second, glass = sample.response(*place(stage))
    two_theta = np.arctan(np.hypot(ROWS + 0.5 - 48, COLUMNS + 0.5 - 8) * 1e-3 / 0.2)
    q = 4 * pi / 0.1 * np.sin(two_theta / 2)
    image = 3 + 14 * glass * np.exp(-(((q - 6) / 2.2) ** 2))
    for amount, rings in ((first, Q_RINGS[0]), (second, Q_RINGS[1])):
        for strength, ring in zip((55, 25), rings, strict=True):
            image += amount * strength * np.exp(-(((q - ring) / 0.22) ** 2) / 2)
    return random.poisson(image).astype(np.float64)


class OldCamera:
    """A camera with a pedestal, columns of unequal gain, and hot and dead pixels, before what :func:`scatters`."""

    def __init__(self) -> None:
        random = np.random.default_rng(6)
        self.dark = np.round(40 + 25 * (ROWS / FRAME[0]) + random.normal(0, 2, FRAME))
        self.flat = np.round(0.7 + 0.5 * (COLUMNS % 16 < 8) + random.normal(0, 0.05, FRAME), 3)
        self.bad = np.zeros(FRAME, np.uint8)
        self.bad[tuple(random.integers(0, side, 40) for side in FRAME)] = 1
        self.bad[30, :] = 1
        self.ring = ((RADIUS > 8) & (RADIUS <= 20)).astype(np.uint8)

    def frame(self, stage: Stage, random: Random) -> Frame:
        """Counts: bad pixels say anything."""
        image = np.round(scatters(stage, random) * self.flat + self.dark)
        return np.where(self.bad, random.integers(0, 1500, FRAME), image)


SKELETON = ((0.0, 0.0, 26.0, 20.0, 0.02), (9.0, 4.0, 7.0, 5.0, 0.05), (-10.0, -3.0, 5.0, 9.0, -0.018), (2.0, -11.0, 3.0, 3.0, 0.09))
"""Ellipses of a sample that turns, as its lowest row has them: middle and half axes in pixels, and absorption by a pixel."""


def turns(theta: Motor, random: Random) -> Frame:
    """Projections of :data:`SKELETON`, which becomes smaller upwards, at 4,000 counts above a dark of 100."""
    angle = np.deg2rad(theta.position)
    absorbed = np.zeros(FRAME)
    size = 0.6 + 0.4 * ROWS / FRAME[0]
    for x, y, a, b, strength in SKELETON:
        # The chord of an ellipse: A. C. Kak and M. Slaney, Principles of Computerized Tomographic Imaging, 1988, section 3.1.
        reach = size**2 * ((a * np.cos(angle)) ** 2 + (b * np.sin(angle)) ** 2)
        off = COLUMNS - 31.5 - size * (x * np.cos(angle) - y * np.sin(angle))
        absorbed += strength * 2 * size**2 * a * b * np.sqrt(np.maximum(reach - off**2, 0)) / reach
    return random.poisson(100 + 3900 * np.exp(-absorbed)).astype(np.float64)


def edge(position: float, middle: float = 0.0, width: float = 0.12) -> float:
    """A beam that comes out behind an edge."""
    return (1 + erf((position - middle) / width)) / 2


def fading(point: int, every: int = 110) -> float:
    """The current of a ring that loses its beam, and is filled up again."""
    return 250 * exp(-1.1 * (point % every) / every)
