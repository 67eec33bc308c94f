"""Recordings cut into messages: what they are made of, where they are broken, and that any piece of one says the same as the whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.core.documents import MAX_BYTES, parse
from wpb_stream.core.exceptions import DocumentError
from wpb_stream.core.recordings import Cut, find_layout, has_more_after_end, next_element, next_line, unwrap


def message(number: int, text: str = "") -> str:
    return json.dumps({"name": "note", "doc": {"number": number, "text": text}})


def cut_all(data: bytes) -> list[bytes]:
    """All messages of a recording that is written so far."""
    layout = find_layout(data)
    if layout is None:
        return []
    values: list[bytes] = []
    at = layout.begin
    while (cut := next_element(data, at) if layout.array else next_line(data, at)) is not None:
        values.append(cut.value)
        assert cut.end > at
        at = cut.end
    return values


def numbers(values: list[bytes]) -> list[int | None]:
    """The number in each message; None for one that is broken."""
    found: list[int | None] = []
    for value in values:
        try:
            body = json.loads(value)
            found.append((body[1] if isinstance(body, list) else body["doc"])["number"])
        except (ValueError, TypeError, LookupError, RecursionError):
            found.append(None)
    return found


RECORDINGS = {
    "lines": f"{message(0)}\n{message(1)}\n{message(2)}\n",
    "lines of Windows, with a byte order mark and blank ones": f"\ufeff\r\n{message(0)}\r\n\r\n{message(1)}\r\n   \r\n{message(2)}\r\n",
    "a last line without its end": f"{message(0)}\n{message(1)}\n{message(2)}",
    "a first line without its end": "\n".join([message(0, "x" * 100_000), message(1), message(2)]),
    "pairs as suitcase-jsonl writes them": "".join(json.dumps(["note", {"number": k}]) + "\n" for k in range(3)),
    "lines with NaN": f'{message(0)}\n{{"name": "note", "doc": {{"number": 1, "x": [NaN, -Infinity]}}}}\n{message(2)}\n',
    "NULs that a power failure left": f"{message(0)}\n\0\0\0\0{message(1)}\n{message(2)}\n\0\0\0",
    "bluesky's JSONWriter": f"[\n{message(0)},\n{message(1)},\n{message(2)}\n]",
    "a run that died under JSONWriter": f"[\n{message(0)},\n{message(1)},\n{message(2)},\n",
    "a run that died within a document": f'[\n{message(0)},\n{message(1)},\n{message(2)},\n{{"name": "event", "doc": {{"a',
    "JSONWriter given documents after a stop": f"[\n{message(0)},\n{message(1)}\n]{message(2)},\n",
    "two arrays in one file": f"[{message(0)}, {message(1)}]\n[\n{message(2)}]",
    "an array of pairs": json.dumps([["note", {"number": k}] for k in range(3)]),
    "an array in one line, with brackets in its text": f"[{message(0, ']}[{,')},{message(1, 'é' * 70_000)},{message(2)}]",
    "an array with NaN": f'[{message(0)}, {{"name": "note", "doc": {{"number": 1, "x": NaN}}}}, {message(2)}]',
    "events": f'{{"events": [{message(0)},{message(1)},{message(2)}]}}',
    "events with a word about them": json.dumps(
        {"name": "x", "meta": {"a": [1, {"b": 2}]}, "events": [json.loads(message(k)) for k in range(3)], "after": [{"c": 3}]}, indent=2
    ),
}


@pytest.mark.parametrize("recording", RECORDINGS.values(), ids=RECORDINGS)
def test_every_message_of_a_recording_is_cut_out_in_order(recording: str) -> None:
    assert numbers(cut_all(recording.encode())) == [0, 1, 2]


@pytest.mark.parametrize("recording", [text for text in RECORDINGS.values() if len(text) < 1000], ids=len)
def test_wherever_a_recording_ends_for_now_no_message_is_cut_in_two(recording: str) -> None:
    data = recording.encode()
    whole = cut_all(data)
    for end in range(len(data)):
        so_far = cut_all(data[:end])
        assert so_far == whole[: len(so_far)]


BROKEN = {
    "a line": (f"{message(0)}\n{{not JSON\n{message(1)}\n", [0, None, 1]),
    "the first line": (f'{{"name": "note", "doc": {{"a": \n{message(1)}\n', [None, 1]),
    "the first line, of which little is left": (f'{{"na\n{message(1)}\n', [None, 1]),
    "a line that is not UTF-8": (f"{message(0)}\n@@\n{message(1)}\n", [0, None, 1]),
    "an element": (f"[\n{message(0)},\n{{not JSON}},\n{message(1)},\n", [0, None, 1]),
    "an element torn where the disk was full": (f'[\n{message(0)},\n{{"name": "event", "do{message(7)},\n{message(1)},\n', [0, None, 1]),
    "an element torn in its text": (f'[\n{message(0)},\n{{"name": "eve\n{message(1)},\n', [0, None, 1]),
    "an element that is not UTF-8": (f"[\n{message(0, '@@')},\n{message(1)},\n", [None, 1]),
    "a line nested too deep": (f"{message(0)}\n{'[' * 200_000}\n{message(1)}\n", [0, None, 1]),
    "an element nested too deep": (f"[\n{message(0)},\n{'[' * 200_000},\n{message(1)},\n", [0, None, 1]),
    "a whole file nested too deep": (f'{{"a": {"[" * 200_000}\n{message(1)}\n', [None, 1]),
}


@pytest.mark.parametrize(("recording", "found"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_handed_on_and_the_next_message_is_found(recording: str, found: list[int | None]) -> None:
    values = cut_all(recording.encode().replace(b"@@", b"\xff\xfe"))
    assert numbers(values) == found
    for value, number in zip(values, found, strict=True):
        with pytest.raises(DocumentError, match=None if number is None else "unknown document name"):
            parse(value)


@pytest.mark.parametrize(
    "recording", ["", "\ufeff", " \n ", "[", "[\n", "{", '{"meta": {"a": 1', '{"events"', '{"events":', '{"name": "st']
)
def test_too_little_of_a_recording_is_waited_for(recording: str) -> None:
    assert find_layout(recording.encode()) is None


def test_a_first_line_that_is_longer_than_what_is_looked_at_makes_lines() -> None:
    layout = find_layout(b'{"meta": "' + b"x" * 1000, enough=True)
    assert layout is not None
    assert not layout.array


def test_what_follows_the_end_of_an_array_is_known_to_be_there() -> None:
    data = f'{{"events": [{message(0)}], "after": 1}}'.encode()
    end = len(data) - len(b'], "after": 1}')
    assert has_more_after_end(data, end)
    assert not has_more_after_end(data[:end] + b"]}\n", end)
    assert not has_more_after_end(data, end - 5)


@pytest.mark.parametrize("cut", [next_line, next_element])
def test_a_message_that_is_too_long_is_refused_for_its_length_before_it_ends(cut: Any) -> None:
    assert cut(b'{"a": "' + b"x" * MAX_BYTES, 0) == Cut(b'{"a": "' + b"x" * (MAX_BYTES - 6), MAX_BYTES + 1, unfinished=True)
    assert cut(b'{"a": "' + b"x" * (MAX_BYTES - 10), 0) is None


def test_a_stomp_frame_is_its_body_and_one_without_a_message_is_none() -> None:
    assert unwrap(json.dumps({"command": "MESSAGE", "headers": {}, "body": message(1)}).encode()) == message(1).encode()
    assert unwrap(json.dumps({"command": "CONNECTED", "headers": {}, "body": ""}).encode()) is None
    for other in (message(1).encode(), b'{"body" "command"', b'{"command": 1, "body": ' + b"[" * 100_000):
        assert unwrap(other) == other


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
documents = st.lists(
    st.builds(lambda doc: {"name": "event", "doc": doc}, st.dictionaries(st.text(), json_values, max_size=4)), min_size=1, max_size=6
)


@given(documents, st.booleans(), st.sampled_from([None, 0, 2]))
def test_whatever_the_documents_hold_an_array_and_lines_give_them_back(
    docs: list[dict[str, Any]], ensure_ascii: bool, indent: int | None
) -> None:
    def again(text: str) -> list[str]:
        return [json.dumps(json.loads(value)) for value in cut_all(text.encode("utf-8", "surrogatepass"))]

    same = [json.dumps(json.loads(json.dumps(doc))) for doc in docs]
    assert again("".join(json.dumps(doc, ensure_ascii=ensure_ascii) + "\n" for doc in docs)) == same
    assert again(json.dumps(docs, ensure_ascii=ensure_ascii, indent=indent)) == same
