"""Where the settings have tokens: who is let in, over the websocket and over HTTP, and which runs are seen."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.helpers.rawfeed import RawClient
from tests.helpers.serving import Serving, catalogue_away, live, serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.client import frame, watch
from wpb_stream.core.access import Access
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.feed import door
from wpb_stream.tokens import new_token

TOKEN, ENTRY = new_token("alice")
VISIT, VISIT_ENTRY = new_token("visit", sessions=["cm1-1"])


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    """A server that wants a token, with a run of each of two sessions, the latest of which the visit may not see."""
    reader = catalogue_away()
    async with serving_of(reader, tmp_path, access=Access([ENTRY.grant, VISIT_ENTRY.grant])) as server:
        live(server.board, 5, "mine", data_session="cm1-1")
        live(server.board, 5, "theirs", data_session="cm2-1")
        yield server


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_a_token_in_the_handshake_lets_in(serving: Serving) -> None:
    async with serving.client(additional_headers=bearer(TOKEN)) as client:
        assert client.welcome["latest"] == "theirs"
        assert (client.welcome["scopes"], client.welcome["dagster"]) == (["watch"], None)
        assert (await client.answer("subscribe", run="mine"))["type"] == "run"


async def test_watching_in_a_terminal_shows_the_token_of_the_settings_file(serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "wpb.toml").write_text(f'listen = "127.0.0.1:{serving.port}"\ntoken = "{TOKEN}"\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WPB_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wpb_stream.cli", "watch", "mine"), stdout=subprocess.PIPE, cwd=tmp_path, env=environment
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert (await process.stdout.readline()).startswith(b"run 1 grid_scan running: ")
    finally:
        process.terminate()
        await process.communicate()


async def test_a_wrong_token_in_the_handshake_is_refused_with_http_401(serving: Serving) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(serving.url, additional_headers=bearer(TOKEN[:-1])):
            pass
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_in_the_first_message_lets_in(serving: Serving) -> None:
    async with connect(serving.url) as socket:
        await socket.send(json.dumps({"type": "authenticate", "token": TOKEN}))
        assert json.loads(await socket.recv())["type"] == "welcome"
        client = RawClient(socket)
        assert (await client.answer("subscribe", run="theirs"))["type"] == "run"
        await client.send("authenticate", token="again")
        await client.rows(5)


@pytest.mark.parametrize(
    "first",
    [
        {"type": "authenticate", "token": "wrong"},
        {"type": "authenticate", "token": ""},
        {"type": "authenticate"},
        {"type": "authenticate", "token": [TOKEN]},
        {"type": "subscribe", "id": 1, "run": "latest"},
        {"type": "subscribe", "id": 1, "run": "latest", "token": TOKEN},
        "no object",
    ],
)
async def test_whose_first_message_shows_no_known_token_is_told_nothing_and_closed_with_4401(serving: Serving, first: object) -> None:
    async with connect(serving.url) as socket:
        await socket.send(json.dumps(first))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_who_says_nothing_is_closed_with_4401(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "AUTHENTICATE_TIMEOUT_S", 0.05)
    async with connect(serving.url) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_where_no_token_is_needed_one_that_is_shown_changes_nothing(tmp_path: Path) -> None:
    with CatalogueReader("postgresql://127.0.0.1:1/none") as reader:
        async with serving_of(reader, tmp_path) as serving, serving.client(additional_headers=bearer("any")) as client:
            await client.send("authenticate", token="any")
            assert (await client.answer("ping"))["type"] == "pong"


@pytest.mark.parametrize("path", ["/", "/app.js", "/asyncapi.json", "/openapi.json", "/healthz", "/readyz"])
async def test_the_viewer_and_the_signs_of_life_need_no_token(serving: Serving, path: str) -> None:
    assert b" 401 " not in await serving.get(path)


@pytest.mark.parametrize("path", ["/api/runs", "/api/runs/mine", "/api/runs/mine/map.csv", "/api/runs/mine/preview.png", "/nothing"])
async def test_everything_else_needs_one(serving: Serving, path: str) -> None:
    assert b" 401 " in await serving.get(path)
    assert b" 401 " in await serving.get(path, **bearer("wrong"))
    assert b" 401 " not in await serving.get(path, **bearer(TOKEN))


async def test_a_token_with_sessions_sees_the_latest_run_of_these(serving: Serving) -> None:
    live(serving.board, 5, "mine", data_session="cm1-1")
    async with serving.client(additional_headers=bearer(VISIT)) as client:
        assert client.welcome["latest"] == "mine"
        assert (await client.answer("subscribe", run="latest"))["run"]["uid"] == "mine"
    assert await serving.get("/api/runs/latest", **bearer(VISIT)) == b"HTTP/1.1 200 OK"


async def test_runs_of_other_sessions_sound_like_those_that_there_never_were(serving: Serving) -> None:
    async with serving.client(additional_headers=bearer(VISIT)) as client:
        for asked in ({"run": "theirs"}, {"run": "theirs", "revision": "of no such name"}, {"run": "theirs", "from_row": 99}):
            told = await client.answer("subscribe", **asked)
            assert (told["code"], told["message"]) == ("unknown_run", "There is no run 'theirs'.")
        told = await client.answer("get_frame", run="theirs", point=0)
        assert (told["code"], told["message"]) == ("unknown_run", "There is no run 'theirs'.")
    for path in ("", "/revisions", "/detectors", "/map.csv", "/map.csv?revision=x", "/preview.png"):
        assert await serving.get(f"/api/runs/theirs{path}", **bearer(VISIT)) == b"HTTP/1.1 404 Not Found"


async def test_what_is_counted_of_all_runs_is_told_to_those_who_see_all(serving: Serving) -> None:
    assert await serving.get("/metrics") == b"HTTP/1.1 401 Unauthorized"
    assert await serving.get("/metrics", **bearer(TOKEN)) == b"HTTP/1.1 200 OK"
    assert await serving.get("/metrics", **bearer(VISIT)) == b"HTTP/1.1 404 Not Found"


async def test_a_subscription_to_the_latest_run_passes_over_runs_of_other_sessions(serving: Serving) -> None:
    made = live(serving.board, 5, "mine", data_session="cm1-1")
    async with serving.client(additional_headers=bearer(VISIT)) as client:
        await client.send("subscribe", run="latest")
        await client.rows(5)
        live(serving.board, 7, "ours", instrument_session="cm1-1")
        made.ended = True
        serving.board.changed()
        moved = (await client.until("run"))[-1]
        assert moved["run"]["uid"] == "ours"


async def test_the_python_client_shows_its_token_and_is_refused_for_good_without(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "AUTHENTICATE_TIMEOUT_S", 0.05)
    watching = watch(serving.url, "mine", token=TOKEN)
    async for update in watching:
        if update.rows == 5:
            break
    await watching.aclose()
    with pytest.raises(ServiceError, match="401"):
        await anext(watch(serving.url, "mine", token="wrong"))
    with pytest.raises(ServiceError, match="4401"):
        await anext(watch(serving.url, "mine", token=""))
    with pytest.raises(ProtocolError, match="no run 'theirs'"):
        await frame(serving.url, "theirs", 0, token=VISIT)
