"""A second streaming process in mid-scan: one writes at a time, the other ends, and the scan is whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.judge import judged
from tests.faults.nursery import Nurse, Nursling
from tests.helpers.scans import scan
from wpb_stream.core.exceptions import Fenced
from wpb_stream.host import free_port
from wpb_stream.replay import publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults]


@pytest.fixture
def other_settings(settings: Settings) -> Settings:
    """Of the same catalogue and bus, served elsewhere."""
    return settings.model_copy(update={"listen": f"127.0.0.1:{free_port('127.0.0.1', 0)}"})


@pytest.fixture
async def successor(nurse: Nurse, other_settings: Settings, tmp_path: Path) -> AsyncIterator[Nursling]:
    process = Nursling(nurse, other_settings, tmp_path / "successor.log")
    yield process
    await process.kill()


@pytest.mark.parametrize("frozen", [False, True], ids=["at-work", "frozen-and-awake-again"])
async def test_the_one_that_was_there_ends_when_another_takes_over_in_mid_scan(
    frozen: bool, settings: Settings, other_settings: Settings, nursling: Nursling, successor: Nursling, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames").write()
    await nursling.serve()
    async with judged(settings.model_copy(update={"listen": other_settings.listen}), run):
        await publish([*run.head, *run.at(0, 4)], settings.sources[0], speed=0)
        if frozen:
            nursling.freeze()
        await successor.serve()
        await publish(run.at(4, 8), settings.sources[0], speed=0)
        if frozen:
            nursling.thaw()
        await publish(run.at(8, run.points), settings.sources[0], speed=0)
        assert await nursling.ended() == Fenced.exit_code
        await publish([run.stop], settings.sources[0], speed=0)
    assert "another wpb stream process has taken over this catalogue" in nursling.log
    assert "Traceback" not in nursling.log


async def test_two_that_are_started_again_and_again_take_turns_and_lose_nothing(
    settings: Settings, other_settings: Settings, nursling: Nursling, successor: Nursling, tmp_path: Path
) -> None:
    run = scan(tmp_path / "frames", (5, 6)).write()
    async with judged(other_settings, run):
        await nursling.serve()
        await publish(run.head, settings.sources[0], speed=0)
        there, other = nursling, successor
        for row in range(5):
            await other.serve()
            await publish(run.at(6 * row, 6 * (row + 1)), settings.sources[0], speed=0)
            assert await there.ended() == Fenced.exit_code
            there, other = other, there
        await publish([run.stop], settings.sources[0], speed=0)
