"""The examples of docs/how-to/python.md, as written there but for the address."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.scans import Scan
from tests.integration.feed.conftest import Beamline

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "python.md"
SCRIPT, ASYNCHRONOUS, LABELLED, _ = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


async def said_by(example: str, beamline: Beamline, folder: Path) -> list[str]:
    """What an example prints when it runs beside a process whose latest run is over."""
    code = example.replace("ws://127.0.0.1:8000/ws", beamline.url)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")
    return out.decode().splitlines()


async def test_the_script_prints_the_map(beamline: Beamline, past: list[Scan], tmp_path: Path) -> None:
    said = await said_by(SCRIPT, beamline, tmp_path)
    assert any(re.match(r"run \d+ fly success: 12 of 12", line) for line in said)
    assert "".join(said).count("[") == 4, "a map of 3 x 4"


async def test_the_asynchronous_example_counts_points(beamline: Beamline, past: list[Scan], tmp_path: Path) -> None:
    assert (await said_by(ASYNCHRONOUS, beamline, tmp_path))[-1] == "12 of 12"


async def test_the_labelled_example_selects_by_position_and_writes_a_file(beamline: Beamline, past: list[Scan], tmp_path: Path) -> None:
    units, mean = await said_by(LABELLED, beamline, tmp_path)
    assert units == "counts {'stage-y': 3, 'stage-x': 4}"
    assert float(mean) == past[-1].map("total")[:, 2].mean()
    assert (tmp_path / "run.nc").exists()
