"""Whether the settings can be read, and whether every variable that looks like one is one."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from wpb_stream.doctor.findings import Finding, ok, warning, wrong
from wpb_stream.guard import TOKEN_VARIABLE
from wpb_stream.settings import Settings

KNOWN = frozenset({"WPB_CONFIG", TOKEN_VARIABLE, *(f"WPB_{name.upper()}" for name in Settings.model_fields)})


def look_at_variables() -> Finding:
    """Whether all environment variables ``WPB_*`` are settings. They are ignored if not, so that a typo goes unseen."""
    given = sorted(name for name in os.environ if name.upper().startswith("WPB_") and name.upper() != TOKEN_VARIABLE)
    strange = [name for name in given if name.upper() not in KNOWN]
    if not strange:
        return ok(f"{', '.join(given) or 'none'}")
    near = {name: close[0] for name in strange if (close := get_close_matches(name.upper(), KNOWN, 1, 0.75))}
    found = f"{', '.join(strange)}: no setting, and ignored"
    if near:
        return wrong(found, ", ".join(f"{name} is meant to be {meant}?" for name, meant in near.items()))
    return warning(found, "docs/reference/settings.md lists those that there are")


def look_at_file() -> Finding:
    """Which file the settings come from."""
    named = os.environ.get("WPB_CONFIG")
    file = Path(named or "wpb.toml")
    return ok(f"{file.absolute()}" if file.is_file() else "no wpb.toml in this folder; defaults and variables only")
