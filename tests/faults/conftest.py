"""Fixtures of the tests of faults; the judge is in ``judge.py``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.faults.judge")

from tests.faults.nursery import Nurse, Nursling  # noqa: E402
from tests.integration.conftest import settings, streaming, streaming_process  # noqa: E402
from wpb_stream.settings import Settings  # noqa: E402

__all__ = ["settings", "streaming", "streaming_process"]


@pytest.fixture(scope="session")
def nurse() -> Iterator[Nurse]:
    """What streaming processes are forked from."""
    nurse = Nurse()
    yield nurse
    nurse.close()


@pytest.fixture
async def nursling(nurse: Nurse, settings: Settings, tmp_path: Path) -> AsyncIterator[Nursling]:
    """A streaming process that is quick to start again, with the settings; not started yet, killed after the test."""
    process = Nursling(nurse, settings, tmp_path / "stream.log")
    yield process
    await process.kill()


@pytest.fixture
def topic(request: pytest.FixtureRequest) -> str:
    """The name of a topic of this test alone, on Apache Kafka."""
    return re.sub(r"[^a-zA-Z0-9._-]", "-", request.node.name)[:200]
