"""The browser client in Node, on a server whose runs are put on its board by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.helpers.nodejs import CLIENT, node, script
from tests.helpers.serving import Serving, live, serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core.access import Access
from wpb_stream.core.board import Reconstruction
from wpb_stream.core.messages import CLOSE_RESTART, SUBPROTOCOL, Welcome, encode_reply
from wpb_stream.core.table import PointTable
from wpb_stream.tokens import new_token

HERE = Path(__file__).parent / "client"
CLOSE = """
import {{ watch }} from {};
const connection = (state) => state === "connected" || console.log(state);
const feed = watch({}, "latest", {{ notice: () => feed.close() }}, {{ connection }});
"""
WATCHER = HERE / "watcher.js"
FETCH = """
import {{ Feed }} from {};
const feed = new Feed({});
await feed.fetch("u", {{ revision: "live.9" }}).catch(({{ code, message }}) => console.log(`${{code}}: ${{message}}`));
feed.close();
"""

ONCE = """
import {{ Feed }} from {};
const feed = new Feed({});
const told = ({{ code }}) => console.log(code);
const asked = [feed.reprocess("u"), feed.runAgain("u", {{ begin: true }})].map((promise) => promise.catch(told));
const others = [feed.runAgain("u"), feed.listRuns()].map((promise) => promise.catch(() => {{}}));
await Promise.all(asked);
feed.close();
await Promise.all(others);
"""


@pytest.fixture
async def serving(reader: CatalogueReader, tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving_of(reader, tmp_path) as serving:
        yield serving


def grow(serving: Serving, made: Reconstruction, until: int) -> None:
    """Rows up to that one, each with its own number as its value."""
    new = np.arange(made.table.rows, until)
    made.table.append(new, new, new[:, np.newaxis].astype(float))
    serving.board.changed()


def end(serving: Serving, made: Reconstruction) -> None:
    made.ended, made.run = True, msgspec.structs.replace(made.run, status="success")
    serving.board.changed()


def cut(serving: Serving) -> None:
    """Cut all connections, as a network does that fails."""
    for connection in serving.server.connections:
        connection.transport.abort()


def rows_of(said: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(each["first"], each["until"]) for each in said if each["event"] == "points"]


async def test_binary_messages_are_read_as_in_python() -> None:
    assert "fail 0" in await node(HERE / "decode.test.js")


async def test_a_connection_that_is_cut_in_mid_scan_costs_no_row_and_brings_none_twice(serving: Serving) -> None:
    made = live(serving.board, 12)
    made.table = PointTable(["total"])
    async with script(WATCHER, serving.url) as watcher:
        grow(serving, made, 5)
        said = await watcher.until("points", until=5)
        cut(serving)
        grow(serving, made, 9)
        said += await watcher.until("points", until=9)
        cut(serving)
        said += await watcher.until("run", resumed=True)
        grow(serving, made, 12)
        end(serving, made)
        said += await watcher.until("stopped")
        watcher.tell("close")
        said += await watcher.until("connection", state="closed")
        assert await watcher.ended() == 0
    assert [(each["revision"], each["resumed"]) for each in said if each["event"] == "run"] == [("live", False), *[("live", True)] * 2]
    ends = [0, *(until for _, until in rows_of(said))]
    assert [first for first, _ in rows_of(said)] == ends[:-1]
    assert ends[-1] == 12
    assert next(each for each in said if each["event"] == "stopped")["maps"] == {"total": list(range(12))}
    states = [each["state"] for each in said if each["event"] == "connection"]
    assert states == ["connected", *["waiting", "connecting", "connected"] * 2, "closed"]


async def test_a_revision_that_is_gone_is_not_fetched_though_there_is_another(serving: Serving, tmp_path: Path) -> None:
    live(serving.board, 4)
    (tmp_path / "fetch.mjs").write_text(FETCH.format(json.dumps(CLIENT.as_uri()), json.dumps(serving.url)))
    assert await node(tmp_path / "fetch.mjs") == "unknown_revision: Revision live.9 is not kept any more.\n"


async def test_a_run_that_turns_out_to_have_another_shape_is_begun_again(serving: Serving) -> None:
    made = live(serving.board, 4)
    async with script(WATCHER, serving.url) as watcher:
        await watcher.until("points", until=4)
        made.run = msgspec.structs.replace(made.run, shape=[8, 1])
        made.described += 1
        serving.board.changed()
        said = await watcher.until("points", until=4)
        assert [(each["shape"], each["resumed"]) for each in said if each["event"] == "run"] == [([8, 1], False)]
        assert rows_of(said) == [(0, 4)]


async def test_a_row_outside_the_shape_is_a_fault_and_told_as_one(serving: Serving) -> None:
    made = live(serving.board, 4)
    async with script(WATCHER, serving.url) as watcher:
        await watcher.until("points", until=4)
        made.table.append(np.array([4]), np.array([99]), np.ones((1, 1)))
        serving.board.changed()
        said = await watcher.until("notice", code="client_fault")
        assert said[-1]["message"] == "Cell 99 lies outside the shape 4 \u00d7 1."
        assert rows_of(said) == []


async def test_a_feed_that_is_closed_by_who_hears_of_a_fault_stays_closed(serving: Serving, tmp_path: Path) -> None:
    made = live(serving.board, 4)
    made.table.append(np.array([4]), np.array([99]), np.ones((1, 1)))
    (tmp_path / "close.mjs").write_text(CLOSE.format(json.dumps(CLIENT.as_uri()), json.dumps(serving.url)))
    assert await node(tmp_path / "close.mjs") == "closed\n"


async def test_who_shows_no_known_token_waits_for_another_one_and_keeps_no_process_alive(reader: CatalogueReader, tmp_path: Path) -> None:
    text, entry = new_token("alice")
    async with serving_of(reader, tmp_path, access=Access([entry.grant])) as serving:
        live(serving.board, 4)
        async with script(WATCHER, serving.url, "", "wrong", text) as watcher:
            assert (await watcher.until("connection", state="unauthenticated"))[-1]["sentence"] == "The server wants a token."
            watcher.tell("reopen")
            assert (await watcher.until("connection", state="unauthenticated"))[-1]["sentence"] == "The server does not know this token."
            watcher.tell("reopen")
            await watcher.until("points", until=4)
        async with script(WATCHER, serving.url) as watcher:
            await watcher.until("connection", state="unauthenticated")
            assert await watcher.ended() == 0


async def test_a_server_that_is_away_is_tried_again_until_the_feed_is_closed(serving: Serving) -> None:
    async with script(WATCHER, serving.url.replace(str(serving.port), "1")) as watcher:
        await watcher.until("connection", state="waiting")
        await watcher.until("connection", state="waiting")
        watcher.tell("close")
        assert await watcher.ended() == 0


async def test_what_must_not_be_done_twice_is_not_asked_for_again_after_an_interruption(tmp_path: Path) -> None:
    heard: list[str] = []

    async def falls_silent(socket: ServerConnection) -> None:
        await socket.recv()  # the token
        await socket.send(encode_reply(Welcome("0", "s", "2026-01-01T00:00:00Z", None)))
        async for text in socket:
            asked = json.loads(text)
            heard.append("begin" if asked.get("begin") else asked["type"])
            if "list_runs" in heard:
                await socket.close(CLOSE_RESTART)

    async with serve(falls_silent, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (tmp_path / "once.mjs").write_text(ONCE.format(json.dumps(CLIENT.as_uri()), json.dumps(url)))
        assert await node(tmp_path / "once.mjs") == "interrupted\n" * 2
    assert heard[:5] == ["reprocess", "begin", "run_again", "list_runs", "run_again"], (
        "what changes nothing is asked for at each connection"
    )
    assert not {"reprocess", "begin"} & set(heard[5:])
