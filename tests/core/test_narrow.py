"""Values out of documents, which may hold anything."""

from __future__ import annotations

import pytest

from wpb_stream.core.narrow import as_integer, as_label, as_list, as_mapping


@pytest.mark.parametrize("value", [None, 5, "text", [1], (1,), b"bytes"])
def test_what_is_no_mapping_is_an_empty_one(value: object) -> None:
    assert as_mapping(value) == {}
    assert as_mapping({"a": value}) == {"a": value}


@pytest.mark.parametrize(
    ("value", "narrowed"), [([1], [1]), ((1, 2), [1, 2]), ([], []), ("text", None), (b"b", None), ({"a": 1}, None), (5, None)]
)
def test_only_sequences_other_than_text_are_lists(value: object, narrowed: object) -> None:
    assert as_list(value) == narrowed


@pytest.mark.parametrize(
    ("value", "narrowed"), [(7, 7), (7.0, 7), (7.5, None), (float("nan"), None), (True, None), ("7", None), (None, None)]
)
def test_only_whole_numbers_are_integers(value: object, narrowed: object) -> None:
    assert as_integer(value) == narrowed


@pytest.mark.parametrize(
    ("value", "narrowed"), [("a b", "a b"), ("a\0\nb", "ab"), ("x" * 500, "x" * 200), (["a"], None), (None, None), (5, None)]
)
def test_labels_are_text_without_control_characters_and_of_bounded_length(value: object, narrowed: object) -> None:
    assert as_label(value) == narrowed
