"""HTTP as it is published: a valid OpenAPI document, which says what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.helpers.described import PUBLISHED, assert_described
from wpb_stream.core.messages import ListRuns
from wpb_stream.feed.pages import viewer_files

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http.md"


def test_it_is_valid() -> None:
    assert json.loads(json.dumps(PUBLISHED)) == PUBLISHED
    assert [error.message for error in OpenAPIV31SpecValidator(PUBLISHED).iter_errors()] == []


def test_it_has_every_path_of_the_reference_but_the_viewer() -> None:
    told = set(re.findall(r"^\| `(/[^`]*)` \|", PAGE.read_text(), re.MULTILINE))
    assert {path.replace("{uid}", "UID").replace("{run}", "RUN") for path in PUBLISHED["paths"]} == told - viewer_files().keys()


def test_it_has_every_condition_of_the_feeds_list_of_runs() -> None:
    parameters = PUBLISHED["paths"]["/api/runs"]["get"]["parameters"]
    assert {each["name"] for each in parameters} == set(ListRuns.__struct_fields__) - {"id"}
    ListRuns(0, **{each["name"]: each["schema"]["default"] for each in parameters if "default" in each["schema"]})


@pytest.mark.parametrize(
    ("target", "status", "kind", "body"),
    [
        ("/api/runs", 200, "application/json", b'{"runs": [{"uid": 1}], "before": null}'),
        ("/api/runs", 200, "application/json", b'{"runs": []}'),
        ("/api/runs/u/revisions", 200, "application/json", b'{"revisions": [{"revision": "live"}]}'),
        ("/api/runs/u?revision=live", 404, "application/json", b'{"error": "unknown_run"}'),
        ("/api/runs/u/map.csv", 200, "image/png", b""),
        ("/api/runs/u/map.exe", 200, "application/json", b"{}"),
    ],
)
def test_an_answer_that_is_not_published_is_found_out(target: str, status: int, kind: str, body: bytes) -> None:
    with pytest.raises(AssertionError):
        assert_described(target, status, {"content-type": kind}, body)
