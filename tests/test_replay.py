"""Reading recorded runs, and preparing them for being played again."""

from __future__ import annotations

import json
import logging
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from event_model import DocumentNames, schema_validators

from wpb_stream.core.exceptions import DocumentError, ServiceError
from wpb_stream.replay import Recorded, parse_kafka_url, publish, read_recording, read_timed, with_new_uids

RECORDINGS = Path(__file__).parent / "helpers" / "recordings"

START: dict[str, Any] = {"name": "start", "doc": {"uid": "a", "time": 10.0}}
STOP: dict[str, Any] = {"name": "stop", "doc": {"uid": "b", "time": 12.0, "run_start": "a", "exit_status": "success"}}
WORKER: dict[str, Any] = {"state": "IDLE", "task_status": None, "errors": [], "warnings": []}
BOTH = [("start", START["doc"]), ("stop", STOP["doc"])]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_real_beamlines_recording_is_read_with_the_worker_events_in_it() -> None:
    messages = list(read_recording(RECORDINGS / "b01-1-demo-plan-2025-06.json"))
    assert Counter(name for name, _ in messages) == {
        "start": 2,
        "descriptor": 2,
        "stream_resource": 2,
        "stream_datum": 126,
        "event": 126,
        "stop": 2,
        None: 2,
    }
    assert all("state" in doc for name, doc in messages if name is None)


def test_stomp_frames_are_read_by_their_bodies() -> None:
    messages = list(read_recording(RECORDINGS / "stomp-blueapi-excerpt.jsonl"))
    assert [name for name, _ in messages if name] == [
        *("start", "descriptor", "stream_resource", "stream_resource"),
        *("stream_datum", "stream_datum", "event") * 2,
        "stop",
    ]
    assert [sorted(doc)[0] for name, doc in messages if name is None] == ["errors", "statuses", "statuses", "errors"]


@pytest.mark.parametrize(
    "text",
    [
        f"{json.dumps(START)}\n{json.dumps(STOP)}\n",
        f"{json.dumps(START | {'t_wall': 3.0, 'task_id': 'x'})}\n\n{json.dumps(STOP)}",
        f"{json.dumps(list(START.values()))}\n{json.dumps(list(STOP.values()))}\n",
        json.dumps([START, STOP]),
        json.dumps([list(START.values()), list(STOP.values())]),
        f"[\n{json.dumps(START)},\n{json.dumps(STOP)}\n]",
        json.dumps({"description": "two documents", "events": [START, STOP]}, indent=1),
    ],
)
def test_json_lines_arrays_and_lists_of_events_hold_the_same_documents(tmp_path: Path, text: str) -> None:
    assert list(read_recording(written(tmp_path / "run", text))) == BOTH


@pytest.mark.parametrize(
    "text", [f'{json.dumps(START)}\n{json.dumps(STOP)}\n{{"name": "ev', f'[\n{json.dumps(START)},\n{json.dumps(STOP)},\n{{"name": "ev']
)
def test_a_recording_that_was_cut_off_ends_before_the_cut_with_a_warning(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert list(read_recording(written(tmp_path / "run", text))) == BOTH
    assert "cut off" in caplog.text


def test_an_array_left_open_by_a_run_that_died_is_read_to_its_end(tmp_path: Path) -> None:
    text = f"[\n{json.dumps(START)},\n{json.dumps(STOP)}"
    assert list(read_recording(written(tmp_path / "run", text))) == BOTH


def test_a_broken_line_in_the_middle_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = written(tmp_path / "run", f"{json.dumps(START)}\nnonsense\n{json.dumps(STOP)}\n")
    with pytest.raises(DocumentError, match="line 2"):
        list(read_recording(path))


@pytest.mark.parametrize("text", ["", "nonsense", '{"some": {"other":\n "JSON"}}', "[1]"])
def test_a_file_that_is_no_recording_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    with pytest.raises(DocumentError, match="run"):
        list(read_recording(written(tmp_path / "run", text)))


def test_a_message_was_published_when_the_recording_says_or_else_at_the_documents_own_time(tmp_path: Path) -> None:
    page = {"name": "event_page", "doc": {"time": [1.0, 2.0]}}
    entries = [START, START | {"t_wall": 5.0}, {"t": 6.0, "command": "MESSAGE", "headers": {}, "body": json.dumps(START)}, page, WORKER]
    path = written(tmp_path / "run", "\n".join(json.dumps(entry) for entry in entries))
    assert [message.at for message in read_timed(path)] == [10.0, 5.0, 6.0, 2.0, None]


def references(doc: dict[str, Any]) -> set[str]:
    return {doc[key].partition("/")[0] for key in ("run_start", "descriptor", "stream_resource") if key in doc}


def test_a_renewed_run_shares_no_uid_with_the_recorded_one_and_refers_to_itself() -> None:
    recorded = list(read_timed(RECORDINGS / "b01-1-demo-plan-2025-06.json"))
    renewed = list(with_new_uids(recorded))
    old = {message.doc["uid"] for message in recorded if message.name}
    new = {message.doc["uid"] for message in renewed if message.name}
    assert len(new) == len(old)
    assert not {uid.partition("/")[0] for uid in new} & {uid.partition("/")[0] for uid in old}
    for message in renewed:
        assert references(message.doc) <= new
        if message.name:
            schema_validators[DocumentNames[message.name]].validate(message.doc)


def test_a_renewed_run_differs_from_the_recorded_one_in_nothing_but_uids() -> None:
    recorded = list(read_timed(RECORDINGS / "b01-1-demo-plan-2025-06.json"))
    renewed = list(with_new_uids(recorded))
    text = json.dumps([[message.name, message.doc, message.at] for message in recorded])
    for old, new in zip(recorded, renewed, strict=True):
        if old.name:
            text = text.replace(old.doc["uid"].partition("/")[0], new.doc["uid"].partition("/")[0])
    assert json.loads(text) == [[message.name, message.doc, message.at] for message in renewed]


def test_datum_ids_in_old_events_and_in_pages_are_renewed_with_their_resource() -> None:
    numbers = count()
    recorded = [
        Recorded("resource", {"uid": "res", "run_start": "run"}),
        Recorded("datum_page", {"resource": "res", "datum_id": ["res/0", "res/1"]}),
        Recorded("event", {"uid": "ev", "descriptor": "desc", "data": {"det": "res/0", "other": "text", "x": 1.0}}),
        Recorded("event_page", {"uid": ["e1", "e2"], "descriptor": "desc", "data": {"det": ["res/0", "res/1"]}}),
    ]
    resource, page, event, events = [message.doc for message in with_new_uids(recorded, lambda: f"new{next(numbers)}")]
    assert page == {"resource": resource["uid"], "datum_id": [f"{resource['uid']}/0", f"{resource['uid']}/1"]}
    assert event["data"] == {"det": f"{resource['uid']}/0", "other": "text", "x": 1.0}
    assert events["data"] == {"det": page["datum_id"]}
    assert len({*events["uid"], event["uid"], resource["uid"]}) == 4


def test_a_kafka_url_names_brokers_and_topic() -> None:
    assert parse_kafka_url("kafka://one:9092,two:9093/b.bluesky.documents") == ("one:9092,two:9093", "b.bluesky.documents")


@pytest.mark.parametrize("url", ["kafka://host:9092", "http://host:9092/topic", "kafka:///topic", "kafka://host:9092/a/b", "host:9092"])
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        parse_kafka_url(url)


async def test_a_broker_that_does_not_answer_is_told_in_a_sentence() -> None:
    with pytest.raises(ServiceError, match=r"cannot publish to kafka://127\.0\.0\.1:1/topic"):
        await publish([Recorded("start", {"uid": "a"})], "kafka://127.0.0.1:1/topic")
