"""What must be true once the dust has settled, whatever went wrong before: the judge of all tests of faults.

Each document is in the catalogue exactly once; the final map is the batch map bit for bit; so is that of each client, over all its
connections; nothing hangs; memory and file handles are back where they were.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg

from tests.helpers.scans import Scan
from tests.integration.conftest import feed_url
from tests.integration.feed.stranger import Stranger
from tests.integration.recomputed import as_received, reconstructed
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.settings import Settings

SETTLE_S = float(os.environ.get("TEST_SETTLE_S", "90"))
"""Within this the dust settles: beyond it something hangs."""
HANDLES = 12
"""That come and go with what there is to do: connections to the database and the bus."""
MEMORY = 48 * 2**20
"""Bytes that allocators and caches may keep after a run that they did not hold before."""


@asynccontextmanager
async def judged(settings: Settings, *scans: Scan, clients: int = 2, settle_s: float = SETTLE_S) -> AsyncIterator[list[Stranger]]:
    """Have clients watch scans while the context lasts, through whatever happens there; then wait for the ends of the runs, and judge.

    In the context the scans are published and things go wrong; at its end the streaming process must serve, and may still be at work.

    :param clients: for each scan; they come before it begins, and come back whenever they are cut off
    :param settle_s: seconds that the runs may take to their ends after the context
    :returns: the clients
    """
    watching = [(one, Stranger(one.uid, pinned=bool(number % 2))) for one in scans for number in range(clients)]
    # No group: its errors would hide in one of their own.
    told = asyncio.gather(*(client.until_ended(one.uid, feed_url(settings), within_s=None) for one, client in watching))
    try:
        yield [client for _, client in watching]
        async with asyncio.timeout(settle_s):
            await told
            await until_kept(settings, *scans)
    finally:
        told.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await told
    for one in scans:
        assert_kept_once(settings, one)
        await asyncio.to_thread(assert_batch_map, settings, one, [client for watched, client in watching if watched is one])
    for _, client in watching:
        client.drop()


async def until_kept(settings: Settings, *scans: Scan) -> None:
    """Wait until the catalogue has the ends of the runs."""
    with CatalogueReader(settings.database_url or "") as catalogue:
        for one in scans:
            while (row := await asyncio.to_thread(catalogue.run, one.uid)) is None or row.ended_seq is None:
                await asyncio.sleep(0.02)


def assert_kept_once(settings: Settings, one: Scan) -> None:
    """Each document of the scan is in the catalogue once, as it was published, and no other of that run."""
    wanted = {(document.name, document.uid): document.doc for document in as_received((d.name or "", d.doc) for d in one.documents)}
    with CatalogueReader(settings.database_url or "") as catalogue:
        kept = catalogue.documents(one.uid)
    assert Counter((document.name, document.uid) for document in kept) == Counter(list(wanted))
    assert {(document.name, document.uid): document.doc for document in kept} == wanted
    with psycopg.connect(settings.database_url or "") as connection:
        stray = connection.execute("SELECT count(*) FROM documents WHERE uid = ANY(%s)", [[uid for _, uid in wanted]]).fetchone()
    assert stray == (len(wanted),)


def assert_batch_map(settings: Settings, one: Scan, clients: Sequence[Stranger] = ()) -> None:
    """The rows that were kept give the map of a recomputation, bit for bit, which is that of the frames; so do those of each client."""
    # Small windows, of which some end in the middle of a chunk, but not hundreds of thousands of them.
    documents = as_received((d.name or "", d.doc) for d in one.documents)
    (batch,) = reconstructed(documents, one.file.parent, window_frames=max(5, one.points // 1000))
    with CatalogueReader(settings.database_url or "") as catalogue:
        row, kept = catalogue.run(one.uid), catalogue.revision(one.uid)
    assert row is not None
    assert kept is not None
    assert (row.status, row.info.rows, kept.rows) == ("success", len(batch.table.data), len(batch.table.data))
    live = Results(settings.results).load(kept.file).maps(kept.info.shape)
    for channel, values in batch.table.maps(batch.info.shape).items():
        np.testing.assert_array_equal(values, one.map(channel))
        assert live[channel].tobytes() == values.tobytes(), channel
        for client in clients:
            assert client.map(one.uid, channel).tobytes() == values.tobytes(), channel
    for client in clients:
        assert client.held[one.uid].rows == len(batch.table.data)


@dataclass(frozen=True)
class Holdings:
    """What a process holds of its machine."""

    handles: int
    memory: int
    """Bytes that lie in RAM."""

    @classmethod
    def of(cls, pid: int) -> Holdings:
        """What it holds now."""
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return cls(len(os.listdir(f"/proc/{pid}/fd")), pages * os.sysconf("SC_PAGE_SIZE"))

    def assert_back(self, now: Holdings, memory: int = MEMORY) -> None:
        """No more is held than before, but for what comes and goes."""
        assert now.handles <= self.handles + HANDLES
        assert now.memory <= self.memory + memory
