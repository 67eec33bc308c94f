"""Recordings as a source: lines and arrays, growing, cut, replaced; and where reading begins again."""

from __future__ import annotations

import asyncio
import glob
import json
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import h5py
import pytest

from wpb_stream.core.documents import MAX_BYTES, Document, Message, parse
from wpb_stream.core.exceptions import DocumentError, ServiceError
from wpb_stream.replay import read_recording
from wpb_stream.sources import file as file_module
from wpb_stream.sources import tail as tail_module
from wpb_stream.sources.file import FileSource

WAIT_S = 30.0
LONG_AGO = 1_000_000_000.0
RECORDINGS = Path(__file__).parents[1] / "helpers" / "recordings"


def line(number: int, text: str = "") -> str:
    return json.dumps({"name": "note", "doc": {"number": number, "text": text}})


def lines(*numbers: int) -> str:
    return "".join(line(number) + "\n" for number in numbers)


def numbers(messages: list[Message]) -> list[int]:
    return [json.loads(message.value)["doc"]["number"] for message in messages]


class Reading:
    """A source that is being listened to."""

    def __init__(self, source: FileSource, positions: Mapping[str, int]) -> None:
        self._batches = source.batches(positions)

    async def take(self, wanted: int) -> list[Message]:
        taken: list[Message] = []
        async with asyncio.timeout(WAIT_S):
            while len(taken) < wanted:
                taken += await anext(self._batches)
        return taken

    async def numbers(self, wanted: int) -> list[int]:
        return numbers(await self.take(wanted))


Listen = Callable[..., Awaitable[Reading]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """Begins to listen to a path, or a URL; from positions, if there are any."""
    async with AsyncExitStack() as stack:

        async def begin(where: str | Path, positions: Mapping[str, int] | None = None) -> Reading:
            source = FileSource(where if isinstance(where, str) else f"file://{where}")
            return Reading(await stack.enter_async_context(source), positions or {})

        yield begin


# --- which files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["file://elsewhere/a.jsonl", "file:a.jsonl", "file:", "file:///a%00b"])
def test_a_url_of_another_form_is_told(url: str) -> None:
    with pytest.raises(ServiceError, match="file:///folder"):
        FileSource(url)


@pytest.mark.parametrize("begin", ["file://", "file://localhost", "file:"])
async def test_a_url_may_be_percent_encoded(listen: Listen, tmp_path: Path, begin: str) -> None:
    (tmp_path / "a run.jsonl").write_text(lines(0))
    assert await (await listen(f"{begin}{tmp_path}/a%20run.jsonl")).numbers(1) == [0]


async def test_a_wildcard_that_is_percent_encoded_is_none(listen: Listen, tmp_path: Path) -> None:
    (tmp_path / "[1]?.jsonl").write_text(lines(0))
    (tmp_path / "1x.jsonl").write_text(lines(1))
    assert await (await listen(f"file://{tmp_path}/%5B1%5D%3F.json*")).numbers(1) == [0]


async def test_a_name_that_is_no_text_makes_a_partition_the_catalogue_can_hold(listen: Listen, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl")).write_text(lines(0))
    for pattern in ("*", "%FF.jsonl"):
        (message,) = await (await listen(f"file://{tmp_path}/{pattern}")).take(1)
        assert message.partition.encode().startswith(os.fsencode(tmp_path) + rb"/\xff.jsonl#")
        assert message.source.encode()


async def test_files_that_appear_later_are_taken_up(listen: Listen, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reading = await listen(tmp_path / "*.jsonl")
    waiting = asyncio.ensure_future(reading.numbers(1))
    async with asyncio.timeout(WAIT_S):
        while "no file matches" not in caplog.text:
            await asyncio.sleep(0.01)
    (tmp_path / "a.jsonl").write_text(lines(1))
    assert await waiting == [1]
    (tmp_path / "b.jsonl").write_text(lines(2))
    assert await reading.numbers(1) == [2]


async def test_a_file_that_is_being_written_does_not_wait_for_old_ones(listen: Listen, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(lines(*range(3000)))
        os.utime(tmp_path / f"{name}.jsonl", (LONG_AGO, LONG_AGO))
    (tmp_path / "live.jsonl").write_text(lines(5000))
    reading = await listen(tmp_path / "*.jsonl")
    assert (await reading.numbers(1001))[:2] == [5000, 0]
    with (tmp_path / "live.jsonl").open("a") as file:
        file.write(lines(5001))
    assert (await reading.numbers(1))[0] == 5001
    old = await reading.take(5000)
    assert numbers(old) == [*range(1000, 3000), *range(3000)]
    assert [message.partition for message in old] == sorted(message.partition for message in old)


async def test_an_old_file_that_grows_after_all_is_read_on(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0))
    os.utime(path, (LONG_AGO, LONG_AGO))
    reading = await listen(path)
    assert await reading.numbers(1) == [0]
    with path.open("a") as file:
        file.write(lines(1))
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert await reading.numbers(1) == [1]


async def test_what_cannot_be_read_is_told_once_and_the_others_go_on(
    listen: Listen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jsonl").symlink_to("/proc/self/mem")  # opens, and cannot be read, whoever asks
    with h5py.File(tmp_path / "b.jsonl", "w") as file:
        file["frames"] = [1, 2, 3]
    (tmp_path / "c.jsonl").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "d.jsonl")
    (tmp_path / "e.jsonl").mkdir()
    (tmp_path / "f.jsonl").write_text(lines(1))
    reading = await listen(tmp_path / "*.jsonl")
    assert await reading.numbers(1) == [1]
    (tmp_path / "g.jsonl").write_text(lines(2))
    assert await reading.numbers(1) == [2]
    told = [record.getMessage().removeprefix(f"{tmp_path}/") for record in caplog.records if "left out" in record.getMessage()]
    assert [text.partition(" is left out for now: ")[::2] for text in sorted(told)] == [
        ("a.jsonl", "Input/output error"),
        ("b.jsonl", "it is no recording: JSON in UTF-8 was expected"),
        ("c.jsonl", "No such file or directory"),
    ]


async def test_a_disk_that_does_not_answer_is_told_of(
    listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers, find = threading.Event(), glob.glob

    def find_once_it_answers(pattern: str, *, recursive: bool) -> list[str]:
        answers.wait(WAIT_S)
        return find(pattern, recursive=recursive)

    monkeypatch.setattr(glob, "glob", find_once_it_answers)
    monkeypatch.setattr(file_module, "SLOW_S", 0.01)
    (tmp_path / "a.jsonl").write_text(lines(0))
    waiting = asyncio.ensure_future((await listen(tmp_path / "a.jsonl")).numbers(1))
    async with asyncio.timeout(WAIT_S):
        while "has not answered" not in caplog.text:
            await asyncio.sleep(0.01)
    assert not waiting.done()
    answers.set()
    assert await waiting == [0]


# --- as they grow ---------------------------------------------------------------------------------------------------


async def test_lines_are_read_as_they_are_added_and_half_a_line_waits(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(0) + "\r\n\n" + line(1) + "\n" + line(2)[:10])
    reading = await listen(path)
    assert await reading.numbers(2) == [0, 1]
    with path.open("a") as file:
        file.write(line(2)[10:] + "\n" + lines(3))
    assert await reading.numbers(2) == [2, 3]


async def test_a_last_line_without_its_end_is_read_once_it_is_whole(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(0))
    reading = await listen(path)
    assert await reading.numbers(1) == [0]
    with path.open("a") as file:
        file.write("\n" + line(1))
    assert await reading.numbers(1) == [1]


@pytest.mark.parametrize("head", ["[", "\ufeff[\n", '{"events": [', '  {\n "about": {"a": 1}, "events":\n['])
async def test_the_elements_of_an_array_are_read_while_it_is_written_and_never_closed(listen: Listen, tmp_path: Path, head: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(f"{head}\n{line(0, 'ü]')},\n{line(1)}, {line(2)[:-3]}")
    reading = await listen(path)
    assert await reading.numbers(2) == [0, 1]
    with path.open("a") as file:
        file.write(line(2)[-3:] + ",\n" + line(3) + "]")
    assert await reading.numbers(2) == [2, 3]


async def test_a_first_message_that_is_larger_than_a_look_is_read(listen: Listen, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line(0, "x" * 3_000_000) + "\n" + lines(1))
    (tmp_path / "b.json").write_text("[\n" + line(2, "x" * 3_000_000) + ",\n" + line(3) + ",\n")
    assert sorted(await (await listen(tmp_path / "*")).numbers(4)) == [0, 1, 2, 3]


async def test_reading_goes_on_from_the_stored_position_each_message_once(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(line(k, "é" * k) + "\n" for k in range(50)))
    first = await (await listen(path)).take(50)
    for stored in (0, 7, 48):
        positions = {first[stored].partition: first[stored].position + 1}
        assert await (await listen(path, positions)).numbers(49 - stored) == list(range(stored + 1, 50))


async def test_a_file_all_of_which_is_stored_is_read_on_when_it_grows(
    listen: Listen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0, 1))
    (_, last) = await (await listen(path)).take(2)
    (tmp_path / "b.jsonl").write_text(lines(7))
    reading = await listen(tmp_path / "*.jsonl", {last.partition: last.position + 1})
    assert await reading.numbers(1) == [7]
    with path.open("a") as file:
        file.write(lines(2))
    assert await reading.numbers(1) == [2]
    assert "from its beginning" not in caplog.text


# --- replaced, cut, broken ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [[100, 101], list(range(100, 200))], ids=["shorter", "longer"])
@pytest.mark.parametrize("how", ["replaced", "written anew"])
async def test_a_file_that_was_replaced_is_another_partition_read_from_its_beginning(
    listen: Listen, tmp_path: Path, how: str, after: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(*range(20)))
    reading = await listen(path)
    before = await reading.take(20)
    if how == "replaced":
        (tmp_path / "new").write_text(lines(*after))
        os.replace(tmp_path / "new", path)
    else:
        path.write_text(lines(*after))
    new = await reading.take(len(after))
    assert numbers(new) == after
    assert new[0].partition != before[0].partition
    assert "was replaced" in caplog.text


@pytest.mark.parametrize("more", [0, 5], ids=["as long", "longer"])
async def test_a_file_written_anew_that_has_the_same_bytes_where_the_old_one_ended_is_read_from_its_beginning(
    listen: Listen, tmp_path: Path, more: int
) -> None:
    path, end = tmp_path / "a.jsonl", line(10, "x" * 100) + "\n"  # as stop documents end alike, the runs being equally long
    path.write_text(lines(11, 12) + end)
    reading = await listen(path)
    await reading.take(3)
    path.write_text(lines(21, 22) + end + lines(*range(30, 30 + more)))
    assert await reading.numbers(3 + more) == [21, 22, 10, *range(30, 30 + more)]


async def test_a_file_written_anew_as_long_as_it_was_is_read_where_times_are_coarse(
    listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "signature", lambda status: (status.st_ino, status.st_size, 0, 0))
    path = tmp_path / "a.jsonl"
    path.write_text(lines(11, 12))
    reading = await listen(path)
    await reading.take(2)
    path.write_text(lines(21, 22))
    assert await reading.numbers(2) == [21, 22]


async def test_recorded_frames_that_carry_no_message_do_not_make_two_recordings_one(listen: Listen, tmp_path: Path) -> None:
    path, connected = tmp_path / "a.jsonl", json.dumps({"command": "CONNECTED", "headers": {}, "body": ""}) + "\n"
    path.write_text(connected + lines(11, 12))
    last = (await (await listen(path)).take(2))[-1]
    path.write_text(connected + lines(21, 22, 23))
    assert await (await listen(path, {last.partition: last.position + 1})).numbers(3) == [21, 22, 23]


async def test_a_copy_that_takes_the_place_of_a_file_is_read_on_where_that_ended(
    listen: Listen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(*range(20)))
    reading = await listen(path)
    await reading.take(20)
    (tmp_path / "new").write_text(lines(*range(22)))  # as rsync does
    os.replace(tmp_path / "new", path)
    assert await reading.numbers(2) == [20, 21]
    assert "was replaced" not in caplog.text


async def test_a_file_that_was_cut_while_nobody_read_it_is_read_from_its_beginning(
    listen: Listen, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(lines(*range(20)))
    last = (await (await listen(path)).take(20))[-1]
    path.write_text(lines(0, 30))
    assert await (await listen(path, {last.partition: last.position + 1})).numbers(2) == [0, 30]
    assert "was replaced, or cut" in caplog.text


async def test_a_broken_line_is_handed_on_and_the_next_one_is_read(listen: Listen, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line(0) + "\n" + "{not JSON\n" + line(1) + "\n")
    taken = await (await listen(path)).take(3)
    with pytest.raises(DocumentError, match="neither JSON nor msgpack"):
        parse(taken[1].value)
    assert taken[1].partition.startswith(f"{path}#")
    assert taken[1].position == len(line(0) + "\n" + "{not JSON\n") - 1
    assert numbers([taken[0], taken[2]]) == [0, 1]


@pytest.mark.parametrize("long", [MAX_BYTES + 5_000, 4 * MAX_BYTES])
@pytest.mark.parametrize("array", [False, True])
async def test_a_message_that_is_too_long_is_refused_once_cut_off_and_the_next_is_read(
    listen: Listen, tmp_path: Path, array: bool, long: int
) -> None:
    path = tmp_path / "a.jsonl"
    comma = "," if array else ""
    with path.open("w") as file:
        file.write(("[\n" if array else "") + line(0) + comma + "\n" + line(1, "x" * long) + comma + "\n" + line(2) + comma + "\n")
    taken = await (await listen(path)).take(3)
    assert numbers([taken[0], taken[-1]]) == [0, 2]
    assert len(taken) == 3
    assert len(taken[1].value) <= MAX_BYTES + 6_000
    with pytest.raises(DocumentError, match="more than"):
        parse(taken[1].value)


async def test_what_follows_the_end_of_an_array_is_told(listen: Listen, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.json").write_text(f'{{"events": [{line(0)}], "about": "us"}}')
    assert await (await listen(tmp_path / "a.json")).numbers(1) == [0]
    assert caplog.text.count("is not read") == 1


# --- what there is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["b01-1-demo-plan-2025-06.json", "stomp-blueapi-excerpt.jsonl", "sim-fly_scanspec_snake_7x9.jsonl"])
async def test_all_of_a_real_recording_is_read_as_a_replay_reads_it(listen: Listen, name: str) -> None:
    expected = list(read_recording(RECORDINGS / name))
    found = [parse(message.value) for message in await (await listen(RECORDINGS / name)).take(len(expected))]
    assert [(one.name, one.doc) if isinstance(one, Document) else (None, one.body) for one in found] == expected


async def test_what_there_is_to_read_is_told(tmp_path: Path) -> None:
    async def probe(where: Path) -> str:
        async with FileSource(f"file://{where}") as source:
            return await source.probe()

    for missing, why in (
        (tmp_path / "*.jsonl", "no file matches .* yet: they will be read when they are written"),
        (tmp_path / "none" / "*.jsonl", f"there is no folder {tmp_path}/none"),
        (tmp_path, r"it is a folder; add /\*\.jsonl"),
    ):
        with pytest.raises(ServiceError, match=why):
            await probe(missing)
    (tmp_path / "a.jsonl").touch()
    assert await probe(tmp_path / "*.jsonl") == f"1 file matches {tmp_path}/*.jsonl"
    (tmp_path / "b.jsonl").touch()
    assert "2 files match" in await probe(tmp_path / "*.jsonl")
