"""A sample that looks like something: a ring, a flower and a dendrite, each shining mostly in one colour.

Positions are normalised stage coordinates: ``u`` across and ``v`` down, 0..1 over the scanned field. The camera sees the red, green and
blue response at one position as three horizontal bands, thirds of the frame's height, so that summing each band gives the maps back.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BANDS = 3
"""Horizontal bands of a frame: red, green, blue from the top."""
DARK = 14.0
"""Counts of an unlit pixel, before noise."""
FULL_SCALE = 150.0
"""Counts that a response of 1 adds to a pixel of average texture."""
NOISE = 5.0
"""Standard deviation of a pixel's noise, in counts."""

# What each feature gives to red, green and blue.
_RING = (0.95, 0.20, 0.03)
_FLOWER = (0.12, 0.95, 0.16)
_DENDRITE = (0.12, 0.14, 1.00)
_BACKGROUND = (0.05, 0.04, 0.08)


def _ring(u: FloatArray, v: FloatArray) -> FloatArray:
    """An annulus that is brighter on one side, as if lit from the upper left."""
    dx, dy = u - 0.34, v - 0.45
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    return np.exp(-(((radius - 0.27) / 0.06) ** 2)) * (0.75 + 0.25 * np.cos(angle + 2.2))


def _flower(u: FloatArray, v: FloatArray) -> FloatArray:
    """A blob whose edge has five lobes."""
    dx, dy = u - 0.69, v - 0.60
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    edge = 0.20 * (1 + 0.28 * np.cos(5 * angle + 0.6))
    return 1 / (1 + np.exp((radius - edge) / 0.022)) * (0.72 + 0.28 * np.cos(radius * 38))


def _segments() -> list[tuple[float, float, float, float, float]]:
    """The dendrite's trunk and side arms as ``u0, v0, u1, v1, half width``."""
    foot, tip = np.array([0.06, 0.90]), np.array([0.95, 0.22])
    along = (tip - foot) / np.hypot(*(tip - foot))
    arms = [(*foot, *tip, 0.040)]
    for k, place in enumerate(np.linspace(0.16, 0.84, 6)):
        side = 1 if k % 2 else -1
        turn = side * np.deg2rad(58)
        heading = np.array([along[0] * np.cos(turn) - along[1] * np.sin(turn), along[0] * np.sin(turn) + along[1] * np.cos(turn)])
        root = foot + place * (tip - foot)
        end = root + heading * 0.34 * (1.1 - place)
        arms.append((*root, *end, 0.030))
    return [(float(a), float(b), float(c), float(d), e) for a, b, c, d, e in arms]


_DENDRITE_SEGMENTS = _segments()


def _dendrite(u: FloatArray, v: FloatArray) -> FloatArray:
    """A slanted trunk with side arms that grow shorter towards its tip."""
    brightest = np.zeros(np.broadcast(u, v).shape)
    for u0, v0, u1, v1, width in _DENDRITE_SEGMENTS:
        du, dv = u1 - u0, v1 - v0
        nearest = np.clip(((u - u0) * du + (v - v0) * dv) / (du * du + dv * dv), 0, 1)
        distance = np.hypot(u - u0 - nearest * du, v - v0 - nearest * dv)
        np.maximum(brightest, np.exp(-((distance / width) ** 2)), out=brightest)
    return brightest


def response(u: npt.ArrayLike, v: npt.ArrayLike) -> FloatArray:
    """How brightly the sample shines at a position, without noise.

    :param u: across, 0..1; any shape
    :param v: down, 0..1; broadcast against ``u``
    :returns: the red, green and blue response, 0..1, in a last axis of length 3
    """
    across, down = np.broadcast_arrays(np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64))
    parts = ((_ring(across, down), _RING), (_flower(across, down), _FLOWER), (_dendrite(across, down), _DENDRITE))
    colours = [_BACKGROUND[k] * (1 + down) + sum(feature * colour[k] for feature, colour in parts) for k in range(BANDS)]
    return np.clip(np.stack(colours, axis=-1), 0.0, 1.0)


def band_rows(height: int) -> tuple[tuple[int, int], ...]:
    """First and one-past-last row of the red, green and blue band in a frame of ``height`` rows."""
    return tuple((height * k // BANDS, height * (k + 1) // BANDS) for k in range(BANDS))


@lru_cache(maxsize=4)
def _texture(shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """What the optics make of an even light: fibres, spots and a darker rim; mean 1 in each band."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(width)
    fibres = 1 + 0.16 * np.sin(46 * x + 7 * np.sin(9 * y)) * np.cos(31 * y + 5 * np.sin(6 * x))
    rng = np.random.default_rng(7)
    spots = np.zeros(shape, dtype=np.float32)
    for centre_y, centre_x, size in rng.uniform((0, 0, 0.01), (height / width, 1, 0.035), (36, 3)):
        spots += np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / np.float32(size**2))
    texture = (fibres + 0.35 * np.minimum(spots, 1.0)).astype(np.float32)
    for first, last in band_rows(height):
        if last > first:
            rim = np.hypot(np.linspace(-0.7, 0.7, last - first)[:, None], np.linspace(-0.7, 0.7, width)[None, :])
            texture[first:last] *= 1 - 0.35 * rim**2
            texture[first:last] /= texture[first:last].mean()
    return texture


@lru_cache(maxsize=4)
def _noise(shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """A sheet of noise larger than the frame: a window into it is new noise for the price of a copy."""
    height, width = shape
    return (NOISE * np.random.default_rng(11).standard_normal((height + 97, width + 89), dtype=np.float32)).astype(np.float32)


def frame(u: float, v: float, shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The camera image at one position of the stage.

    :param u: across, 0..1
    :param v: down, 0..1
    :param shape: rows, columns
    :param rng: gives the noise and the flicker of the lamp; the same state gives the same frame
    :returns: uint8, shape (rows, columns): the bands of :func:`band_rows`, as bright as the red, green and blue response
    """
    height, width = shape
    sheet = _noise(shape)
    top, left = rng.integers(0, sheet.shape[0] - height + 1), rng.integers(0, sheet.shape[1] - width + 1)
    lamp = FULL_SCALE * (1 + 0.01 * rng.standard_normal(BANDS))
    image = _texture(shape).copy()
    for (first, last), level in zip(band_rows(height), response(u, v) * lamp, strict=True):
        image[first:last] *= np.float32(level)
    image += sheet[top : top + height, left : left + width]
    image += np.float32(DARK)
    return np.clip(image, 0, 255, out=image).astype(np.uint8)
