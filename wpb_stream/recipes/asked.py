"""The ``wpb`` entry of a start document: what a plan asks for itself, checked key by key before anything is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    field_validator,
)

from wpb_stream.core.exceptions import RecipeError
from wpb_stream.core.narrow import as_list, as_mapping
from wpb_stream.core.recipe import GUESSED, Notice, Recipe

MAX_DIMENSIONS = 8
MAX_CHANNELS = 100
"""Of which something is made; no recipe here has as many."""
_NAMED = ("regions", "elements", "ranges")
"""Keys whose names are those of channels."""

Length = Annotated[StrictInt, Field(gt=0)]
Span = tuple[FiniteFloat, FiniteFloat]


class Asked(BaseModel):
    """What may stand in the ``wpb`` entry; how regions and reductions look is checked where they are made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: StrictStr | None = Field(default=None, description="name of the recipe, instead of the first one that fits")
    data_key: StrictStr | None = Field(default=None, description="the detector's data key, instead of the first one that writes images")
    shape: Annotated[list[Length], Field(min_length=1, max_length=MAX_DIMENSIONS)] | None = Field(
        default=None, description="points along each axis, slow axis first"
    )
    snaking: list[StrictBool] | None = Field(default=None, description="for each axis whether every second pass runs backwards")
    extents: list[Span | None] | None = Field(default=None, description="first and last position of each axis")
    axes: list[StrictStr] | None = Field(default=None, description="name of each axis")
    regions: dict[str, Any] | None = Field(default=None, description="name and place of each region of the detector")
    reduction: StrictStr | None = Field(default=None, description="what frames become: regions, a centre of mass, elements, angles")
    mask: Any = Field(default=None, description="where the centre of mass is looked for, or what is integrated")
    elements: dict[str, Any] | None = Field(default=None, description="windows of the elements in the spectra of a fluorescence detector")
    energy: dict[str, Any] | None = Field(default=None, description="offset and step of the energies of a spectrum's channels")
    dead_time: Any = Field(default=None, description="datasets that tell the dead time of a fluorescence detector's elements")
    geometry: dict[str, Any] | None = Field(default=None, description="where the detector stands, as a PONI file has it")
    unit: Any = Field(default=None, description="what the ranges are given in")
    ranges: dict[str, Any] | None = Field(default=None, description="name, low and high of each range of scattering angle")
    npt: Any = Field(default=None, description="equal bins from the lowest to the highest of the ranges")
    arrays: list[StrictStr] | None = Field(default=None, description="images that are accumulated of all frames: mean_frame, ...")
    normalise: dict[str, Any] | None = Field(default=None, description="the number that counts are divided by, point by point")
    scalars: Any = Field(default=None, description="numbers of each point that are channels of their own")
    positions: Any = Field(default=None, description="readings of the motors, as channels")
    bins: Annotated[list[Annotated[StrictInt, Field(gt=1)]], Field(min_length=1, max_length=MAX_DIMENSIONS)] | None = Field(
        default=None, description="bins along each axis, slow axis first: points are where they were measured"
    )
    bad_pixels: Any = Field(default=None, description="pixels that count nowhere: a list, or a mask in a file")
    dark: Any = Field(default=None, description="file of the frame, or the frames, to be subtracted from each frame")
    flat: Any = Field(default=None, description="file of the frame, or the frames, that each frame is divided by then")
    sliding: dict[str, Any] | None = Field(default=None, description="over how many points means slide, and of which channels")
    tomography: dict[str, Any] | None = Field(default=None, description="slices that are made of the projections of a sample that turns")
    phase: Any = Field(default=None, description="whether a phase is made of the centres of mass, and in which units")
    fit: Any = Field(default=None, description="what the lines of the maps are fitted with")

    @field_validator("bins", mode="before")
    @classmethod
    def _leave_planned(cls, value: object) -> object:
        return None if value == "planned" else value  # wpb_stream.recipes.binned makes numbers of it


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    try:
        asked_of({"wpb": value})
    except RecipeError as error:
        raise ValueError(str(error)) from None
    return value


WpbEntry = Annotated[dict[str, Any], AfterValidator(_checked)]
"""A ``wpb`` entry as settings and commands have it: a mistake in it is one of theirs."""


def given_of(key: str, asked: Any, example: str, known: Sequence[str], needed: str) -> Mapping[str, Any]:
    """The settings that an entry has, but for those that are null, where it has what is needed and nothing that is unknown.

    :raises RecipeError: naming the key, and what was expected
    """
    given = {name: value for name, value in as_mapping(asked).items() if value is not None}
    if needed not in given or not set(known) >= set(given):
        raise RecipeError(f"{key} must be like {example}, not {repr(asked)[:80]}; it may have {', '.join(known)}")
    return given


def named_of(key: str, given: Mapping[str, Any], recipe: Recipe) -> tuple[tuple[str, ...], tuple[Notice, ...]]:
    """The channels that the settings of an entry name, ``total`` if they name none; and what is to be said of those that are not there.

    :param recipe: with all its channels
    :raises RecipeError: naming the key, and what was expected
    """
    asked = given.get("channels")
    channels = as_list(asked) if asked is not None else ["total"]
    if not channels or not all(isinstance(name, str) and 0 < len(name) <= 200 for name in channels) or len(set(channels)) < len(channels):
        raise RecipeError(f'{key}.channels must be a list of different names, like ["total"], not {str(asked)[:80]}')
    if len(channels) > MAX_CHANNELS:
        raise RecipeError(f"{key}.channels: {len(channels)} channels, more than the {MAX_CHANNELS} allowed")
    names = [channel.name for channel in recipe.channels]
    unknown = [name for name in channels if name not in names]
    if not unknown:
        return tuple(channels), ()
    # It may be a number in the events, which nobody knows before they are described.
    told = f"{key}.channels: there is no channel {unknown[0][:80]!r}; known are {', '.join(names)}."
    return tuple(channels), (Notice("channel_unknown", told),)


def asked_of(start: Mapping[str, Any], dimensions: int | None = None) -> Asked:
    """What the start document's ``wpb`` entry asks for; nothing if there is none.

    :param dimensions: how many axes the scan has, if that is known
    :raises RecipeError: naming the key that is wrong, and what was expected
    """
    entry = start.get("wpb")
    if entry is None:
        return Asked()
    try:
        asked = Asked.model_validate(entry)
    except ValidationError as error:
        raise RecipeError(_told(error)) from None
    for name in ("snaking", "extents", "axes"):
        listed = getattr(asked, name)
        if None not in (listed, dimensions) and len(listed) != dimensions:
            raise RecipeError(f"wpb.{name} has {len(listed)} entries; the scan has {dimensions} axes")
    if asked.phase not in (None, False) and dimensions != 2:
        raise RecipeError(f"wpb.phase is for scans of two axes; this one has {dimensions or 'no known shape'}")
    return asked


def refuse_bins(start: Mapping[str, Any], recipe: str) -> None:
    """Bins that are asked for are not passed over by a recipe that makes none.

    :param recipe: its name, which was asked for as well: else bins come first
    :raises RecipeError: bins are asked for
    """
    if as_mapping(start.get("wpb")).get("bins") is not None:
        told = "leave out wpb.bins, or that name (of wpb.recipe, or of the settings)"
        raise RecipeError(f'wpb.bins cannot be had with "recipe": "{recipe}": {told}')


def as_asked(choose: Callable[[dict[str, Any]], Recipe | None], start: dict[str, Any], over: Mapping[str, Any]) -> Recipe:
    """The recipe for a start document with what is asked for over its ``wpb`` entry.

    :raises RecipeError: something impossible is asked for
    """
    recipe = choose({**start, "wpb": {**as_mapping(start.get("wpb")), **over, **_in_order(choose(start), over)}})
    if recipe is None:
        raise RecipeError("no recipe fits this run, or not with what is asked for")
    refused = [notice.message for notice in recipe.notices if notice.code == "recipe_refused"]
    if refused:
        raise RecipeError(refused[0].removesuffix(GUESSED).strip())
    return recipe


def _in_order(recipe: Recipe | None, over: Mapping[str, Any]) -> dict[str, Any]:
    """What makes channels, in the order that the run has them: Dagster keeps what it is asked for in the order of the alphabet."""
    known = [channel.name for channel in recipe.channels] if recipe else []
    place = {name: number for number, name in enumerate(known)}
    named = {key: as_mapping(over[key]) for key in _NAMED if isinstance(over.get(key), Mapping)}
    return {
        key: {name: asked[name] for name in sorted(asked, key=lambda name: place.get(name, len(known)))} for key, asked in named.items()
    }


EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "": '{"regions": {"red": {"rows": [0, 400]}}}',
        "recipe": '"raster"',
        "data_key": '"camera"',
        "shape": "[7, 9]",
        "snaking": "[False, True]",
        "extents": "[[0, 6], [0, 8]]",
        "axes": '["y", "x"]',
        "regions": '{"red": {"rows": [0, 400]}}',
        "reduction": '"centre_of_mass"',
        "elements": '{"Fe": {"window": [620, 660]}}',
        "energy": '{"offset": 0.0, "step": 0.01}',
        "geometry": '{"dist": 0.2, "poni1": 0.045, "poni2": 0.07, "pixel1": 75e-6, "pixel2": 75e-6, "wavelength": 1e-10}',
        "ranges": '{"110": [29.5, 30.5]}',
        "arrays": '["mean_frame"]',
        "normalise": '{"by": "i0"}',
        "bins": "[20, 30]",
        "sliding": '{"points": 5}',
        "tomography": '{"slices": [100, 608], "flat": 40000}',
    }
)
"""What the entry, and what each key that must be of one type, is like."""


def _told(error: ValidationError) -> str:
    """The first mistake, in a sentence."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if not isinstance(part, str) or "[" not in part)
    given = repr(first["input"])[:80]
    if first["type"].endswith("_type") and key in EXAMPLES:
        return f"wpb{'.' if key else ''}{key} must be like {EXAMPLES[key]}, not {given}"
    if first["type"] == "extra_forbidden":
        meant = get_close_matches(key, Asked.model_fields, 1)
        known = f"did you mean {meant[0]!r}?" if meant else f"known are {', '.join(Asked.model_fields)}"
        return f"wpb.{key[:80]} is no key of the wpb entry: {known}"
    should = first["msg"].replace("Input should", "should").replace("a valid ", "a ").replace("a integer", "a whole number")
    return f"wpb.{key}: {should[0].lower()}{should[1:]}, not {given}"
