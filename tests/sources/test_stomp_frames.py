"""STOMP frames: to bytes and back however the stream is cut, and what is no STOMP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wpb_stream.sources import stomp_frames
from wpb_stream.sources.stomp_frames import MAX_HEAD, Frame, FrameReader

text = some.text(some.characters(exclude_categories=["Cs"]))
frames = some.builds(
    lambda command, headers, body: Frame(command, {**headers, "content-length": str(len(body))}, body),
    some.sampled_from(["MESSAGE", "RECEIPT", "ERROR"]),
    some.dictionaries(text.filter(bool), text),
    some.binary(max_size=100),
)


def read(*parts: bytes) -> list[Frame]:
    reader = FrameReader()
    return [frame for part in parts for frame in reader.feed(part)]


@given(sent=some.lists(frames, max_size=4), size=some.integers(1, 50), beats=some.sampled_from([b"", b"\n", b"\r\n\n"]))
def test_frames_are_read_as_they_were_written_wherever_the_stream_is_cut(sent: list[Frame], size: int, beats: bytes) -> None:
    stream = beats.join([b"", *(frame.encode() for frame in sent), b""])
    assert read(*(stream[begin : begin + size] for begin in range(0, len(stream), size))) == sent


def test_a_body_without_a_length_ends_at_its_first_zero_byte() -> None:
    assert read(b"MESSAGE\nid:1\n\nab", b"c\0\nRECEIPT\nreceipt-id:7\n\n\0") == [
        Frame("MESSAGE", {"id": "1"}, b"abc"),
        Frame("RECEIPT", {"receipt-id": "7"}),
    ]


def test_lines_may_end_as_windows_writes_them() -> None:
    assert read(b"ERROR\r\nmessage:no\r\n\r\nnot you\0") == [Frame("ERROR", {"message": "no"}, b"not you")]


def test_of_a_header_given_twice_the_first_counts() -> None:
    assert read(b"MESSAGE\nfoo:first\nfoo:second\n\n\0") == [Frame("MESSAGE", {"foo": "first"})]


def test_headers_of_the_login_are_neither_escaped_nor_unescaped() -> None:
    assert Frame("CONNECT", {"passcode": "a:b\\c"}).encode() == b"CONNECT\npasscode:a:b\\c\n\n\0"
    assert read(b"CONNECTED\nserver:a:b\\n\n\n\0") == [Frame("CONNECTED", {"server": "a:b\\n"})]


def test_of_a_body_too_long_to_keep_the_beginning_is_handed_on_and_the_next_frame_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stomp_frames, "MAX_KEPT", 10)
    stream = b"MESSAGE\ncontent-length:30\n\n" + bytes(range(30)) + b"\0MESSAGE\n\n" + b"x" * 30 + b"\0MESSAGE\n\nnext\0"
    for parts in ([stream], [stream[begin : begin + 1] for begin in range(len(stream))]):
        assert [frame.body for frame in read(*parts)] == [bytes(range(10)), b"x" * 10, b"next"]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n", "'HTTP/1.1 400 Bad Request' where a command was expected"),
        (b"MESSAGE\nno colon\n\n\0", "'no colon' where a header was expected"),
        (b"MESSAGE\ncontent-length:-1\n\n\0", "content-length '-1'"),
        (b"MESSAGE\ncontent-length:many\n\n\0", "content-length 'many'"),
        (b"MESSAGE\ncontent-length:2\n\nabc\0", "longer than it says"),
        (b"MESSAGE\nname:\\t\n\n\0", "unknown escape"),
        (b"MESSAGE\nname:\xff\n\n\0", "can't decode"),
        (b"x" * (MAX_HEAD + 1), "head has more than"),
    ],
)
def test_what_is_no_stomp_is_told(sent: bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read(sent)
