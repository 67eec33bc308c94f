"""The promises of the protocol, whatever clients do and however often the server is killed: Hypothesis thinks of what happens.

Clients connect, stall, drop and come back while two scans grow, one after the other; the walk is killed and started again. At the end
everything that was published has come, and every client's map is the batch map of each run it watched, bit for bit.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.helpers.documents import MOTOR, Acquisition
from tests.integration.feed.stranger import Stranger
from tests.integration.feed.walking import Bus, Walk
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.core.documents import Document

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SHAPE = (4, 6)
POINTS = SHAPE[0] * SHAPE[1]
CLIENTS = 5
EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "10"))
"""More of them find rarer orders."""


def scan(again: frozenset[int]) -> tuple[list[Document], npt.NDArray[np.float64]]:
    """A snake scan of a number, and its map.

    :param again: points that were rewound to and measured once more, at the end; the later value counts
    """
    run = Acquisition(SHAPE, detectors=["det"], hints={"dimensions": [[["y"], "primary"], [["x"], "primary"]]})
    stream = run.stream(det={**MOTOR, "dtype_numpy": "<f8"}, y=MOTOR, x=MOTOR)
    expected = np.full(SHAPE, np.nan)
    for count, point in enumerate([*range(POINTS), *sorted(again)]):
        y, x = divmod(point, SHAPE[1])
        value = 1000.0 + count + 1 / (3 + point)
        seq_num = point + 1
        data = {"det": value, "y": float(y), "x": float(x)}
        event = stream.compose_event(data=data, timestamps=dict.fromkeys(data, 1.0), seq_num=seq_num, validate=False)
        run.documents.append(Document("event", dict(event)))
        expected[y, x if y % 2 == 0 else SHAPE[1] - 1 - x] = value
    run.stop()
    return run.documents, expected


class Promises(RuleBasedStateMachine):
    """What may happen, in any order."""

    database_url: str
    folder: Path
    """Shared by all examples: whoever asks for the latest run before there is one is shown that of the example before."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._clients: list[Stranger] = []
        self._bus = Bus()
        self._walk = Walk(self.database_url, self.folder, self._bus)
        self._scans: list[tuple[list[Document], npt.NDArray[np.float64]]] = []
        self._unpublished: list[Document] = []

    def _do(self, what: Awaitable[Any]) -> None:
        async def done() -> None:
            await what
            self._walk.check()
            for client in self._clients:
                client.check()

        self._runner.run(done())

    @initialize(again=st.frozensets(st.integers(0, POINTS - 1), max_size=3))
    def begin(self, again: frozenset[int]) -> None:
        self._scans = [scan(again), scan(frozenset())]
        self._unpublished = [document for documents, _ in self._scans for document in documents]
        self._do(self._walk.start())

    @rule(count=st.integers(1, 8))
    def publish(self, count: int) -> None:
        async def publish() -> None:
            published, self._unpublished = self._unpublished[:count], self._unpublished[count:]
            self._bus.publish(published)
            await asyncio.sleep(0.02)

        self._do(publish())

    @rule(count=st.integers(1, 20))
    def pause(self, count: int) -> None:
        self._do(asyncio.sleep(count / 1000))

    @precondition(lambda self: self._walk.url is not None)
    @rule()
    def kill(self) -> None:
        self._do(self._walk.kill())

    @precondition(lambda self: self._walk.url is None)
    @rule()
    def start(self) -> None:
        self._do(self._walk.start())

    @precondition(lambda self: len(self._clients) < CLIENTS and self._walk.url is not None)
    @rule(which=st.sampled_from(["latest", "first", "second"]), pinned=st.booleans())
    def connect(self, which: str, pinned: bool) -> None:
        documents = self._scans[which == "second"][0]
        if which == "second" and len(self._unpublished) >= len(documents):
            return  # it has not begun
        if which == "first" and len(self._unpublished) == sum(len(scan[0]) for scan in self._scans):
            return
        client = Stranger("latest" if which == "latest" else documents[0].doc["uid"], pinned=pinned)
        self._clients.append(client)
        self._do(client.connect(self._walk.url or ""))

    @precondition(lambda self: self._clients)
    @rule(number=st.integers(0, CLIENTS - 1))
    def drop(self, number: int) -> None:
        self._clients[number % len(self._clients)].drop()

    @precondition(lambda self: self._clients and self._walk.url is not None)
    @rule(number=st.integers(0, CLIENTS - 1))
    def come_back(self, number: int) -> None:
        client = self._clients[number % len(self._clients)]
        if not client.connected:
            self._do(client.connect(self._walk.url or ""))

    @precondition(lambda self: self._clients and self._walk.url is not None)
    @rule()
    def blink(self) -> None:
        """The machine is gone for a moment, and all who were there come back."""

        async def blink() -> None:
            await self._walk.kill()
            await self._walk.start()
            for client in self._clients:
                await client.until_gone()
                await client.connect(self._walk.url or "")
            await asyncio.sleep(0.02)

        self._do(blink())

    @precondition(lambda self: self._clients)
    @rule(number=st.integers(0, CLIENTS - 1), on=st.booleans())
    def stall(self, number: int, on: bool) -> None:
        self._clients[number % len(self._clients)].stall(on=on)

    def teardown(self) -> None:
        try:
            self._do(self._settle())
        finally:
            self._runner.close()

    async def _settle(self) -> None:
        """All is published, everybody is back, and some come who have seen nothing yet."""
        if self._walk.url is None:
            await self._walk.start()
        self._bus.publish(self._unpublished)
        uids = [documents[0].doc["uid"] for documents, _ in self._scans]
        self._clients += [Stranger(uid, pinned=False) for uid in uids]
        for client in self._clients:
            client.stall(on=False)
            uid = uids[-1] if client.target == "latest" else client.target
            await client.until_ended(uid, self._walk.url or "")
            np.testing.assert_array_equal(client.map(uid, "det"), self._scans[uids.index(uid)][1])
            client.drop()
        await self._walk.kill()


def test_whatever_happens_each_row_comes_once_and_in_order_and_the_maps_are_right(postgres_url: str, tmp_path: Path) -> None:
    upgrade(postgres_url)

    class OnThisDatabase(Promises):
        database_url = postgres_url
        folder = tmp_path

    slow = (HealthCheck.too_slow, HealthCheck.data_too_large)
    options = settings(max_examples=EXAMPLES, stateful_step_count=40, suppress_health_check=slow)
    run_state_machine_as_test(OnThisDatabase, settings=options)
