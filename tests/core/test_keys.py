"""Which run a document is of, told by what it refers to."""

from __future__ import annotations

from wpb_stream.core.keys import KEPT_ENDED, RunKeys


def test_documents_of_interleaved_runs_are_told_apart_by_what_they_refer_to() -> None:
    keys = RunKeys()
    for run in "ab":
        assert keys.run_of("start", {"uid": run}) == run
    for run in "ab":
        assert keys.run_of("descriptor", {"uid": f"{run}-descriptor", "run_start": run}) == run
        assert keys.run_of("stream_resource", {"uid": f"{run}-stream", "run_start": run}) == run
        assert keys.run_of("resource", {"uid": f"{run}-resource", "run_start": run}) == run
    for run in "ab":
        assert keys.run_of("event", {"uid": "1", "descriptor": f"{run}-descriptor"}) == run
        assert keys.run_of("event_page", {"uid": ["1"], "descriptor": f"{run}-descriptor"}) == run
        assert keys.run_of("stream_datum", {"uid": "1", "stream_resource": f"{run}-stream"}) == run
        assert keys.run_of("datum", {"datum_id": "1", "resource": f"{run}-resource"}) == run
        assert keys.run_of("stop", {"uid": "1", "run_start": run}) == run


def test_a_document_that_names_no_run_is_of_the_run_begun_last() -> None:
    keys = RunKeys()
    assert keys.run_of("resource", {"uid": "r"}) is None
    keys.run_of("start", {"uid": "a"})
    assert keys.run_of("resource", {"uid": "r"}) == "a"
    keys.run_of("start", {"uid": "b"})
    assert keys.run_of("datum", {"resource": "r"}) == "a"
    assert keys.run_of("event", {"descriptor": "never seen"}) == "b"
    assert keys.run_of("event", {"descriptor": ["broken"]}) == "b"


def test_a_run_that_ended_is_known_for_its_late_documents_and_forgotten_at_last() -> None:
    keys = RunKeys()
    for number in range(KEPT_ENDED + 1):
        assert keys.run_of("event", {"descriptor": "descriptor-0"}) in (None, "run-0")
        keys.run_of("start", {"uid": f"run-{number}"})
        keys.run_of("descriptor", {"uid": f"descriptor-{number}", "run_start": f"run-{number}"})
        keys.run_of("stop", {"uid": "s", "run_start": f"run-{number}"})
    assert keys.run_of("event", {"descriptor": "descriptor-0"}) == f"run-{KEPT_ENDED}"
    assert keys.run_of("event", {"descriptor": "descriptor-1"}) == "run-1"
