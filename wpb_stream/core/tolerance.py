"""Documents as event-model's schemas want them, where real ones differ from that without harm.

Only what is checked is altered, never what is kept: a run is not lost for the sake of a field that nobody here reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wpb_stream.core.narrow import as_mapping

UNREAD = frozenset({"choices", "dims", "dtype_numpy", "limits", "object_name"})
"""Of a data key. Among them is what changed from generation to generation, and what control systems fill with NaN."""


def as_schema_wants(name: str, doc: Mapping[str, Any]) -> dict[str, Any]:
    """A document to be checked in place of one that came.

    A field that is null counts as left out: writers of typed documents put null where nothing was said.
    """
    wanted = {field: value for field, value in doc.items() if value is not None}
    if name == "descriptor":
        if "data_keys" in wanted:
            wanted["data_keys"] = _data_keys(wanted["data_keys"])
        if configuration := as_mapping(wanted.get("configuration")):
            wanted["configuration"] = {device: _configured(told) for device, told in configuration.items()}
    return wanted


def _configured(told: object) -> object:
    device = as_mapping(told)
    return {**device, "data_keys": _data_keys(device["data_keys"])} if "data_keys" in device else told


def _data_keys(value: object) -> object:
    data_keys = as_mapping(value)
    return {key: _data_key(told) for key, told in data_keys.items()} if data_keys else value


def _data_key(value: object) -> object:
    told = as_mapping(value)
    if not told:
        return value
    data_key = {field: item for field, item in told.items() if item is not None and field not in UNREAD}
    if "shape" in told:
        data_key.setdefault("shape", [])
    if not told.get("external", True):
        data_key["external"] = "OLD:"  # external all the same: older documents have an empty text there
    return data_key
