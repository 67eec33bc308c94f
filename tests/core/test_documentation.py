"""The page on documents names every document, every limit, and only reasons and codes that there are."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from event_model import DocumentNames

from tests.helpers.documents import CAMERA
from tests.helpers.hostile import DATUM, MALFORMED, START
from wpb_stream.catalogue import deadletters
from wpb_stream.core import arrays, documents, geometry, run, runs
from wpb_stream.core.exceptions import DocumentError
from wpb_stream.recipes import asked, reductions
from wpb_stream.sources import stomp_frames, zmq

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (REFERENCE / "documents.md").read_text()
LIMITS = {
    "MAX_BYTES": f"{documents.MAX_BYTES // 2**20} MiB",
    "MAX_BYTES, as it is told": f"{documents.MAX_BYTES} allowed",
    "MAX_DEPTH": f"| {documents.MAX_DEPTH} |",
    "MAX_FIELDS": f"| {arrays.MAX_FIELDS} |",
    "MAX_UID": f"{documents.MAX_UID} characters",
    "MAX_INDEX": f"below {documents.MAX_INDEX:,}",
    "MAX_WIDTH": f"| {run.MAX_WIDTH:,} |",
    "MAX_NOTICES": f"| {run.MAX_NOTICES} |",
    "MAX_CELLS": f"| {geometry.MAX_CELLS:,} |",
    "MAX_DIMENSIONS": f"| {asked.MAX_DIMENSIONS} |",
    "MAX_REGIONS": f"| {reductions.MAX_REGIONS} |",
    "MAX_PARKED": f"{runs.MAX_PARKED:,} of {runs.MAX_PARKED_BYTES // 2**20} MiB together",
    "MAX_MESSAGE_BYTES": f"beyond {zmq.MAX_MESSAGE_BYTES // 2**20} MiB the connection",
    "MAX_WAITING": f"keeps {zmq.MAX_WAITING:,} more",
    "MAX_KEPT": f"more than {stomp_frames.MAX_KEPT // 2**20} MiB the beginning",
    "MOST_LETTERS": f"the newest {deadletters.MOST_LETTERS:,}, of {deadletters.MOST_BYTES // 2**30} GiB together",
}


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def refusals() -> str:
    """Every reason that the hostile corpus is refused for."""
    messages = [
        *MALFORMED.values(),
        b"\x80\x04K\x01.",
        msgspec.msgpack.encode(["stream_datum", {key: value for key, value in DATUM.items() if key != "indices"}]),
        msgspec.msgpack.encode(["descriptor", {**START, "run_start": "a", "data_keys": {"camera": {**CAMERA, "shape": 5}}}]),
    ]
    reasons: list[str] = []
    for message in messages:
        with pytest.raises(DocumentError) as refused:
            documents.parse(message)
        reasons.append(str(refused.value))
    return "\n".join(reasons)


def test_every_document_of_event_model_is_on_the_page() -> None:
    told = set(re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in section("Kinds of documents").splitlines() if "|" in row)))
    assert told == {name.name for name in DocumentNames}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_every_limit_is_on_the_page_as_it_is_in_the_code(limit: str) -> None:
    assert limit in section("Limits")


def test_every_reason_on_the_page_is_one_that_messages_are_refused_for() -> None:
    rows = [row for row in section("Refused").splitlines() if row.startswith("|")][2:]
    told = [reason for row in rows for reason in re.findall(r"`([^`]+)`", row.split("|")[2])]
    told += re.findall(r"dead letter:? `([^`]+)`", PAGE)
    assert len(told) >= len(rows) + 5
    found = refusals()
    assert [reason for reason in told if reason not in found] == []


def test_every_code_on_the_page_is_explained_among_the_codes() -> None:
    codes = set(re.findall(r"^\| `(\w+)` \|", (REFERENCE / "codes.md").read_text(), re.MULTILINE))
    kinds = [row.rpartition("|")[0].rpartition("|")[2] for row in section("Kinds of documents").splitlines()]
    told = {code for seen in kinds for code in re.findall(r"`([a-z]+_[a-z]+)`", seen)} - {"seq_num"}
    assert len(told) >= 10
    assert told <= codes
