"""The corpus of odd runs: each gives the map it must, however its documents come, and goes to the dead letters in no part."""

from __future__ import annotations

import random

import msgspec
import pytest

from tests.helpers.corpus import Case, corpus
from tests.helpers.documents import frames_by_run, winners
from tests.helpers.hostile import INSANE, MALFORMED
from wpb_stream.core.documents import Document, Message
from wpb_stream.core.intake import sort_out
from wpb_stream.core.recipe import PlanDefaults, choose
from wpb_stream.core.runs import Runs
from wpb_stream.recipes.line import Line
from wpb_stream.recipes.raster import Raster

CASES = corpus()
UNORDERED = {name: case for name, case in CASES.items() if not case.ordered}


def recipe(start: dict) -> object:  # type: ignore[type-arg]
    return choose(start, [Raster(), Line()], PlanDefaults())


def as_messages(documents: list[Document]) -> list[Message]:
    return [
        Message("test", "p", position, msgspec.msgpack.encode([document.name, document.doc])) for position, document in enumerate(documents)
    ]


def names(documents: list[Document]) -> dict[str, str]:
    """The file's name by the uid of its resource."""
    return {
        document.doc["uid"]: document.doc.get("uri", document.doc.get("resource_path", "")).replace("\\", "/").rpartition("/")[2]
        for document in documents
        if document.name in ("resource", "stream_resource")
    }


def assert_right(case: Case, delivered: list[Document]) -> None:
    intake = sort_out(as_messages(delivered))
    assert [letter.reason for letter in intake.dead_letters] == []
    runs = Runs(recipe)  # type: ignore[arg-type]
    once = list({(document.name, document.uid): document for document in intake.documents}.values())  # as the catalogue lets them through
    (refs,) = frames_by_run(once, runs).values()
    file = names(case.documents)
    assert {point: (file[uid], index) for point, (uid, index) in winners(refs).items()} == case.expected
    assert runs.parked == 0
    (run,) = runs._runs.values()
    assert not run.superseded
    assert case.notices <= {notice.code for notice in run.notices}
    assert "internal" not in {notice.code for notice in run.notices}
    runs.forget(run.uid)
    assert not any((runs._runs, runs._owners, runs._unclaimed, runs._parked, runs.parked_bytes))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_odd_run_gives_the_map_it_must(case: Case) -> None:
    assert_right(case, case.documents)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("case", UNORDERED.values(), ids=UNORDERED.keys())
def test_an_odd_run_gives_the_same_map_shuffled_and_doubled(case: Case, seed: int) -> None:
    order = random.Random(seed)
    assert_right(case, order.sample([*case.documents, *case.documents], 2 * len(case.documents)))


def test_the_corpus_is_as_large_as_was_asked_for() -> None:
    assert len(CASES) + len(MALFORMED) + len(INSANE) >= 60
    assert len(CASES) >= 30


def test_all_odd_runs_at_once_do_not_mix() -> None:
    order = random.Random(7)
    cases = [case for case in corpus().values() if not case.ordered]
    documents = {(document.name, document.uid): document for case in cases for document in case.documents}
    runs = Runs(recipe)  # type: ignore[arg-type]
    refs = frames_by_run(order.sample(list(documents.values()), len(documents)), runs)
    for case in cases:
        (uid,) = {document.uid for document in case.documents if document.name == "start"}
        file = names(case.documents)
        assert {point: (file[f], index) for point, (f, index) in winners(refs.get(uid, [])).items() if f in file} == case.expected
