"""Documents as the catalogue's columns hold them."""

from __future__ import annotations

import json
import math

import pytest

from wpb_stream.catalogue.records import pack, to_json, unpack
from wpb_stream.core.documents import Document


@pytest.mark.parametrize(
    ("value", "kept"),
    [("a\0b", "ab"), ("\\u0000", "\\u0000"), ("\\\0", "\\"), ("\\\\u0000\0", "\\\\u0000"), (math.nan, None), (math.inf, None)],
)
def test_what_jsonb_cannot_hold_is_left_out_and_nothing_else(value: object, kept: object) -> None:
    assert json.loads(to_json({"key": value})) == {"key": kept}


def test_a_stored_document_comes_back_with_nul_and_infinities() -> None:
    document = Document("start", {"uid": "a", "time": 1.0, "note": "a\0b", "limit": math.inf, "counts": [1, 2**63]})
    assert unpack("start", pack(document)) == document
