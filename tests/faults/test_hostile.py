"""Documents and files made to lead wpb astray, through the running process: nothing of them is shown, and the next run is whole."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.escapes import Escape, escapes, secret
from tests.helpers.hostile import INSANE, MALFORMED
from tests.helpers.scans import Scan, scan
from tests.integration.conftest import streaming_here
from tests.integration.watching import WAIT_S, assert_is_map_of, until_latest_stopped
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.records import RunRow
from wpb_stream.frames.walls import landlock_version
from wpb_stream.replay import Recorded, publish
from wpb_stream.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.faults]

CORPUS = 200
WAYS_OUT = 60
WAYS_THAT_LEAD_OUT = 35
"""Those of them that lead a program there which checks nothing."""


def leading(escape: Escape, folder: Path) -> Scan:
    """A run of two points whose frames lie where the escape says."""
    run = scan(folder, (1, 2))
    told = {"uri": escape.uri, "mimetype": escape.mimetype, "parameters": escape.parameters}
    changed = [Recorded(each.name, {**each.doc, **told}) if each.name == "stream_resource" else each for each in run.documents]
    return replace(run, documents=changed)


async def until_ended(catalogue: CatalogueReader, run: str) -> RunRow:
    """Wait until the catalogue has the end of a run."""
    async with asyncio.timeout(WAIT_S):
        while (row := catalogue.run(run)) is None or row.ended_seq is None:
            await asyncio.sleep(0.02)
    return row


def test_the_corpus_is_as_large_as_is_said() -> None:
    assert len(MALFORMED) + sum(map(len, INSANE.values())) >= CORPUS


async def test_no_way_out_of_the_data_roots_leads_anywhere_and_each_is_told(settings: Settings, tmp_path: Path) -> None:
    folder, outside = tmp_path / "frames", tmp_path / "outside"
    secret(outside)
    found = escapes(folder, outside)
    assert len(found) >= WAYS_OUT
    runs = {why: leading(escape, folder) for why, escape in found.items()}
    probe = scan(folder, seed=1).write()

    def documents() -> Iterator[Recorded]:
        for run in runs.values():
            yield from run.documents
        yield from probe.documents

    async with streaming_here(settings.model_copy(update={"frame_deadline_s": 0.5})):
        await publish(list(documents()), settings.sources[0], speed=0)
        assert_is_map_of(await until_latest_stopped(settings, probe.uid), probe)
        with CatalogueReader(settings.database_url or "") as catalogue:
            for why, run in runs.items():
                row = await until_ended(catalogue, run.uid)
                told = [notice.message for notice in row.notices if notice.code == "frame_missing"]
                assert (row.status, row.info.rows, bool(told)) == ("success", 0, True), why
                if why.startswith(("URI", "link")):
                    assert all("cannot be opened yet" in message for message in told) == found[why].late, (why, told)
                assert len(catalogue.documents(run.uid)) == len(run.documents), why


@pytest.mark.skipif(landlock_version() < 1, reason="this kernel has no Landlock: the wall around readers cannot be tested")
def test_where_nothing_is_checked_the_wall_around_readers_holds_alone(tmp_path: Path) -> None:
    reached: dict[str, list[str]] = {}
    for how in ("bare", "walled"):
        (tmp_path / how / "frames").mkdir(parents=True)
        secret(tmp_path / how / "outside")
        command = [sys.executable, "-m", "tests.helpers.escapes", tmp_path / how / "frames", tmp_path / how / "outside", how]
        reached[how] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert len(reached["bare"]) >= WAYS_THAT_LEAD_OUT, "else the wall kept nobody from anything"
    assert reached["walled"] == []
