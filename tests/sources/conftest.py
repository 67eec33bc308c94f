"""What is heard of sources."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def hear_info(caplog: pytest.LogCaptureFixture) -> None:
    """Keep what a source says at level INFO."""
    caplog.set_level("INFO", logger="wpb_stream.sources.stomp")
