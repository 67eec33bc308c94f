"""Who is let in by the tokens of an OpenID provider, and for how long: over the websocket and over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from time import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.helpers.provider import AUDIENCE, ISSUER, Signer
from tests.helpers.rawfeed import raw_client
from tests.helpers.serving import Serving, catalogue_away, live, serving_of
from wpb_stream.client import watch
from wpb_stream.core.access import Access
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.feed import server
from wpb_stream.feed.provider import Provider
from wpb_stream.oidc import Oidc
from wpb_stream.tokens import new_token

KEY = Signer("one")
STATIC, ENTRY = new_token("alice")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    """A server that knows one provider and one token of its own; of its two runs the latest is another session's."""
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [KEY.public]}))
    oidc = Oidc(issuer=ISSUER, audience=(AUDIENCE,), jwks=str(tmp_path / "keys.json"), sessions_claim="sessions", leeway_s=0)
    reader = catalogue_away()
    async with serving_of(reader, tmp_path / "results", access=Access([ENTRY.grant]), provider=Provider(oidc)) as serving:
        live(serving.board, 5, "mine", data_session="cm1-1")
        live(serving.board, 5, "theirs", data_session="cm2-1")
        yield serving


async def test_the_provider_and_the_settings_let_in_side_by_side(serving: Serving) -> None:
    for token in (STATIC, KEY.token(scope="admin")):
        async with serving.client(additional_headers=bearer(token)) as client:
            assert client.welcome["latest"] == "theirs"
        assert await serving.get("/api/runs/latest", **bearer(token)) == b"HTTP/1.1 200 OK"


async def test_a_user_sees_the_runs_of_their_own_sessions(serving: Serving) -> None:
    token = KEY.token(sessions=["cm1-1", "cm7-7"])
    async with connect(serving.url) as socket:
        await socket.send(json.dumps({"type": "authenticate", "token": token}))
        assert json.loads(await socket.recv())["type"] == "welcome"
    async with serving.client(additional_headers=bearer(token)) as client:
        assert (await client.answer("subscribe", run="mine"))["type"] == "run"
        assert (await client.answer("subscribe", run="theirs"))["code"] == "unknown_run"
    assert await serving.get("/api/runs/mine", **bearer(token)) == b"HTTP/1.1 200 OK"
    assert await serving.get("/api/runs/theirs", **bearer(token)) == b"HTTP/1.1 404 Not Found"
    assert await serving.get("/metrics", **bearer(token)) == b"HTTP/1.1 404 Not Found"


async def test_who_is_known_and_may_not_watch_is_told_so_and_need_not_come_back(serving: Serving) -> None:
    token = KEY.token(scope="openid")
    assert await serving.get("/api/runs", **bearer(token)) == b"HTTP/1.1 403 Forbidden"
    with pytest.raises(InvalidStatus, match="403"):
        async with connect(serving.url, additional_headers=bearer(token)):
            pass
    async with connect(serving.url) as socket:
        await socket.send(json.dumps({"type": "authenticate", "token": token}))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403
    with pytest.raises(ServiceError, match="403"):
        await anext(watch(serving.url, "mine", token=token))


async def test_a_token_that_expires_ends_the_connection_with_4401(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLOCK_S", 0.001)
    token = KEY.token(scope="admin", exp=int(time()) + 3600)
    async with (
        raw_client(serving.url, additional_headers=bearer(token)) as client,
        serving.client(additional_headers=bearer(STATIC)) as other,
    ):
        await client.send("subscribe", run="mine")
        await client.rows(5)
        monkeypatch.setattr(server, "time", lambda: time() + 3500)
        assert (await client.answer("ping"))["type"] == "pong"
        monkeypatch.setattr(server, "time", lambda: time() + 3601)
        with pytest.raises(ConnectionClosed) as closed:
            await client.until("nothing of the kind")
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "the token has expired")
        assert (await other.answer("ping"))["type"] == "pong"


async def test_no_part_of_a_token_is_ever_logged(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("websockets.client"):
            logging.getLogger(name).setLevel(logging.INFO)  # that of the test's own client
    good, expired, unknown = KEY.token(scope="admin"), KEY.token(exp=1), Signer("two").token()
    for token in (good, expired, unknown, STATIC, STATIC[:-1]):
        await serving.get("/api/runs", **bearer(token))
        async with connect(serving.url, logger=logging.getLogger("of a client that is not ours")) as socket:
            await socket.send(json.dumps({"type": "authenticate", "token": token}))
            try:
                await socket.recv()
            except ConnectionClosed:
                pass
    assert caplog.text.count("shows a token that is not known") == 6
    assert "ExpiredSignatureError" in caplog.text
    for token in (good, expired, unknown, STATIC):
        assert not any(piece in caplog.text for piece in token.split(".") if len(piece) > 4)


async def test_many_come_at_once_while_the_keys_cannot_be_had(tmp_path: Path) -> None:
    reader = catalogue_away()
    oidc = Oidc(issuer=ISSUER, audience=(AUDIENCE,), jwks=str(tmp_path / "none.json"))
    async with serving_of(reader, tmp_path, access=Access([ENTRY.grant]), provider=Provider(oidc)) as serving:
        answers = await asyncio.gather(*(serving.get("/api/runs", **bearer(KEY.token())) for _ in range(10)))
        assert set(answers) == {b"HTTP/1.1 401 Unauthorized"}
        async with serving.client(additional_headers=bearer(STATIC)) as client:
            assert (await client.answer("ping"))["type"] == "pong"
