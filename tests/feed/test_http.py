"""HTTP beside the feed: files and small answers, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wpb_stream.feed.http import SECURITY_HEADERS, answer, is_public, same_origin
from wpb_stream.feed.pages import page_of, viewer_files

STATIC = viewer_files()


def get(target: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    return answer(method, page_of(target), STATIC)


@pytest.mark.parametrize("target", ["/", "/app.js", "/nothing", "/healthz"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_answer_has_the_security_headers(target: str, method: str) -> None:
    _, headers, _ = get(target, method)
    assert SECURITY_HEADERS.items() <= headers.items()
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", ""])
def test_other_methods_are_answered_405_and_told_which_are_allowed(method: str) -> None:
    status, headers, body = get("/", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert b"/ws" in body


@pytest.mark.parametrize(
    "target", ["/nothing", "", "/api", "/api/runs", "/api/runs/none/preview.png", "/api/runs/run-1/live.npy", "//[", "/\0"]
)
def test_what_is_not_there_is_answered_404(target: str) -> None:
    assert get(target)[0] == 404


def test_anybody_may_have_the_viewer_and_the_signs_of_life_and_nothing_else() -> None:
    assert all(is_public(page_of(target), STATIC) for target in [*STATIC, "/?run=u", "/runs/u?channel=red", "/healthz", "/readyz"])
    others = ["/api/runs", "/api/runs/u", "/api/runs/u/preview.png", "/api/../healthz", "/healthz/x", "/ws", "/metrics", "//", ""]
    others += ["/runs/u/map.csv"]
    assert not any(is_public(page_of(target), STATIC) for target in others)


def test_the_service_says_that_it_is_alive() -> None:
    assert get("/healthz")[0] == 200


@pytest.mark.parametrize(
    "target", ["/http.py", "/__init__.py", "/../http.py", "/%2e%2e/http.py", "/app.js/../../http.py", "file:///etc/passwd"]
)
def test_nothing_beside_the_viewer_is_served(target: str) -> None:
    assert get(target)[0] == 404


@settings(deadline=None)
@given(target=st.text(max_size=30))
def test_any_target_is_answered(target: str) -> None:
    assert get(target)[0] in (200, 404)


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "localhost:8000", True),
        ("http://localhost:8000", "localhost:8000", True),
        ("https://wpb.example.org", "wpb.example.org", True),
        ("https://portal.example.org", "localhost:8000", True),
        ("http://evil.example.org", "localhost:8000", False),
        ("http://localhost:8001", "localhost:8000", False),
        ("http://localhost:8000.evil.example.org", "localhost:8000", False),
        ("null", "localhost:8000", False),
        ("null", None, False),
        ("", "", False),
        ("http://[", "localhost:8000", False),
    ],
)
def test_only_our_own_pages_and_the_allowed_ones_may_open_the_feed(origin: str | None, host: str | None, allowed: bool) -> None:
    assert same_origin(origin, host, ("https://portal.example.org",)) is allowed
