"""What a person sees of a message, whatever is in it."""

from __future__ import annotations

import json

import msgspec
import pytest

from wpb_stream.commands.readable import DUMPED_BYTES, LONGEST, readable
from wpb_stream.commands.terminal import printable


def test_a_document_is_shown_as_json_with_indentation() -> None:
    shown = readable(msgspec.msgpack.encode(["start", {"uid": "a", "time": 1.5}]))
    assert json.loads(shown) == ["start", {"uid": "a", "time": 1.5}]
    assert "\n" in shown


def test_what_was_refused_as_a_document_but_can_be_unpacked_is_shown_unpacked() -> None:
    value = {"nd": True, "kind": "O", "type": "O", "shape": [1], "data": b"\x80\x04."}
    assert '"kind": "O"' in readable(msgspec.msgpack.encode(["event", {"data": value}]))


def test_text_that_is_no_json_is_shown_as_text() -> None:
    assert readable("Grüße vom Strahlrohr".encode()) == "Grüße vom Strahlrohr"


def test_other_bytes_are_dumped_with_their_offsets() -> None:
    assert readable(b"\xc1" + bytes(15) + b"wpb") == (
        "000000  c1 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  ................\n"
        "000010  77 70 62                                         wpb"
    )


@pytest.mark.parametrize(
    ("value", "rest"),
    [
        (b"\xc1" * (DUMPED_BYTES + 7), "... 7 bytes more"),
        (b"x" * (LONGEST + 7), "... 7 characters more"),
        (b"[" * 100_000, "characters more"),
        (b"", "(nothing)"),
    ],
    ids=["bytes", "text", "deep", "empty"],
)
def test_however_much_there_is_only_its_beginning_is_shown(value: bytes, rest: str) -> None:
    shown = readable(value)
    assert rest in shown
    assert len(shown) < LONGEST + 100


def test_nothing_in_a_message_steers_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x07\u202e") == "a\\x1b[2Jb\\x07\\u202e"
    for value in (b"\x1b[2J what is this", b'{"name": "\x1b[2J"}', b'["\\u001b[2J", {}]'):
        assert "\x1b" not in readable(value)
