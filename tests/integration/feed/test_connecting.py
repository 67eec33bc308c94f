"""Connecting to the feed: the handshake, as protocol.md has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.helpers.rawfeed import RawClient, raw_client
from tests.helpers.scans import Scan
from tests.integration.feed.conftest import Beamline

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


async def test_the_first_message_is_a_welcome_that_names_protocol_time_and_latest_run(client: RawClient, past: list[Scan]) -> None:
    welcome = client.welcome
    assert welcome["type"] == "welcome"
    assert welcome["protocol"] == "wpb.v1"
    assert abs(datetime.fromisoformat(welcome["time"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert isinstance(welcome["latest"], str)
    assert welcome["session"]
    assert welcome["server"]


async def test_the_subprotocol_is_echoed_to_a_client_that_offers_it(client: RawClient) -> None:
    assert client.socket.subprotocol == "wpb.v1"


async def test_a_client_that_offers_no_subprotocol_is_served_all_the_same(beamline: Beamline) -> None:
    async with raw_client(beamline.url, subprotocols=None) as client:
        assert client.socket.subprotocol is None
        assert client.welcome["protocol"] == "wpb.v1"


async def test_the_subprotocol_is_picked_out_of_several(beamline: Beamline) -> None:
    async with raw_client(beamline.url, subprotocols=[Subprotocol("wpb.v9"), Subprotocol("wpb.v1")]) as client:
        assert client.socket.subprotocol == "wpb.v1"


async def test_a_client_that_offers_only_other_subprotocols_is_refused_with_http_400(beamline: Beamline) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(beamline.url, subprotocols=[Subprotocol("wpb.v9")]):
            pass
    assert refused.value.response.status_code == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_page_of_another_origin_is_refused_with_http_403_before_the_upgrade(beamline: Beamline, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(beamline.url, additional_headers={"Origin": origin}):
            pass
    assert refused.value.response.status_code == 403
    assert "upgrade" not in refused.value.response.headers.get("Connection", "").lower()


async def test_a_page_of_the_servers_own_origin_is_let_in(beamline: Beamline) -> None:
    async with raw_client(beamline.url, additional_headers={"Origin": f"http://{beamline.settings.listen}"}) as client:
        assert client.welcome["type"] == "welcome"
