"""Recordings as a source: lines and arrays, growing, cut, replaced; and where reading begins again."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from wpb_stream.core.documents import MAX_BYTES, Message, parse
from wpb_stream.core.exceptions import DocumentError, ServiceError
from wpb_stream.sources.file import FileSource

WAIT_S = 30.0
RECORDINGS = Path(__file__).parents[1] / "helpers" / "recordings"


def line(number: int, text: str = "") -> str:
    return json.dumps({"name": "note", "doc": {"number": number, "text": text}})


def numbers(messages: list[Message]) -> list[int]:
    return [json.loads(message.value)["doc"]["number"] for message in messages]


class Reading:
    """A source that is being listened to."""

    def __init__(self, url: str, positions: Mapping[str, int] | None = None) -> None:
        self.source = FileSource(url)
        self._batches = self.source.batches(positions or {})

    async def take(self, wanted: int) -> list[Message]:
        taken: list[Message] = []
        async with asyncio.timeout(WAIT_S):
            while len(taken) < wanted:
                taken += await anext(self._batches)
        return taken


@pytest.mark.parametrize("url", ["file://elsewhere/a.jsonl", "file:a.jsonl", "file:"])
def test_a_url_of_another_form_is_told(url: str) -> None:
    with pytest.raises(ServiceError, match="file:///folder"):
        FileSource(url)


@pytest.mark.parametrize("begin", ["file://", "file://localhost", "file:"])
async def test_lines_are_read_as_they_are_added_and_half_a_line_waits(tmp_path: Path, begin: str) -> None:
    path = tmp_path / "a run.jsonl"
    path.write_text(line(0) + "\r\n\n" + line(1) + "\n" + line(2)[:10])
    reading = Reading(f"{begin}{tmp_path}/a%20run.jsonl")
    assert numbers(await reading.take(2)) == [0, 1]
    with path.open("a") as file:
        file.write(line(2)[10:] + "\n" + line(3) + "\n")
    assert numbers(await reading.take(2)) == [2, 3]


async def test_a_last_line_without_its_end_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(0))
    reading = Reading(f"file://{path}")
    assert numbers(await reading.take(1)) == [0]
    with path.open("a") as file:
        file.write("\n" + line(1))
    assert numbers(await reading.take(1)) == [1]


@pytest.mark.parametrize("head", ["[", "\ufeff[\n", '{"events": [', '  {\n "events":\n['])
async def test_the_elements_of_an_array_are_read_while_it_is_written_and_never_closed(tmp_path: Path, head: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(f"{head}\n{line(0, 'ü]')},\n{line(1)}, {line(2)[:-3]}")
    reading = Reading(f"file://{path}")
    assert numbers(await reading.take(2)) == [0, 1]
    with path.open("a") as file:
        file.write(line(2)[-3:] + ",\n" + line(3) + "]")
    assert numbers(await reading.take(2)) == [2, 3]


async def test_reading_goes_on_from_the_stored_position_each_message_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(line(k, "é" * k) + "\n" for k in range(50)))
    first = await Reading(f"file://{path}").take(50)
    for stored in (0, 7, 48):
        positions = {first[stored].partition: first[stored].position + 1}
        assert numbers(await Reading(f"file://{path}", positions).take(49 - stored)) == list(range(stored + 1, 50))


async def test_files_that_appear_later_are_taken_up(tmp_path: Path) -> None:
    reading = Reading(f"file://{tmp_path}/*.jsonl")
    (tmp_path / "a.jsonl").write_text(line(1) + "\n")
    assert numbers(await reading.take(1)) == [1]
    (tmp_path / "b.jsonl").write_text(line(2) + "\n")
    assert numbers(await reading.take(1)) == [2]


@pytest.mark.parametrize("how", ["replaced", "written anew"])
async def test_a_file_that_was_replaced_is_another_partition_read_from_its_beginning(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(line(k) + "\n" for k in range(20)))
    reading = Reading(f"file://{path}")
    before = await reading.take(20)
    if how == "replaced":
        (tmp_path / "new").write_text(line(100) + "\n" + line(101) + "\n")
        os.replace(tmp_path / "new", path)
    else:
        path.write_text(line(100) + "\n" + line(101) + "\n")
    after = await reading.take(2)
    assert numbers(after) == [100, 101]
    assert after[0].partition != before[0].partition
    assert "was replaced" in caplog.text


async def test_a_broken_line_is_handed_on_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(0) + "\n" + "{not JSON\n" + line(1) + "\n")
    taken = await Reading(f"file://{path}").take(3)
    with pytest.raises(DocumentError, match="neither JSON nor msgpack"):
        parse(taken[1].value)
    assert numbers([taken[0], taken[2]]) == [0, 1]


async def test_a_line_longer_than_a_message_may_be_is_refused_and_does_not_take_the_file_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        file.write(line(0) + "\n" + "x" * (MAX_BYTES + 5_000_000) + "\n" + line(1) + "\n")
    taken = await Reading(f"file://{path}").take(3)
    assert numbers([taken[0], taken[-1]]) == [0, 1]
    with pytest.raises(DocumentError, match="more than"):
        parse(taken[1].value)


async def test_a_file_that_may_not_be_read_is_told_once_and_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.jsonl").symlink_to("/proc/self/mem")  # opens, and cannot be read, whoever asks
    (tmp_path / "b.jsonl").write_text(line(1) + "\n")
    reading = Reading(f"file://{tmp_path}/*.jsonl")
    assert numbers(await reading.take(1)) == [1]
    (tmp_path / "c.jsonl").write_text(line(2) + "\n")
    assert numbers(await reading.take(1)) == [2]
    assert caplog.text.count("a.jsonl is left out") == 1


@pytest.mark.parametrize("name", ["b01-1-demo-plan-2025-06.json", "stomp-blueapi-excerpt.jsonl"])
async def test_real_recordings_hold_only_what_the_core_understands(name: str) -> None:
    path = next(RECORDINGS.glob(name), None)
    assert path is not None, f"{name} is not among the recordings"
    taken = await Reading(f"file://{path}").take(10)
    kinds = {type(parse(message.value)).__name__ for message in taken}
    assert kinds <= {"Document", "WorkerEvent"}


async def test_what_there_is_to_read_is_told(tmp_path: Path) -> None:
    source: Any = FileSource(f"file://{tmp_path}/*.jsonl")
    with pytest.raises(ServiceError, match="no file matches"):
        await source.probe()
    (tmp_path / "a.jsonl").touch()
    assert "1 files match" in await source.probe()
