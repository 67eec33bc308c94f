"""What the Python client makes of the feed's messages, and what it asks: without a socket."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from wpb_stream.client import Follower, Update
from wpb_stream.core.binary import encode_points
from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.messages import (
    ChannelInfo,
    ErrorMessage,
    NoticeMessage,
    Reply,
    Revised,
    RunInfo,
    RunMessage,
    RunStopped,
    Welcome,
    encode_reply,
)
from wpb_stream.core.table import PointTable


def info(uid: str) -> RunInfo:
    shown = [ChannelInfo("total", "total", "counts", None, None)]
    return RunInfo(uid, 1, "grid_scan", "running", None, None, "raster", [10], [], shown, [], 10, 0, {})


def points(number: int, first: int, rows: int, uid: str = "u", revision: str = "live") -> bytes:
    table = PointTable(["total"])
    table.append(np.arange(first, first + rows), np.arange(first, first + rows), np.ones((rows, 1)))
    return encode_points(
        table.data, subscription=number, run=uid, revision=revision, first_row=first, points_expected=10, channels=["total"]
    )


def tell(follower: Follower, *replies: Reply) -> Update | None:
    """Have the follower take control messages; what the last of them gave."""
    update = None
    for reply in replies:
        update = follower.receive(encode_reply(reply))
    return update


def welcome(follower: Follower, latest: str | None = "u") -> dict[str, Any]:
    """Begin a connection; the request that is made."""
    tell(follower, Welcome("0", "s", "now", latest))
    (request,) = asked(follower)
    return request


def asked(follower: Follower) -> list[dict[str, Any]]:
    return [json.loads(request) for request in follower.to_send()]


@pytest.fixture
def follower() -> Follower:
    """Follows the latest run and holds 4 rows of run u."""
    made = Follower()
    number = welcome(made)["id"]
    tell(made, RunMessage(number, info("u"), "live", 0))
    made.receive(points(number, 0, 4))
    return made


def test_the_run_is_asked_for_when_the_server_has_said_welcome_and_only_once() -> None:
    follower = Follower("v", ["total"], "r", 5.0)
    assert follower.to_send() == []
    request = welcome(follower)
    del request["id"]
    asked = {"type": "subscribe", "run": "v", "channels": ["total"], "revision": "r", "from_row": 0, "max_rate": 5.0, "follow": False}
    assert request == asked
    assert follower.to_send() == []


def test_an_update_tells_all_rows_and_which_are_new(follower: Follower) -> None:
    update = follower.receive(points(1, 4, 2))
    assert update is not None
    assert (update.rows, update.first_new, len(update.new)) == (6, 4, 2)


def test_a_new_connection_goes_on_after_the_last_row_held(follower: Follower) -> None:
    request = welcome(follower)
    assert (request["revision"], request["from_row"]) == ("live", 4)
    update = tell(follower, RunMessage(request["id"], info("u"), "live", 4))
    assert update is not None
    assert (update.rows, update.first_new) == (4, 4)


@pytest.mark.parametrize(("wanted", "follow"), [("newest", True), ("live", False)])
def test_a_new_connection_goes_on_where_it_was_and_follows_newer_revisions_only_if_the_newest_is_wanted(wanted: str, follow: bool) -> None:
    follower = Follower("u", revision=wanted)
    number = welcome(follower)["id"]
    tell(follower, RunMessage(number, info("u"), "live", 0))
    follower.receive(points(number, 0, 4))
    request = welcome(follower)
    assert (request["revision"], request["from_row"], request["follow"]) == ("live", 4, follow)


def test_a_new_connection_begins_at_row_0_if_another_run_is_the_latest_by_then(follower: Follower) -> None:
    request = welcome(follower, "v")
    assert (request["revision"], request["from_row"]) == ("newest", 0)


def test_a_newer_run_that_began_between_welcome_and_request_is_asked_for_from_row_0(follower: Follower) -> None:
    number = welcome(follower)["id"]
    assert tell(follower, RunMessage(number, info("v"), "live", 4)) is None
    assert follower.receive(points(number, 4, 2, "v")) is None
    leave, again = asked(follower)
    assert leave == {"type": "unsubscribe", "id": number}
    assert (again["run"], again["revision"], again["from_row"]) == ("latest", "newest", 0)
    assert follower.receive(points(number, 6, 2, "v")) is None, "of the subscription that was given up"
    tell(follower, RunMessage(again["id"], info("v"), "live", 0))
    update = follower.receive(points(again["id"], 0, 8, "v"))
    assert update is not None
    assert (update.run.uid, update.rows) == ("v", 8)


@pytest.mark.parametrize("code", ["bad_message", "unknown_revision"])
def test_a_newer_run_that_has_not_so_many_rows_is_asked_for_from_row_0(follower: Follower, code: str) -> None:
    number = welcome(follower)["id"]
    tell(follower, ErrorMessage(number, code, "No."))
    (again,) = asked(follower)
    assert (again["revision"], again["from_row"]) == ("newest", 0)
    with pytest.raises(ProtocolError):
        tell(follower, ErrorMessage(again["id"], code, "No."))


def test_another_revision_begins_at_row_0(follower: Follower) -> None:
    update = tell(follower, Revised(1, "u", "live.2", "wpb stream"))
    assert update is not None
    assert (update.revision, update.rows) == ("live.2", 0)
    assert follower.receive(points(1, 4, 1)) is None, "of the revision that is gone"


def test_a_revision_of_another_run_is_not_taken_for_one_of_the_run_held(follower: Follower) -> None:
    assert tell(follower, Revised(1, "v", "live", "wpb stream")) is None
    update = tell(follower, RunMessage(1, info("v"), "live", 0))
    assert update is not None
    assert (update.run.uid, update.rows) == ("v", 0)


def test_a_gap_between_rows_is_an_error(follower: Follower) -> None:
    with pytest.raises(ProtocolError, match="a gap"):
        follower.receive(points(1, 5, 1))


def test_rows_from_the_middle_that_nobody_asked_for_are_an_error() -> None:
    follower = Follower()
    number = welcome(follower)["id"]
    with pytest.raises(ProtocolError, match="began at row 3"):
        tell(follower, RunMessage(number, info("u"), "live", 3))


def test_a_notice_is_told_once_and_the_end_with_its_status(follower: Follower) -> None:
    notice = NoticeMessage(1, "file_late", "Late.")
    assert tell(follower, notice) is not None
    assert tell(follower, notice) is None
    update = tell(follower, RunStopped(1, "u", "abort", "the beam was lost", 4))
    assert update is not None
    assert (update.run.status, len(update.notices)) == ("abort", 1)
    assert update.stopped is not None


@pytest.mark.parametrize("number", [1, None])
def test_what_the_server_refuses_is_raised_with_its_code(follower: Follower, number: int | None) -> None:
    with pytest.raises(ProtocolError) as refused:
        tell(follower, ErrorMessage(number, "internal", "No."))
    assert refused.value.code == "internal"
