"""The browser looks at the same streaming process that the integration tests run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.laboratory import Laboratory
from tests.integration.conftest import settings, streaming, streaming_process
from wpb_stream.replay import parse_kafka_url
from wpb_stream.settings import Settings
from wpb_stream.sim.publisher import RunPublisher

__all__ = ["settings", "streaming", "streaming_process"]


@pytest.fixture
def lab(settings: Settings, tmp_path: Path) -> Laboratory:
    """A laboratory whose documents the streaming process gets."""
    lab = Laboratory(tmp_path / "frames")
    lab.engine.subscribe(RunPublisher(*parse_kafka_url(settings.sources[0])))
    return lab
