"""Well-formed messages that say what cannot be true: the walk from bytes to the feed takes them without harm."""

from __future__ import annotations

import msgspec
import pytest

from tests.helpers.documents import apply_all, as_msgpack, raster_run, read, recipe_for
from tests.helpers.hostile import INSANE
from wpb_stream.core.binary import PointsHeader, decode_binary
from wpb_stream.core.documents import Document, parse
from wpb_stream.core.live import LiveRun, Pace
from wpb_stream.core.messages import NoticeMessage, RunMessage, RunStopped, Subscribe, encode_reply, parse_reply
from wpb_stream.core.runs import Runs
from wpb_stream.feed.subscription import MAX_SLICE_BYTES, Subscription


def walk(messages: list[bytes], runs: Runs) -> dict[str, LiveRun]:
    """From bytes to the rows of tables, as the streaming process does it."""
    lives: dict[str, LiveRun] = {}
    for message in messages:
        document = parse(message)
        assert isinstance(document, Document)
        msgspec.msgpack.encode(document.doc)  # what the catalogue stores
        runs.owner(document)
        for applied in runs.apply(document):
            live = lives.get(applied.run.uid)
            if live is None:
                live = lives[applied.run.uid] = LiveRun.begin(applied.run, "live", Pace(), 0.0)
            live.add(applied.frames, 0.0)
    for live in lives.values():
        while window := live.take(10.0):
            assert live.run.recipe is not None
            live.place(window, read(window, len(live.run.recipe.regions)), 10.0)
        live.end()
        live.reconstruction.ended = True
    return lives


def told(live: LiveRun) -> list[object]:
    """What a client is sent, as the client reads it."""
    subscription = Subscription(Subscribe(1, live.run.uid))
    messages = [*subscription.attach(live.reconstruction), *subscription.due()]
    assert max(map(len, messages)) < 2 * MAX_SLICE_BYTES
    return [decode_binary(message)[0] if isinstance(message, bytes) else parse_reply(message) for message in messages]


@pytest.mark.parametrize("messages", INSANE.values(), ids=INSANE.keys())
def test_insane_documents_are_taken_in_and_told_to_clients_and_the_next_run_is_whole(messages: list[bytes]) -> None:
    runs = Runs(recipe_for)
    for live in walk(messages, runs).values():
        replies = told(live)
        assert isinstance(replies[0], RunMessage)
        assert isinstance(replies[-1], RunStopped)
        assert all(isinstance(reply, (PointsHeader, NoticeMessage)) for reply in replies[1:-1])
        assert live.reconstruction.run.plan_name is None or len(live.reconstruction.run.plan_name) <= 200
        encode_reply(RunMessage(1, live.reconstruction.run, "live", 0)).encode()
    healthy = [as_msgpack(document.name, document.doc) for document in raster_run((3, 4))]
    (live,) = walk(healthy, runs).values()
    assert live.reconstruction.table.rows == 12


@pytest.mark.parametrize("messages", INSANE.values(), ids=INSANE.keys())
def test_insane_documents_delivered_twice_and_backwards_do_no_harm_either(messages: list[bytes]) -> None:
    runs = Runs(recipe_for)
    walk([*messages, *reversed(messages)], runs)
    assert len(apply_all(raster_run((3, 4)), runs)) == 12
