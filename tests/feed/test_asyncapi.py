"""The protocol as it is published: its references lead somewhere, and its schemas say what the page says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from tests.helpers.rawfeed import assert_told
from wpb_stream.core.messages import _REQUESTS
from wpb_stream.feed.asyncapi import document

PUBLISHED = document("1.2.3")


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    for each in part if isinstance(part, list) else ():
        yield from references(each)


def looked_up(reference: str) -> Any:
    found: Any = PUBLISHED
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return found


def test_it_is_json_whose_references_all_lead_somewhere() -> None:
    assert json.loads(json.dumps(PUBLISHED)) == PUBLISHED
    found = list(references(PUBLISHED))
    assert len(found) > 20
    for reference in found:
        assert isinstance(looked_up(reference), dict)


def test_it_has_every_message_of_the_protocol_by_its_type() -> None:
    asked = {ref["$ref"].rpartition("/")[2] for ref in PUBLISHED["operations"]["ask"]["messages"]}
    assert asked == set(_REQUESTS)
    told = {ref["$ref"].rpartition("/")[2] for ref in PUBLISHED["operations"]["tell"]["messages"]}
    assert told == {
        *("welcome", "run", "runs", "run_stopped", "revised", "reprocessing", "task", "unsubscribed", "pong", "error", "notice"),
        *("points", "array"),
    }
    for name, message in PUBLISHED["components"]["messages"].items():
        schema = looked_up(message["payload"]["$ref"])
        assert schema["properties"]["type"] == {"enum": [name]}
        assert message["summary"]
    assert (PUBLISHED["asyncapi"], PUBLISHED["info"]["version"], PUBLISHED["channels"]["feed"]["address"]) == ("3.0.0", "1.2.3", "/ws")


@pytest.mark.parametrize(
    "message",
    [
        {"type": "dance"},
        {"type": "pong", "id": 1},
        {"type": "run_stopped", "id": 1, "run": "u", "exit_status": "success", "reason": "", "rows": "many"},
        {"type": "points", "id": 1, "run": "u", "revision": "live", "first_row": 0, "rows": 1, "points_expected": None, "columns": [{}]},
    ],
)
def test_what_is_no_message_of_the_protocol_is_found_out(message: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        assert_told(message)


def test_what_a_client_may_ask_is_checked_by_its_schema_too() -> None:
    schema = {"$ref": "#/components/schemas/Subscribe", "components": PUBLISHED["components"]}
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"type": "subscribe", "id": 1, "run": "latest"})
    assert not validator.is_valid({"type": "subscribe", "id": 1})
