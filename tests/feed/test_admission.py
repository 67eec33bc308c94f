"""Who is let in while the settings change, by which name, and after how many wrong tokens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.helpers.rawfeed import RawClient
from tests.helpers.serving import Serving, live, serving_of
from wpb_stream import admission
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core.access import Grant
from wpb_stream.feed import door, limits
from wpb_stream.feed.http import served_here
from wpb_stream.feed.limits import FeedLimits
from wpb_stream.feed.socket import Socket
from wpb_stream.settings import load
from wpb_stream.tokens import Token, new_token

ALICE, ALICES = new_token("alice")
BOB, BOBS = new_token("bob", sessions=["cm1-1"])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file, which is looked at all the time."""
    monkeypatch.setenv("WPB_CONFIG", str(tmp_path / "wpb.toml"))
    monkeypatch.setattr(admission, "LOOK_S", 0.001)
    return tmp_path / "wpb.toml"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def write(file: Path, *tokens: Token, **changed: str) -> None:
    """Have the file name these tokens, as an editor does that leaves no half of it to be read."""
    entries = [f'[[tokens]]\nname = "{each.name}"\nsha256 = "{each.sha256}"\n' for each in tokens]
    entries += [f"sessions = {list(tokens[-1].sessions)}\n"] if tokens and tokens[-1].sessions else []
    file.with_suffix(".new").write_text("".join(entries) + changed.get("more", ""))
    file.with_suffix(".new").replace(file)


@asynccontextmanager
async def following(reader: CatalogueReader, folder: Path) -> AsyncIterator[Serving]:
    """A server that lets in whom the settings file names."""
    settings = load()
    async with serving_of(reader, folder, access=admission.admission(settings, settings.anonymous)) as serving:
        live(serving.board, 5, "u", data_session="cm1-1")
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(admission.follow_tokens(settings, serving.feed))
            yield serving
            task.cancel()


async def closed_with(client: RawClient) -> int:
    """The code a connection is closed with."""
    with pytest.raises(ConnectionClosed) as closed:
        await client.until("nothing of the kind")
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def until_status(serving: Serving, status: bytes, **headers: str) -> None:
    """Wait until a request is answered with that status."""
    async with asyncio.timeout(30):
        while (await serving.get("/api/runs/u", **headers)).split()[1] != status:
            pass


async def test_a_token_that_is_taken_back_ends_its_connections_and_no_others(reader: CatalogueReader, tmp_path: Path, file: Path) -> None:
    write(file, ALICES, BOBS)
    async with following(reader, tmp_path / "results") as serving:
        async with serving.client(additional_headers=bearer(ALICE)) as alice, serving.client(additional_headers=bearer(BOB)) as bob:
            await alice.send("subscribe", run="u")
            await alice.rows(5)
            write(file, BOBS)
            assert await closed_with(alice) == 4401
            with pytest.raises(InvalidStatus, match="401"):
                async with connect(serving.url, additional_headers=bearer(ALICE)):
                    pass
            assert (await bob.answer("ping"))["type"] == "pong"
            write(file)
            assert await closed_with(bob) == 4401
        assert await serving.get("/api/runs/u") == b"HTTP/1.1 401 Unauthorized", "the last one taken back opens no doors"


async def test_a_new_token_lets_in_without_a_restart(reader: CatalogueReader, tmp_path: Path, file: Path) -> None:
    write(file, ALICES)
    async with following(reader, tmp_path / "results") as serving, serving.client(additional_headers=bearer(ALICE)) as alice:
        assert await serving.get("/api/runs/u", **bearer(BOB)) == b"HTTP/1.1 401 Unauthorized"
        write(file, ALICES, BOBS)
        await until_status(serving, b"200", **bearer(BOB))
        assert (await alice.answer("ping"))["type"] == "pong"


async def test_the_first_token_shuts_out_who_shows_none(reader: CatalogueReader, tmp_path: Path, file: Path) -> None:
    write(file)
    async with following(reader, tmp_path / "results") as serving, serving.client() as anybody:
        write(file, ALICES)
        assert await closed_with(anybody) == 4401
        assert await serving.get("/api/runs/u", **bearer(ALICE)) == b"HTTP/1.1 200 OK"


async def test_whose_token_is_for_something_else_now_is_asked_to_come_back(reader: CatalogueReader, tmp_path: Path, file: Path) -> None:
    write(file, BOBS)
    async with following(reader, tmp_path / "results") as serving:
        async with serving.client(additional_headers=bearer(BOB)) as bob:
            write(file, BOBS.model_copy(update={"sessions": ("cm2-1",)}))
            assert await closed_with(bob) == 1012
        assert await serving.get("/api/runs/u", **bearer(BOB)) == b"HTTP/1.1 404 Not Found"


async def test_settings_that_cannot_be_used_change_nothing_and_no_token_is_logged(
    reader: CatalogueReader, tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(file, ALICES)
    async with following(reader, tmp_path / "results") as serving:
        for more in ("[[tokens]\n", f'[[tokens]]\nname = "carol"\nsha256 = "{ALICE}"\n'):
            caplog.clear()
            write(file, more=more)
            async with asyncio.timeout(30):
                while "the tokens are what they were" not in caplog.text:
                    await asyncio.sleep(0)
            assert await serving.get("/api/runs/u", **bearer(ALICE)) == b"HTTP/1.1 200 OK"
            assert ALICE not in caplog.text


async def test_whose_token_is_taken_back_while_it_comes_in_is_not_let_in(reader: CatalogueReader, tmp_path: Path) -> None:
    async with serving_of(reader, tmp_path, access=admission.Access([ALICES.grant])) as serving:
        async with connect(serving.url) as socket:
            await serving.feed.admit(admission.Access([BOBS.grant]))
            await socket.send(f'{{"type": "authenticate", "token": "{ALICE}"}}')
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_so_is_one_whose_token_is_taken_back_after_it_was_shown_in_the_handshake(
    reader: CatalogueReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_of(reader, tmp_path, access=admission.Access([ALICES.grant])) as serving:
        let_in = serving.feed._door.admit

        async def admit(socket: Socket) -> Grant | None:
            await serving.feed.admit(admission.Access([BOBS.grant]))
            return await let_in(socket)

        monkeypatch.setattr(serving.feed._door, "admit", admit)
        async with connect(serving.url, additional_headers=bearer(ALICE)) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("127.0.0.1:8000", True),
        ("127.8.9.1", True),
        ("[::1]:8000", True),
        ("wpb.example.org", True),
        ("WPB.example.org:443", True),
        (None, True),
        ("", False),
        ("evil.example.org:8000", False),
        ("localhost.evil.example.org", False),
        ("127.0.0.1.evil.example.org", False),
        ("evil.example.org@localhost", True),
        ("localhost@evil.example.org", False),
        ("192.0.2.1", False),
        ("[", False),
        ("localhost:99999999", True),
    ],
)
def test_names_that_are_served_on_loopback(host: str | None, served: bool) -> None:
    assert served_here(host, {"localhost", "wpb.example.org"}) is served


async def test_a_page_that_gives_its_own_name_our_address_gets_nothing(reader: CatalogueReader, tmp_path: Path) -> None:
    async with serving_of(reader, tmp_path, hosts={"localhost"}) as serving:
        for path in ("/", "/api/runs", "/healthz"):
            assert await serving.get(path) == b"HTTP/1.1 403 Forbidden"
        rebound = f"ws://evil.example.org:{serving.port}/ws"
        with pytest.raises(InvalidStatus, match="403"):
            async with connect(rebound, host="127.0.0.1", port=serving.port, origin=f"http://evil.example.org:{serving.port}"):  # type: ignore[arg-type]
                pass
        async with serving.client() as client:
            assert client.welcome["type"] == "welcome"


async def test_who_shows_too_many_wrong_tokens_is_not_listened_to_for_a_while(
    reader: CatalogueReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "is_loopback", lambda _: False)  # a second address would need a second network
    caplog.set_level(logging.INFO)
    only = FeedLimits(max_wrong_tokens_per_minute=2)
    async with serving_of(reader, tmp_path, access=admission.Access([ALICES.grant]), limits=only) as serving:
        live(serving.board, 5)
        async with connect(serving.url) as socket:
            await socket.send('{"type": "authenticate", "token": "a guess"}')
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        assert await serving.get("/api/runs/u", **bearer("another")) == b"HTTP/1.1 401 Unauthorized"
        assert await serving.get("/api/runs/u", **bearer(ALICE)) == b"HTTP/1.1 429 Too Many Requests"
        with pytest.raises(InvalidStatus) as refused:
            async with connect(serving.url):
                pass
        assert refused.value.response.headers["Retry-After"] == str(door.GUESS_AFTER_S)
        assert await serving.get("/healthz") == b"HTTP/1.1 200 OK"
        monkeypatch.setattr(door, "monotonic", lambda: asyncio.get_running_loop().time() + 60)
        assert await serving.get("/api/runs/u", **bearer(ALICE)) == b"HTTP/1.1 200 OK"
