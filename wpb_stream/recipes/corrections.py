"""What is left out of frames, and how they are corrected before they are reduced, as a start document asks.

==================  =========================================================================================================
key                 what it says
==================  =========================================================================================================
``wpb.bad_pixels``  pixels that count nowhere: a list, or ``mask_file`` and ``dataset`` of an array, where what is not 0 is bad
``wpb.dark``        ``file`` and ``dataset``: one frame, or several whose mean is taken; it is subtracted from each frame
``wpb.flat``        the same; each frame is divided by it then
==================  =========================================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wpb_stream.core.corrected import Masked, WithFiles
from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.masks import NO_BAD_PIXELS, BadPixels
from wpb_stream.core.narrow import as_mapping
from wpb_stream.core.needed import FileArray
from wpb_stream.core.reducers import Reducer
from wpb_stream.recipes.files import file_array_of
from wpb_stream.recipes.regions import bad_pixels_of

FILE_KEYS = ("file", "dataset")
MASK_KEYS = ("mask_file", "dataset")


@dataclass(frozen=True, slots=True)
class Corrections:
    """Bad pixels, dark and flat."""

    listed: BadPixels
    bad: FileArray | None
    dark: FileArray | None
    flat: FileArray | None

    def __bool__(self) -> bool:
        return bool(self.listed) or any(file is not None for file in (self.bad, self.dark, self.flat))

    def applied(self, reducer: Masked) -> Reducer:
        """The reducer, which leaves out ``listed`` already, with what lies in files."""
        made = WithFiles(reducer, self.bad, self.dark, self.flat)
        return made if made.needs else reducer


def corrections_of(wanted: Mapping[str, Any]) -> Corrections:
    """What the ``wpb`` entry asks for.

    :raises RecipeError: something impossible
    """
    asked = wanted.get("bad_pixels")
    listed, bad = NO_BAD_PIXELS, None
    if as_mapping(asked):
        bad = _file("wpb.bad_pixels", asked, MASK_KEYS)
    else:
        listed = bad_pixels_of("wpb.bad_pixels", asked)
    dark, flat = (
        None if wanted.get(name) is None else _file(f"wpb.{name}", wanted[name], FILE_KEYS, averaged=True) for name in ("dark", "flat")
    )
    return Corrections(listed, bad, dark, flat)


def _file(key: str, asked: Any, keys: tuple[str, str], *, averaged: bool = False) -> FileArray:
    given = as_mapping(asked)
    if keys[0] not in given or set(given) - set(keys):
        example = f'{{"{keys[0]}": "file://localhost/data/frames.h5", "dataset": "/entry/data/data"}}'
        raise RecipeError(f"{key} must be like {example}, not {repr(asked)[:80]}")
    return file_array_of(key, given, keys[0], averaged=averaged)
