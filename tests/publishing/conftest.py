"""Publishers whose spool is in a folder of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wpb_stream.client import Publisher
from wpb_stream.host import free_port


@pytest.fixture
def nobody() -> str:
    """An address where no broker is."""
    return f"127.0.0.1:{free_port('127.0.0.1', 0)}"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Publisher]]:
    """Makes publishers whose spool is in ``spool``, and closes them in the end."""
    made: list[Publisher] = []

    def make(address: str, topic: str = "documents", **further: Any) -> Publisher:
        made.append(Publisher(f"kafka://{address}/{topic}", **{"spool": tmp_path / "spool", **further}))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close(timeout_s=0)
