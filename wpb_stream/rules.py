"""What the settings say of runs whose start documents leave it out: by plan name, and by rules on what else start documents tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wpb_stream.core.narrow import as_list
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.recipes.asked import WpbEntry

WHERE: Mapping[str, tuple[str, ...]] = {
    "plan_name": ("plan_name",),
    "beamline": ("beamline", "beamline_id", "instrument"),
    "data_session": ("data_session", "instrument_session", "proposal"),
    "detector": ("detectors",),
}
"""Keys of a start document that each condition of a rule looks at: as Diamond's and NSLS-II's plans and Bluesky itself name them."""


class Plan(BaseModel):
    """What a plan's start documents leave out, for ``plans`` in the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str | None = None
    shape: tuple[int, ...] | None = None
    snaking: tuple[bool, ...] | None = None
    extents: tuple[tuple[float, float], ...] | None = None
    axes: tuple[str, ...] | None = None
    regions: dict[str, dict[str, tuple[int, int]]] = {}
    wpb: WpbEntry = {}
    """Keys of the ``wpb`` entry, for start documents that do not have them in their own."""


class Rule(Plan):
    """The same for runs that meet all of its conditions; ``*`` and ``?`` stand for any letters, ``[ab]`` for one of these."""

    plan_name: str | None = None
    beamline: str | None = Field(None, description="`beamline`, `beamline_id` or `instrument` of the start document.")
    data_session: str | None = Field(None, description="`data_session`, `instrument_session` or `proposal` of the start document.")
    detector: str | None = Field(None, description="One of the start document's `detectors`.")

    @model_validator(mode="after")
    def _check_conditions(self) -> Rule:
        if not any(self.conditions()):
            raise ValueError(f"a rule needs a condition: one of {', '.join(WHERE)}")
        return self

    def conditions(self) -> Iterator[tuple[str, str]]:
        """Name and pattern of each condition."""
        for name in WHERE:
            pattern = getattr(self, name)
            if pattern is not None:
                yield name, pattern

    def fits(self, start: Mapping[str, Any]) -> bool:
        """Whether a run meets all conditions."""
        return all(any(fnmatchcase(told, pattern) for told in _told(start, name)) for name, pattern in self.conditions())


BUILT_IN_PLANS = {"demo_plan": Plan(snaking=(False, True))}
"""ViSR's demo_plan snakes its fast axis, and its start documents do not say so."""


def defaults_of(start: Mapping[str, Any], rules: Sequence[Rule], plans: Mapping[str, Plan]) -> PlanDefaults:
    """What the settings say of a run: of the rules that fit the first one that says it, else its plan's entry; of ``wpb`` key by key."""
    told: dict[str, Any] = {}
    wpb: dict[str, Any] = {}
    for said in (*(rule for rule in rules if rule.fits(start)), plans.get(str(start.get("plan_name")))):
        if said is not None:
            told = {name: getattr(said, name) for name in Plan.model_fields if getattr(said, name)} | told
            wpb = said.wpb | wpb
    return PlanDefaults(**{**told, "wpb": wpb})


def _told(start: Mapping[str, Any], name: str) -> Iterator[str]:
    for key in WHERE[name]:
        value = start.get(key)
        yield from (str(one) for one in (as_list(value) or ([] if value is None else [value])))
