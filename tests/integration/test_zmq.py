"""A real RunEngine, Bluesky's own ZMQ publisher and proxy, and the streaming process at its end."""

from __future__ import annotations

import asyncio
import pickle  # noqa: TID251  Bluesky's default
import re
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bluesky.callbacks.zmq import Publisher

from tests.helpers.zmq_proxy import Proxy
from tests.integration.conftest import feed_url
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import watch
from wpb_stream.settings import Settings
from wpb_stream.sim.camera import DATASET
from wpb_stream.sim.instrument import Beamline

pytestmark = pytest.mark.integration

WAIT_S = 60.0
SHAPE = (3, 4)
PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "zmq.md").read_text()
SNIPPETS = dict(zip(("msgpack", "json"), re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL), strict=True))


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Bluesky's proxy."""
    proxy = Proxy()
    yield proxy
    proxy.stop()


@pytest.fixture
def settings(settings: Settings, proxy: Proxy) -> Settings:
    return settings.model_copy(update={"sources": (f"zmq://127.0.0.1:{proxy.ports[1]}",)})


class Line:
    """What a snippet of the documentation subscribes its publisher to, in place of a RunEngine."""

    def __init__(self) -> None:
        self.publish: Callable[[str, Any], None] = lambda _name, _doc: None

    def subscribe(self, publisher: Callable[[str, Any], None]) -> None:
        self.publish = publisher


def publisher_of(snippet: str, proxy: Proxy) -> Any:
    """The publisher that a snippet of the documentation makes."""
    engine = Line()
    exec(snippet.replace("proxyhost:5577", f"127.0.0.1:{proxy.ports[0]}"), {"RE": engine})
    return engine.publish


def dead_letters(settings: Settings) -> list[tuple[Any, ...]]:
    with CatalogueReader(settings.database_url or "") as catalogue:
        return list(catalogue.dead_letters(limit=500))


async def until_heard(settings: Settings, publisher: Any, reason: str) -> None:
    """Send what nobody can use until it is among the dead letters: what is sent before all are connected is lost."""
    async with asyncio.timeout(WAIT_S):
        while not any(reason in letter[4] for letter in await asyncio.to_thread(dead_letters, settings)):
            publisher("hello", {"array": np.arange(3)})
            await asyncio.sleep(0.05)


def scan(settings: Settings, publisher: Any) -> str:
    """Take a scan and publish it; gives the run's uid."""
    uids: list[str] = []
    beamline = Beamline(settings.data_roots[0], SHAPE, (30, 40))
    beamline.subscribe(publisher)
    beamline.subscribe(lambda name, doc: uids.append(doc["uid"]) if name == "start" else None)
    beamline.scan()
    return uids[0]


async def assert_is_shown(settings: Settings, run: str) -> None:
    """The run's map is what numpy makes of its frames."""
    # The latest one: the run is published, but need not be known yet.
    async with asyncio.timeout(WAIT_S), aclosing(watch(feed_url(settings))) as updates:
        async for update in updates:
            if update.stopped and update.run.uid == run:
                break
    (path,) = settings.data_roots[0].glob("*.h5")
    with h5py.File(path) as file:
        expected = file[DATASET][...].astype(np.uint64).sum(axis=(1, 2)).reshape(SHAPE).astype(float)
    expected[1::2] = expected[1::2, ::-1]
    np.testing.assert_array_equal(update.map("total"), expected)
    assert (update.run.status, update.rows) == ("success", 12)


@pytest.mark.parametrize("snippet", SNIPPETS.values(), ids=SNIPPETS)
async def test_a_run_published_as_the_documentation_says_is_shown(settings: Settings, streaming, proxy: Proxy, snippet: str) -> None:
    publisher = publisher_of(snippet, proxy)
    try:
        async with streaming(settings):
            await until_heard(settings, publisher, "unknown document name 'hello'")
            await assert_is_shown(settings, await asyncio.to_thread(scan, settings, publisher))
    finally:
        publisher.close()
    assert {letter[4] for letter in dead_letters(settings)} == {"unknown document name 'hello'"}


class Trap:
    """What runs code when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sentinel,)


@pytest.fixture
def sentinel(tmp_path: Path) -> Path:
    """A file that is there once a trap was unpickled."""
    return tmp_path / "sentinel"


@pytest.fixture
def trapping(proxy: Proxy, sentinel: Path) -> Iterator[Publisher]:
    """A publisher whose every document is a trap."""
    publisher = Publisher(f"127.0.0.1:{proxy.ports[0]}", serializer=lambda _: pickle.dumps(Trap(sentinel)))
    yield publisher
    publisher.close()


@pytest.fixture
def pickling(proxy: Proxy) -> Iterator[Publisher]:
    """A publisher as Bluesky makes it by default."""
    publisher = Publisher(f"127.0.0.1:{proxy.ports[0]}")
    yield publisher
    publisher.close()


async def test_pickles_are_kept_unread_with_the_remedies(
    settings: Settings, streaming, pickling: Publisher, trapping: Publisher, sentinel: Path
) -> None:
    async with streaming(settings):
        await until_heard(settings, trapping, "the message is pickled")
        await until_heard(settings, pickling, "the message is pickled")
        run = await asyncio.to_thread(scan, settings, pickling)
        async with asyncio.timeout(WAIT_S):
            while len(await asyncio.to_thread(dead_letters, settings)) < 20:
                await asyncio.sleep(0.05)
    assert not sentinel.exists()
    for letter in dead_letters(settings):
        assert re.search(r"Publisher\(address, serializer=.* WPB_ZMQ_PICKLE; docs/how-to/zmq\.md", letter[4])
    with CatalogueReader(settings.database_url or "") as catalogue:
        assert catalogue.documents(run) == []


async def test_pickles_are_read_and_run_where_the_settings_say_so(
    settings: Settings, streaming, pickling: Publisher, trapping: Publisher, sentinel: Path
) -> None:
    async with streaming(settings.model_copy(update={"zmq_pickle": "run code of whoever publishes"})):
        await until_heard(settings, pickling, "unknown document name 'hello'")
        await assert_is_shown(settings, await asyncio.to_thread(scan, settings, pickling))
        await until_heard(settings, trapping, "the message is no [name, doc] pair")
    assert sentinel.exists()
