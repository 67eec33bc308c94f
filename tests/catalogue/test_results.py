"""Files of finished revisions: inside the folder, whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.catalogue.results import PREVIEW, Results, safe_name
from wpb_stream.core.board import Versioned
from wpb_stream.core.table import PointTable
from wpb_stream.recipes.reductions import MAX_REGIONS

HOSTILE_UIDS = [
    "../../etc",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    "~root",
    "a\0b",
    "-rf",
    "u" * 256,
    "\U0001f600" * 256,
    "a b",
    "%2e%2e",
    "x.npy",
]


def table(rows: int = 3, channels: tuple[str, ...] = ("red", "total")) -> PointTable:
    made = PointTable(channels)
    made.append(range(rows), range(rows), np.arange(rows * len(channels), dtype=float).reshape(rows, len(channels)))
    return made


@pytest.mark.parametrize("uid", HOSTILE_UIDS)
@pytest.mark.parametrize("revision", ["live", "live.2", "../../../x"])
def test_whatever_the_uid_the_file_is_in_a_folder_of_its_own_inside_the_results(uid: str, revision: str, tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    file = results.root / results.save(uid, revision, table())
    assert file.resolve().parent.parent == results.root.resolve()
    assert file.is_file()
    assert list(tmp_path.iterdir()) == [results.root]
    assert results.load(results.save(uid, revision, table())).data.tobytes() == table().data.tobytes()


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_two_uids_never_share_a_name(first: str, second: str) -> None:
    assert (safe_name(first) == safe_name(second)) == (first == second)
    assert len(safe_name(first)) <= 200
    assert safe_name(first).strip(".")


def test_long_uids_that_differ_at_their_end_have_names_of_their_own() -> None:
    assert safe_name("u" * 250 + "1") != safe_name("u" * 250 + "2")


def test_a_uid_of_bluesky_is_its_own_name() -> None:
    assert safe_name("7912cf00-8a30-4e87-a0c4-31ae28a54693") == "7912cf00-8a30-4e87-a0c4-31ae28a54693"


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_a_table_is_read_as_it_was_written(rows: int, tmp_path: Path) -> None:
    results = Results(tmp_path)
    read = results.load(results.save("run", "live", table(rows)))
    assert read.channels == ("red", "total")
    assert read.data.tobytes() == table(rows).data.tobytes()


def test_a_table_of_the_most_channels_of_the_longest_names_is_read_as_it_was_written(tmp_path: Path) -> None:
    names = tuple(f"{k:02}" + "n" * 62 for k in range(MAX_REGIONS + 1))
    results = Results(tmp_path)
    assert results.load(results.save("run", "live", table(2, names))).channels == names


def test_a_write_that_fails_leaves_the_earlier_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results(tmp_path)
    file = results.save("run", "live", table(3))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        results.save("run", "live", table(9))
    assert results.load(file).rows == 3
    assert [path.name for path in results.folder("run").iterdir()] == ["live.npy"]


def test_a_file_of_objects_is_refused_without_unpickling(tmp_path: Path) -> None:
    results = Results(tmp_path)
    objects: Any = np.array([{}], object)
    np.save(results.folder("run") / "live.npy", objects, allow_pickle=True)
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        results.load("run/live.npy")


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing"):
        Results(tmp_path).load("run/nothing.npy")


def test_a_run_without_a_preview_has_none(tmp_path: Path) -> None:
    results = Results(tmp_path)
    assert results.preview("run") is None
    (results.folder("run") / PREVIEW).write_bytes(b"\x89PNG")
    assert results.preview("run") == b"\x89PNG"
    assert results.preview("other") is None


def test_arrays_are_kept_beside_the_table_with_their_versions(tmp_path: Path) -> None:
    results = Results(tmp_path)
    arrays = {"mean_frame": np.ones((2, 3), np.float32), "fit.a/b ü.centre": np.array([np.nan, 1.5])}
    file = results.save("run", "live", table(), {name: Versioned(values, 4) for name, values in arrays.items()})
    found = results.arrays(file)
    assert list(found) == list(arrays)
    for name, each in found.items():
        assert each.version == 4
        assert each.values.dtype == arrays[name].dtype
        assert each.values.tobytes() == arrays[name].tobytes()
    assert results.load(file).rows == 3


def test_a_table_without_arrays_leaves_none_of_an_earlier_one(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.save("run", "live", table(), {"mean_frame": Versioned(np.ones(2))})
    file = results.save("run", "live", table())
    assert results.arrays(file) == {}
