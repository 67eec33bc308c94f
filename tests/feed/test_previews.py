"""The pictures that Dagster made of runs, over HTTP, and nothing else from the disk."""

from __future__ import annotations

import urllib.request
from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.serving import Serving, catalogue_away, live, serving_of
from wpb_stream.catalogue.results import PREVIEW
from wpb_stream.feed.http import SECURITY_HEADERS

PICTURE = b"\x89PNG"
TRAVERSALS = [
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/viewer/../../secret.txt",
    "/app.js/../../secret.txt",
    "/..\\secret.txt",
    "/api/runs/../preview.png",
    "/api/runs/%2e%2e/preview.png",
    "/api/runs/..%2f/preview.png",
    "/api/runs/..%2f..%2fsecret.txt%00/preview.png",
    "/api/runs//preview.png",
    "/api/runs/./preview.png",
    "/http.py",
    "/__init__.py",
    "file:///etc/passwd",
    "http://elsewhere/secret.txt",
]


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    """A server whose results folder has the picture of one run, and secrets beside it."""
    reader = catalogue_away()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / PREVIEW).write_bytes(b"secret")
    async with serving_of(reader, tmp_path / "results") as server:
        (server.results.folder("run-1") / PREVIEW).write_bytes(PICTURE)
        live(server.board, 5, "run-1")
        yield server


@pytest.mark.parametrize("run", ["run-1", "latest"])
async def test_the_picture_of_a_run_is_served(serving: Serving, run: str) -> None:
    def got() -> tuple[dict[str, str], bytes]:
        with urllib.request.urlopen(f"http://127.0.0.1:{serving.port}/api/runs/{run}/preview.png?size=large", timeout=30) as answer:
            return dict(answer.headers), answer.read()

    headers, body = await to_thread(got)
    assert body == PICTURE
    assert headers.items() >= {"Content-Type": "image/png", "Content-Length": "4", **SECURITY_HEADERS}.items()


async def test_nothing_but_pictures_is_read_from_the_disk(serving: Serving) -> None:
    for target in TRAVERSALS:
        assert (await serving.get(target)).split()[1] in (b"404", b"400"), target
