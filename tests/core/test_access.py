"""Whom a token lets in, and which runs it shows."""

from __future__ import annotations

from typing import Any

import pytest

from wpb_stream.core.access import EVERYTHING, Access, Grant, Scope, digest_of

ALICE = Grant("alice", proof=digest_of("a"))
VISIT = Grant("visit", frozenset({"cm1-1", "cm1-2"}), proof=digest_of("v"))
ACCESS = Access([ALICE, VISIT])


@pytest.mark.parametrize(("token", "grant"), [("a", ALICE), ("v", VISIT), *((no, None) for no in ("b", "A", "", "\udcff", digest_of("a")))])
def test_only_a_known_token_lets_in(token: str, grant: Grant | None) -> None:
    assert ACCESS.grant(token) is grant
    assert ACCESS.anonymous is None


@pytest.mark.parametrize("token", ["", "a"])
def test_who_shows_no_known_token_may_do_what_anybody_may(token: str) -> None:
    assert Access(anonymous=EVERYTHING).grant(token) is EVERYTHING
    assert Access().grant(token) is None


@pytest.mark.parametrize(("scopes", "may"), [(["watch"], ["watch"]), (["admin"], ["watch", "admin"]), ([], [])])
def test_admin_includes_all_else(scopes: list[Scope], may: list[Scope]) -> None:
    assert [scope for scope in ("watch", "admin") if Grant("somebody", scopes=frozenset(scopes)).may(scope)] == may


def test_a_grant_stands_while_the_settings_have_it_just_so_or_until_it_expires() -> None:
    after = Access([Grant("alice", scopes=frozenset({"admin"}), proof=digest_of("a"))], EVERYTHING)
    assert [ACCESS.stands(grant) for grant in (ALICE, VISIT, EVERYTHING)] == [True, True, False]
    assert [after.stands(grant) for grant in (ALICE, VISIT, EVERYTHING)] == [False, False, True]
    assert [after.knows(grant) for grant in (ALICE, VISIT)] == [True, False]
    assert Access().stands(Grant("by a provider", expires=1.0))


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
