"""Whom a token lets in, and which runs it shows."""

from __future__ import annotations

from typing import Any

import pytest

from wpb_stream.core.access import EVERYTHING, Access, Grant, digest_of

ALICE, VISIT = Grant("alice"), Grant("visit", frozenset({"cm1-1", "cm1-2"}))
ACCESS = Access([(digest_of("a"), ALICE), (digest_of("v"), VISIT)])


@pytest.mark.parametrize(
    ("header", "grant"),
    [
        ("Bearer a", ALICE),
        ("bearer v", VISIT),
        ("Bearer  a ", ALICE),
        ("Bearer b", None),
        ("Bearer A", None),
        ("Bearer ", None),
        ("Bearer", None),
        ("Basic a", None),
        (f"Bearer {digest_of('a')}", None),
        ("a", None),
        ("", None),
        (None, None),
        ("Bearer \udcff", None),
    ],
)
def test_only_a_known_token_lets_in(header: str | None, grant: Grant | None) -> None:
    assert ACCESS.bearer(header) is grant
    assert ACCESS.anonymous is None


@pytest.mark.parametrize("header", [None, "Bearer a", "Basic a"])
def test_where_there_are_no_tokens_anybody_sees_everything(header: str | None) -> None:
    assert Access().bearer(header) is EVERYTHING


@pytest.mark.parametrize(
    ("start", "seen"),
    [
        ({"data_session": "cm1-1"}, True),
        ({"instrument_session": "cm1-2"}, True),
        ({"data_session": "cm2-1", "instrument_session": "cm1-2"}, True),
        ({"data_session": "cm1-3"}, False),
        ({"data_session": "cm1"}, False),
        ({"data_session": ["cm1-1"]}, False),
        ({"data_session": {"cm1-1": 1}}, False),
        ({"data_session": None}, False),
        ({"proposal": "cm1-1"}, False),
        ({}, False),
    ],
)
def test_a_token_with_sessions_shows_the_runs_of_these_alone(start: dict[str, Any], seen: bool) -> None:
    assert VISIT.sees(start) is seen
    assert ALICE.sees(start)
    assert not Grant("nobody", frozenset()).sees(start)
