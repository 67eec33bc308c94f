"""What lies in a run's folder: each kind of value comes back as it was, and never lies elsewhere."""

from __future__ import annotations

import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest

from tests.dagster.scans import raster
from tests.test_pictures import run_info
from wpb_dagster.formats import decode_documents, decode_maps, decode_values, encode, write_whole
from wpb_dagster.io_managers import stored_file, stored_maps, stored_values
from wpb_dagster.reconstruction import Maps, Values
from wpb_stream.catalogue.results import Results
from wpb_stream.core.documents import Document
from wpb_stream.core.recipe import Notice
from wpb_stream.replay import read_recording

HOSTILE = ("../../etc/x", "/etc/x", "..", ".", "a/../../b", "~root", "a\\b", "C:x", "é" * 80, " ")


@pytest.mark.parametrize("uid", HOSTILE)
def test_a_hostile_uid_stays_inside_the_results_folder(uid: str, tmp_path: Path) -> None:
    root = tmp_path / "deep" / "results"
    path = stored_file(Results(root), uid, "maps", ".npz")
    write_whole(path, b"x")
    assert path.resolve().parent.parent == root.resolve()
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_a_full_disk_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_whole(tmp_path / "maps.npz", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "maps.npz", b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("maps.npz", b"old")]


def test_documents_come_back_as_they_were_and_can_be_replayed(tmp_path: Path) -> None:
    documents = [*raster(tmp_path / "scan.h5"), Document("event", {"uid": "e", "data": {"x": math.inf, "text": "\x00 ü"}})]
    suffix, stored = encode(documents)
    assert (suffix, decode_documents(stored)) == (".jsonl", documents)
    (tmp_path / "documents.jsonl").write_bytes(stored)
    assert [name for name, _ in read_recording(tmp_path / "documents.jsonl")] == [document.name for document in documents]


def test_a_value_that_is_no_number_stays_one_that_is_none() -> None:
    (document,) = decode_documents(encode([Document("event", {"uid": "e", "data": {"x": math.nan}})])[1])
    assert math.isnan(document.doc["data"]["x"])


def test_maps_come_back_bit_for_bit_whatever_their_channels_are_called() -> None:
    values = np.array([[1.0, np.nan], [-0.0, 5e-324]])
    maps = Maps(run_info((2, 2)), "a/b", [Notice("guessed", "x")], {"file": values, "../x": values[::-1], "total": values * 2})
    suffix, stored = encode(maps)
    again = decode_maps(stored)
    assert suffix == ".npz"
    assert (again.info, again.revision, again.notices, list(again.channels)) == (maps.info, "a/b", maps.notices, ["file", "../x", "total"])
    for name, channel in maps.channels.items():
        assert again.channels[name].tobytes() == np.ascontiguousarray(channel).tobytes()


def test_a_description_of_values_comes_back_as_it_was() -> None:
    values = Values(run_info((2, 2)), "revision", "run/revision.npy", 4, [1, 3], [Notice("frame_missing", "gone")])
    assert decode_values(encode(values)[1]) == values


def test_a_kind_of_value_that_is_not_known_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        encode({1})


def test_a_run_that_was_never_materialised_has_no_maps_and_no_values(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert (stored_maps(results, "nobody"), stored_values(results, "nobody")) == (None, None)
