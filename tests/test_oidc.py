"""What claims let in for, as providers write them."""

from __future__ import annotations

from typing import Any

import pytest

from wpb_stream.core.access import Grant
from wpb_stream.oidc import Oidc


def grant(claims: dict[str, Any], **given: Any) -> Grant:
    return Oidc(**({"issuer": "i", "audience": "wpb", "jwks": "keys.json"} | given)).grant_of({"sub": "s", "exp": 100} | claims)


KEYCLOAK = {
    "realm_access": {"roles": ["offline_access", "staff"]},
    "resource_access": {"wpb": {"roles": ["viewer"]}},
    "scope": "openid",
}
ROLES = ["resource_access.wpb.roles", "realm_access.roles"]
AUTHENTIK = {"groups": ["beamline viewers", "b01 staff"]}


@pytest.mark.parametrize(
    ("claims", "given", "scopes"),
    [
        ({"scope": "openid watch"}, {}, {"watch"}),
        ({"scope": "openid admin"}, {}, {"admin"}),
        ({"scope": "watch admin"}, {}, {"watch", "admin"}),
        ({"scope": "watcher"}, {}, set()),
        ({}, {}, set()),
        ({}, {"watch": []}, {"watch"}),
        ({"scope": ["watch"]}, {}, {"watch"}),
        ({"scope": 7}, {}, set()),
        ({"scope": [7, None, ["watch"]]}, {}, set()),
        (
            KEYCLOAK,
            {"scope_claims": ROLES, "watch": ["viewer"], "admin": ["staff"]},
            {"watch", "admin"},
        ),
        (KEYCLOAK, {"scope_claims": ["resource_access.other.roles"], "watch": ["viewer"]}, set()),
        (AUTHENTIK, {"scope_claims": ["groups"], "watch": ["beamline viewers"], "admin": ["none of these"]}, {"watch"}),
        ({"https://example.org/roles": ["w"]}, {"scope_claims": ["https://example.org/roles"], "watch": ["w"]}, {"watch"}),
        ({"a": "text"}, {"scope_claims": ["a.b"]}, set()),
    ],
)
def test_scopes_are_what_the_claims_of_the_settings_hold(claims: dict[str, Any], given: dict[str, Any], scopes: set[str]) -> None:
    assert grant(claims, **given).scopes == scopes


def test_all_runs_are_seen_unless_the_settings_name_a_claim_for_sessions() -> None:
    assert grant({"scope": "watch", "sessions": ["cm1-1"]}).sessions is None
    assert grant({"scope": "watch", "sessions": ["cm1-1", "cm1-2"]}, sessions_claim="sessions").sessions == {"cm1-1", "cm1-2"}
    assert grant({"scope": "watch", "sessions": "cm1-1 cm1-2"}, sessions_claim="sessions").sessions == {"cm1-1", "cm1-2"}
    assert grant({"scope": "watch"}, sessions_claim="sessions").sessions == frozenset(), "none is named: none is seen"
    assert grant({"scope": "admin"}, sessions_claim="sessions").sessions is None


def test_the_name_in_logs_is_a_claim_that_can_do_no_harm_there() -> None:
    assert grant({}).name == "s"
    assert grant({"preferred_username": "a\nb"}, name_claim="preferred_username").name == "ab"
    assert grant({"preferred_username": 7}, name_claim="preferred_username").name == "?"
