"""Dead letters in a real PostgreSQL: kept, listed, asked for again, settled, bounded; and documents that belong to no run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from wpb_stream.catalogue.deadletters import LISTENING_LOCK, LetterShelf
from wpb_stream.catalogue.letterbox import Letterbox
from wpb_stream.catalogue.migrations import HERE, upgrade
from wpb_stream.catalogue.orphans import count_orphans, find_orphans
from wpb_stream.catalogue.records import Batch
from wpb_stream.catalogue.replayed import APPLICATION, ReplayedLetters
from wpb_stream.catalogue.writer import CatalogueWriter
from wpb_stream.core.documents import Document, Message
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.intake import DeadLetter, sort_out

pytestmark = pytest.mark.integration

WAIT_S = 30.0
GOOD = b'["start", {"uid": "run-1", "time": 1.0}]'


@pytest.fixture
def catalogue(postgres_url: str) -> str:
    """The address of an empty catalogue."""
    upgrade(postgres_url)
    return postgres_url


@pytest.fixture
def box(catalogue: str) -> Iterator[Letterbox]:
    with Letterbox(catalogue) as box:
        yield box


@asynccontextmanager
async def writing(url: str, shelf: LetterShelf | None = None) -> AsyncIterator[CatalogueWriter]:
    async with CatalogueWriter(url, shelf) as writer:
        await writer.take_over()
        yield writer


def letter(position: int, reason: str = "nonsense", value: bytes = b"\xc1") -> DeadLetter:
    return DeadLetter(Message("kafka:c", "topic/0", position, value), reason)


def batch_of(*letters: DeadLetter) -> Batch:
    return Batch([], letters, {("kafka:c", "topic/0"): letters[-1].message.position + 1})


async def taken_in(writer: CatalogueWriter, source: ReplayedLetters, batches: int = 1) -> list[int]:
    """Take in what was asked for as the streaming process does; gives the ids that were replayed."""
    ids: list[int] = []
    async with asyncio.timeout(WAIT_S), aclosing(source.batches({})) as messages:
        async for batch in messages:
            intake = sort_out(batch)
            await writer.store(Batch([(None, document) for document in intake.documents], intake.dead_letters, intake.positions))
            await source.stored(intake.positions_of(source.identity))
            ids += [message.position for message in batch]
            batches -= 1
            if not batches:
                break
    return ids


async def test_dead_letters_are_listed_newest_first_and_chosen_by_their_reason(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue) as writer:
        await writer.store(batch_of(letter(0, "start: uid is missing"), letter(1, "100% nonsense"), letter(2, "start: time is -1")))
    assert [(row.position, row.state, row.size) for row in box.letters(10)] == [(2, "open", 1), (1, "open", 1), (0, "open", 1)]
    assert [row.position for row in box.letters(1)] == [2]
    assert [row.position for row in box.letters(10, reason="START")] == [2, 0]
    assert [row.position for row in box.letters(10, reason="0% ")] == [1]


async def test_a_letter_that_is_usable_by_now_is_taken_in_and_one_that_is_not_keeps_its_new_reason(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue) as writer, ReplayedLetters(catalogue) as source:
        await writer.store(batch_of(letter(0, "too new for this wpb", GOOD), letter(1, "nonsense", b"\xc1")))
        usable, broken = sorted(row.id for row in box.letters(10))
        assert box.request() == [usable, broken]
        assert box.waiting([usable, broken]) == 2
        assert await taken_in(writer, source) == [usable, broken]
        assert [document.name for document in await writer.unfinished()] == ["start"]
    assert [(row.id, row.state) for row in box.letters(10, taken_in=True)] == [(broken, "open"), (usable, "taken in")]
    assert [row.id for row in box.letters(10)] == [broken]
    assert "neither JSON nor msgpack" in box.letters(10)[0].reason
    assert (box.counts().open, box.counts().requested, box.counts().taken_in) == (1, 0, 1)


async def test_a_letter_that_was_taken_in_is_not_replayed_again(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue) as writer, ReplayedLetters(catalogue) as source:
        await writer.store(batch_of(letter(0, value=GOOD)))
        (asked,) = box.request()
        await taken_in(writer, source)
        assert box.request([asked]) == []


async def test_a_replay_moves_no_position_and_an_older_letter_can_be_replayed_after_a_newer_one(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue) as writer, ReplayedLetters(catalogue) as source:
        await writer.store(batch_of(letter(0, value=GOOD), letter(41)))
        older, newer = sorted(row.id for row in box.letters(10))
        for wanted in (newer, older):
            box.request([wanted])
            assert await taken_in(writer, source) == [wanted]
        assert await writer.positions("kafka:c") == {"topic/0": 42}
    with psycopg.connect(catalogue) as connection:
        assert connection.execute("SELECT count(*) FROM positions").fetchone() == (1,)


async def test_a_request_outlives_a_process_that_read_it_and_stored_nothing(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue) as writer:
        await writer.store(batch_of(letter(0, value=GOOD)))
        (asked,) = box.request()
        async with ReplayedLetters(catalogue) as killed, asyncio.timeout(WAIT_S), aclosing(killed.batches({})) as messages:
            assert [message.position for message in await anext(messages)] == [asked]
        async with ReplayedLetters(catalogue) as source:
            assert await taken_in(writer, source) == [asked]


async def test_many_requests_come_in_batches_each_once(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue) as writer, ReplayedLetters(catalogue) as source:
        await writer.store(batch_of(*(letter(position) for position in range(50))))
        asked = box.request()
        assert await taken_in(writer, source, batches=3) == asked
        assert box.waiting(asked) == 0


async def test_what_is_not_stored_yet_is_not_read_again(catalogue: str, box: Letterbox) -> None:
    read: list[Message] = []
    async with writing(catalogue) as writer, ReplayedLetters(catalogue) as source, aclosing(source.batches({})) as messages:
        await writer.store(batch_of(letter(0), letter(1)))
        asked = box.request()

        async def read_on() -> None:
            async for batch in messages:
                read.extend(batch)

        async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read_on())
            while not read:
                await asyncio.sleep(0)
            for _ in range(20):  # round trips, in which it could be read again
                assert await writer.positions("kafka:c") == {"topic/0": 2}
            reading.cancel()
    assert [message.position for message in read] == asked


async def test_a_request_is_taken_in_at_once_by_a_process_that_waits(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue) as writer, ReplayedLetters(catalogue) as source, asyncio.TaskGroup() as tasks:
        await writer.store(batch_of(letter(0)))
        waiting = tasks.create_task(taken_in(writer, source))
        asked = await asyncio.to_thread(box.request)
        assert await waiting == asked


async def test_who_asks_can_see_whether_a_process_takes_it_in(catalogue: str, box: Letterbox) -> None:
    assert not box.listening()
    async with ReplayedLetters(catalogue):
        async with ReplayedLetters(catalogue):  # a successor that takes over
            pass
        assert box.listening()
    async with asyncio.timeout(WAIT_S):
        while box.listening():  # the server notices the end of a connection a little later
            await asyncio.sleep(0.01)


async def test_a_database_that_goes_away_is_told_so_that_the_source_is_entered_anew(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue) as writer:
        await writer.store(batch_of(letter(0)))
        source = ReplayedLetters(catalogue)
        async with source, aclosing(source.batches({})) as messages, asyncio.timeout(WAIT_S):
            box.connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%dead letters'")
            with pytest.raises(ServiceError, match="dead letters cannot be replayed now"):
                await anext(messages)
        asked = box.request()
        async with source:
            assert await taken_in(writer, source) == asked


async def test_a_process_that_ends_while_it_begins_to_listen_leaves_no_connection(catalogue: str, box: Letterbox) -> None:
    async def connections(state: str = "%") -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND coalesce(wait_event_type, '') LIKE %s"
        (count,) = box.connection.execute(query, [APPLICATION, state]).fetchone() or (0,)
        await asyncio.sleep(0.01)
        return count

    source = ReplayedLetters(catalogue)
    box.connection.execute("SELECT pg_advisory_lock(%s)", [LISTENING_LOCK])
    async with asyncio.timeout(WAIT_S):
        entering = asyncio.ensure_future(source.__aenter__())
        while not await connections("Lock"):
            pass
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        while await connections():
            pass


async def test_the_oldest_letters_are_given_up_beyond_the_bound_and_counted(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue, LetterShelf(most_letters=3, trim_letters=1)) as writer:
        for position in range(5):
            await writer.store(batch_of(letter(position)))
    assert [row.position for row in box.letters(10)] == [4, 3, 2]
    assert box.counts().dropped == 2


async def test_the_bound_counts_bytes_too(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue, LetterShelf(most_bytes=2500, trim_letters=1)) as writer:
        for position in range(4):
            await writer.store(batch_of(letter(position, value=bytes(1000))))
    assert [row.position for row in box.letters(10)] == [3, 2]


async def test_letters_that_were_taken_in_make_room_first_and_count_as_no_loss(catalogue: str, box: Letterbox) -> None:
    async with writing(catalogue, LetterShelf(most_letters=2, trim_letters=1)) as writer, ReplayedLetters(catalogue) as source:
        await writer.store(batch_of(letter(0), letter(1, value=GOOD)))
        box.request([box.letters(1)[0].id])
        await taken_in(writer, source)
        await writer.store(batch_of(letter(2)))
    assert [row.position for row in box.letters(10, taken_in=True)] == [2, 0]
    assert box.counts().dropped == 0


async def test_documents_without_a_start_are_told_with_the_run_that_never_began(catalogue: str, box: Letterbox) -> None:
    documents: list[tuple[str | None, Document]] = [
        ("run-1", Document("start", {"uid": "run-1"})),
        ("run-1", Document("descriptor", {"uid": "d1", "run_start": "run-1"})),
        ("run-2", Document("descriptor", {"uid": "d2", "run_start": "run-2"})),
        ("run-2", Document("event", {"uid": "e2", "descriptor": "d2"})),
        ("run-2", Document("event", {"uid": "e3", "descriptor": "d2"})),
        (None, Document("event", {"uid": "e4", "descriptor": "d4"})),
        (None, Document("datum", {"datum_id": "r/0", "resource": "r"})),
        (None, Document("stream_resource", {"uid": "s"})),
    ]
    async with writing(catalogue) as writer:
        await writer.store(Batch(documents, [], {}))
    found = {(orphans.missing, orphans.uid): dict(orphans.names) for orphans in find_orphans(box.connection)}
    assert found == {
        ("start", "run-2"): {"descriptor": 1, "event": 2},
        ("descriptor", "d4"): {"event": 1},
        ("resource", "r"): {"datum": 1},
        ("", ""): {"stream_resource": 1},
    }
    assert count_orphans(box.connection) == 6


def test_an_empty_catalogue_has_no_letters_and_no_orphans(box: Letterbox) -> None:
    assert box.letters(10) == []
    assert (box.counts().open, box.counts().dropped) == (0, 0)
    assert (count_orphans(box.connection), find_orphans(box.connection)) == (0, [])


def at_first_step(url: str) -> None:
    """Make the schema as the first release had it."""
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["database_url"] = url
    command.upgrade(config, "0001")


def test_a_catalogue_of_the_first_step_keeps_its_letters_when_it_is_upgraded(postgres_url: str) -> None:
    at_first_step(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("INSERT INTO dead_letters (source, partition, position, value, reason) VALUES ('kafka:c', 't/0', 7, 'x', 'why')")
    with pytest.raises(ServiceError, match="at step 0001"), Letterbox(postgres_url):
        pass
    upgrade(postgres_url)
    with Letterbox(postgres_url) as box:
        assert [(row.position, row.reason, row.state) for row in box.letters(10)] == [(7, "why", "open")]
        assert box.value(box.letters(1)[0].id) == b"x"
        assert len(box.request()) == 1


def test_a_database_that_is_not_there_is_told_in_a_sentence() -> None:
    with pytest.raises(ServiceError, match="check WPB_DATABASE_URL"), Letterbox("postgresql://nobody@127.0.0.1:1/none"):
        pass
