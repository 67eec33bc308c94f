"""What is lost, guessed, refused or tried again is counted, logged, and told to those whom it concerns."""

from __future__ import annotations

import ast
import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.helpers.documents import as_msgpack, raster_run
from tests.helpers.hostile import DATUM
from tests.helpers.liverun import begin
from tests.helpers.scans import Scan, scan
from tests.helpers.serving import live, serving_of
from tests.integration.conftest import Streaming
from tests.integration.watching import publish_values, until_latest_stopped, until_stopped
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core import runs as core_runs
from wpb_stream.core.access import Access
from wpb_stream.core.codes import ERRORS, NOTICES, OTHER
from wpb_stream.feed.limits import BURST_S, FeedLimits
from wpb_stream.growing import Growing
from wpb_stream.settings import Settings
from wpb_stream.tokens import new_token

pytestmark = [pytest.mark.integration, pytest.mark.faults]

ROOT = Path(__file__).parents[2]


def start(**fields: Any) -> Callable[[Scan], Scan]:
    """Change the start document; None takes a field away."""

    def change(run: Scan) -> Scan:
        changed = {key: value for key, value in {**run.documents[0].doc, **fields}.items() if value is not None}
        return replace(run, documents=[replace(run.documents[0], doc=changed), *run.documents[1:]])

    return change


CAUSES: dict[str, Callable[[Scan], Scan]] = {
    "no_recipe": start(shape=[10**6, 10**6]),
    "shape_guessed": start(shape=None),
    "snaking_guessed": start(snaking=None),
    "regions_guessed": start(),
    "recipe_refused": start(wpb={"regions": {"a": {"rows": [5, 2]}}}),
    "regions_beyond": start(wpb={"regions": {"a": {"rows": [1000, 1010]}}}),
    "channel_unknown": start(wpb={"sliding": {"points": 2, "channels": ["nothing"]}}),
    "extents_relative": start(plan_name="rel_grid_scan"),
    "companion_missing": start(wpb={"scalars": ["nothing"]}),
    "overrun": start(shape=[2, 4]),
    "frame_missing": lambda run: (run.file.unlink(), run)[1],
    "documents_missing": lambda run: replace(run, documents=[each for each in run.documents if each is not run.at(3, 4)[0]]),
}
"""What is done to a scan so that a notice of that code is told, and no error of ours is in the log."""


ELSEWHERE = {
    "no_frames": "tests/integration/test_pipeline.py::test_a_run_without_frames_is_kept_with_a_notice",
    "arrays_left_out": "tests/recipes/test_fits.py::test_channels_that_would_be_too_many_fits_are_left_out_and_told",
    "positions_binned": "tests/recipes/test_positions.py::test_what_is_lost_on_the_map_is_told",
    "positions_repeated": "tests/recipes/test_positions.py::test_what_is_lost_on_the_map_is_told",
    "positions_refused": "tests/recipes/test_positions.py::test_a_spec_that_cannot_be_evaluated_leaves_a_line",
    "positions_uneven": "tests/recipes/test_patterns.py::test_an_axis_without_even_steps_counts_its_points_and_says_so",
    "detector_guessed": "tests/core/test_run.py::test_the_first_of_several_cameras_is_read_and_the_choice_is_told",
    "documents_contradict": "tests/core/test_losses.py::test_a_datum_of_more_frames_than_points_is_used_as_far_as_both_go_and_told",
    "points_outside": "tests/core/test_binning.py::test_points_outside_all_bins_are_told_and_points_without_a_position_are_missing",
    "frames_differ": "tests/core/test_live.py::test_frames_that_change_their_size_in_mid_run_are_told_of_once",
    "arrays_failed": "tests/test_growing.py::test_a_recipe_whose_arrays_cannot_be_made_ends_no_run",
    "arrays_incomplete": "tests/core/test_gathered.py::"
    "test_a_frame_that_can_no_longer_be_read_when_all_is_accumulated_anew_has_its_row_all_the_same_and_is_told_of",
    "frames_filled": "tests/core/test_companions.py::"
    "test_a_number_that_was_announced_and_never_is_there_costs_the_channel_or_with_a_monitor_the_points",
    "messages_lost": "tests/faults/test_kafka.py::"
    "test_what_retention_deleted_unread_is_counted_and_told_also_after_a_restart_and_can_be_published_again",
    "rows_late": "tests/core/test_mirror.py",
    "not_saved": "tests/faults/test_files.py::test_a_scan_whose_rows_find_no_room_is_told_and_kept_whole_once_there_is_some",
    "plan_failed": "tests/integration/test_stomp.py::test_a_plan_that_fails_in_blueapi_is_told_at_its_run",
    "revision_not_shown": "tests/integration/feed/test_revisions.py::"
    "test_who_asked_for_a_channel_that_the_newer_revision_lacks_stays_and_is_told",
    "run_lost": "tests/core/test_live_end.py::test_a_run_without_documents_for_long_enough_is_lost",
    "internal": "tests/core/test_runs.py::test_a_document_that_breaks_our_own_code_costs_the_run_a_notice_and_nothing_else",
}
"""Tests that make what takes more than a document: that it is told; how it is logged and counted is the same for all."""
HERE_TOO = {"plan_warning"}


def sources() -> Iterator[tuple[str, str]]:
    """Names of the tests above, and what each is, or the whole file."""
    for code, name in ELSEWHERE.items():
        file, _, function = name.partition("::")
        text = (ROOT / file).read_text()
        found = [node for node in ast.walk(ast.parse(text)) if getattr(node, "name", None) == function]
        yield code, ast.get_source_segment(text, found[0]) or "" if function else text


def test_every_notice_is_made_by_a_test() -> None:
    assert sorted([*CAUSES, *ELSEWHERE, *HERE_TOO]) == sorted(NOTICES)
    assert [code for code, text in sources() if code not in text] == []


def test_every_notice_is_logged_once_with_the_uid_of_its_run_in_one_line_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    documents = raster_run()
    _, made = begin(documents[0])
    growing = Growing(made)
    for code in (*NOTICES, "of_my_own"):
        made.run.notice(code, f"{code} of\nhostile \x1b[2J words")
    for _ in range(2):
        growing.add([])
    for code in NOTICES:
        assert caplog.messages.count(f"run {made.run.uid}: {code}: {code} of?hostile ?[2J words") == 1
        assert made.counts.notices[code] >= 1
    assert made.counts.notices[OTHER] == 1


async def numbers(settings: Settings) -> dict[str, float]:
    """What /metrics tells, by name and labels."""
    reader, writer = await asyncio.open_connection(*settings.listen.split(":"))
    writer.write(f"GET /metrics HTTP/1.1\r\nHost: {settings.listen}\r\nConnection: close\r\n\r\n".encode())
    body = (await reader.read()).partition(b"\r\n\r\n")[2].decode()
    writer.close()
    return {
        " ".join([each.name, *each.labels.values()]): each.value
        for family in text_string_to_metric_families(body)
        for each in family.samples
    }


async def test_what_happens_to_a_run_is_told_to_those_who_watch_it_logged_with_its_uid_and_counted(
    settings: Settings, streaming: Streaming, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_runs, "MAX_PARKED_BYTES", 1)
    caplog.set_level(logging.INFO)
    runs = {code: cause(scan(tmp_path / "frames", seed=seed).write()) for seed, (code, cause) in enumerate(CAUSES.items())}
    warned, probe = scan(tmp_path / "frames", seed=98).write(), scan(tmp_path / "frames", seed=99).write()
    worker = {"task_id": "t", "task_complete": False, "task_failed": False}
    warning = {"state": "RUNNING", "task_status": worker, "errors": [], "warnings": ["the shutter is slow"]}
    values = [msgspec.json.encode([each.name, each.doc]) for run in runs.values() for each in run.documents]
    values += [msgspec.json.encode({"name": each.name, "doc": each.doc, "task_id": "t"}) for each in warned.documents[:-1]]
    values += [msgspec.json.encode(warning), *(msgspec.json.encode([each.name, each.doc]) for each in [warned.stop, *probe.documents])]
    waiting = [as_msgpack("stream_datum", {**DATUM, "uid": f"u{number}", "descriptor": f"d{number}"}) for number in range(2)]
    async with streaming(settings.model_copy(update={"frame_deadline_s": 0.5, "stop_grace_s": 0.5})):
        await publish_values(settings, [*waiting, *values])
        await until_latest_stopped(settings, probe.uid)
        for code, run in {**runs, "plan_warning": warned}.items():
            update = await until_stopped(settings, run.uid)
            (told,) = [notice.message for notice in update.notices if notice.code == code]
            assert f"run {run.uid}: {code}: {told}" in caplog.messages
        counted = await numbers(settings)
    for code in (*CAUSES, "plan_warning"):
        assert counted[f"wpb_notices_total {code}"] >= 1, code
    assert counted["wpb_points_missing_total"] == probe.points, "of the run whose file is gone"
    assert counted["wpb_documents_given_up_total"] == 1
    (given_up,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert given_up.startswith("1 documents that waited for others were given up")


ASKED: dict[str, tuple[str, dict[str, object]]] = {
    "bad_message": ("ping", {"id": "x"}),
    "unknown_type": ("nothing", {}),
    "too_many_subscriptions": ("subscribe", {"run": "u"}),
    "unknown_run": ("get_frame", {"run": "nobody", "point": 0}),
    "not_allowed": ("reprocess", {"run": "u", "recipe": {}}),
    "rate_limited": ("ping", {}),
}
"""A request that is answered by each error, asked of a connection that has all the subscriptions and requests but these."""
ASKED_ELSEWHERE = {"unknown_channel", "unknown_revision", "frame_unavailable", "internal"}


async def test_who_is_refused_and_what_cannot_be_served_is_counted_and_logged(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert {*ASKED, *ASKED_ELSEWHERE} == set(ERRORS)
    token, entry = new_token("alice")
    bearer = {"Authorization": f"Bearer {token}"}
    limits = FeedLimits(max_subscriptions=1, max_connections=1, max_requests_per_s=len(ASKED) / BURST_S)
    upgrade(postgres_url)
    with CatalogueReader(postgres_url) as reader:
        async with serving_of(reader, tmp_path, access=Access([entry.grant]), limits=limits) as serving:
            live(serving.board, 5)
            async with serving.client(additional_headers=bearer) as client:
                await client.send("subscribe", run="u")
                await client.rows(5)
                for code, (kind, fields) in ASKED.items():
                    await client.send(kind, **fields)
                    await client.until("error", code=code)
                assert await serving.get("/api/runs", Host="twice") == b"HTTP/1.1 400 Bad Request"
                assert await serving.get("/api/runs") == b"HTTP/1.1 401 Unauthorized"
                with pytest.raises(InvalidStatus, match="403"):
                    async with connect(serving.url, origin=Origin("http://elsewhere")):
                        pass
                with pytest.raises(InvalidStatus, match="503"):
                    async with connect(serving.url, additional_headers=bearer):
                        pass
            async with connect(serving.url) as guesser:
                await guesser.send('{"type": "authenticate", "token": "a guess"}')
                await guesser.wait_closed()
            refused, errors = serving.refused, dict(serving.feed._sent.errors)
    assert errors == dict.fromkeys(ASKED, 1)
    for code in ASKED:
        assert sum(message.endswith(f"is told {code}") for message in caplog.messages) == 1
    assert refused == {"400": 1, "401": 1, "403": 1, "503": 1, "4401": 1}
    for why in refused:
        assert sum(f"is refused with {why}: " in message for message in caplog.messages) == 1
