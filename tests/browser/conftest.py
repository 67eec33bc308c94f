"""The browser looks at the same streaming process that the integration tests run."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.pages import chromium_browser
from tests.helpers.laboratory import Laboratory
from tests.helpers.services import empty_database
from tests.integration.conftest import settings, streaming, streaming_process
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.replay import parse_kafka_url
from wpb_stream.settings import Settings
from wpb_stream.sim.publisher import RunPublisher

_numbers = itertools.count(1)

__all__ = ["settings", "streaming", "streaming_process"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium that the tests of a module share, which run in that module's event loop."""
    async with chromium_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def module_database(postgres_cluster: EmbeddedPostgres) -> Iterator[str]:
    """The address of an empty database that the tests of a module share."""
    with empty_database(postgres_cluster, f"browser_{next(_numbers)}") as url:
        yield url


@pytest.fixture
def lab(settings: Settings, tmp_path: Path) -> Laboratory:
    """A laboratory whose documents the streaming process gets."""
    lab = Laboratory(tmp_path / "frames")
    lab.engine.subscribe(RunPublisher(*parse_kafka_url(settings.sources[0])))
    return lab
