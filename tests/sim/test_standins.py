"""Stand-ins for the detector files of recorded runs."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from wpb_stream.sim import sample
from wpb_stream.sim.standins import main, write_standins

RECORDINGS = Path(__file__).parent.parent / "helpers" / "recordings"
FRAME = (30, 40)


def recording(path: Path, described: list[int] | None, chunk: list[int], points: int = 6, **start: Any) -> Path:
    """A recorded run whose detector is described so."""
    key = {"shape": described, "dtype": "array", "dtype_numpy": "<u2"}
    documents: list[tuple[str, dict[str, Any]]] = [
        ("start", {"uid": "run", "time": 1.0, **start}),
        ("descriptor", {"uid": "desc", "run_start": "run", "data_keys": {"det": key}}),
        (
            "stream_resource",
            {
                "uid": "res",
                "run_start": "run",
                "data_key": "det",
                "mimetype": "application/x-hdf5",
                "uri": "file://localhost/raw/my%20run.h5",
                "parameters": {"dataset": "/entry/data/data", "chunk_shape": chunk},
            },
        ),
    ]
    for k in range(points):
        where = {"indices": {"start": k, "stop": k + 1}, "seq_nums": {"start": k + 1, "stop": k + 2}}
        documents.append(("stream_datum", {"stream_resource": "res", "descriptor": "desc", **where}))
    path.write_text("\n".join(json.dumps({"name": name, "doc": doc}) for name, doc in documents))
    return path


def written(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return file["/entry/data/data"][:]


def test_a_real_beamlines_run_gets_both_its_files_with_a_frame_for_each_point(tmp_path: Path) -> None:
    files = write_standins(RECORDINGS / "b01-1-demo-plan-2025-06.json", {"/dls/b01-1/data": tmp_path})
    assert [file.relative_to(tmp_path).as_posix() for file in files] == ["2025/cm40661-1/c01-1-manta.h5", "2025/cm40661-1/c01-2-manta.h5"]
    for path in files:
        with h5py.File(path) as file:
            frames = file["/entry/data/data"]
            assert (frames.shape, frames.dtype, frames.chunks) == ((63, 1216, 1936), np.uint8, (1, 1216, 1936))
            assert frames[62].any()
        # 150 MB each: pytest would keep those of the last three runs.
        path.unlink()


def test_sums_beside_the_images_are_the_sums_of_those_images(tmp_path: Path) -> None:
    (path,) = write_standins(RECORDINGS / "sim-fly_scanspec_snake_7x9.jsonl", tmp_path)
    with h5py.File(path) as file:
        frames, sums = file["/entry/data/data"], file["/entry/sum"]
        assert frames.shape == (63, 240, 320)
        assert (sums.shape, sums.dtype) == ((63,), np.int64)
        assert [int(frame.sum()) for frame in frames] == list(sums[:])


def test_frames_recorded_from_a_message_bus_are_found_too(tmp_path: Path) -> None:
    (path,) = write_standins(RECORDINGS / "stomp-blueapi-excerpt.jsonl", {"/data/sim": tmp_path})
    assert written(path).shape == (2, 240, 320)


def test_the_default_frame_is_taken_where_the_descriptor_holds_zeros(tmp_path: Path) -> None:
    (path,) = write_standins(recording(tmp_path / "r.jsonl", [1, 0, 0], [0, 0, 0]), {"/raw": tmp_path}, frame=FRAME)
    assert path == tmp_path / "my run.h5"
    assert (written(path).shape, written(path).dtype) == ((6, *FRAME), np.uint16)


@pytest.mark.parametrize(
    ("shape", "chunk", "expected"),
    [
        ([1, *FRAME], [1, *FRAME], (6, *FRAME)),
        ([2, *FRAME], [1, *FRAME], (12, *FRAME)),
        ([*FRAME], [1, *FRAME], (6, *FRAME)),
        ([1, 50], [1, 50], (6, 50)),
        ([1, 3, *FRAME], [1, 3, *FRAME], (6, 3, *FRAME)),
        (None, [], (6, 1216, 1936)),
    ],
)
def test_files_have_the_shape_that_the_descriptor_says(
    tmp_path: Path, shape: list[int] | None, chunk: list[int], expected: tuple[int, ...]
) -> None:
    (path,) = write_standins(recording(tmp_path / "r.jsonl", shape, chunk), {"/raw": tmp_path})
    with h5py.File(path) as file:
        assert file["/entry/data/data"].shape == expected


def test_a_run_that_does_not_say_how_it_snaked_shows_the_sample_snaked_along_the_fast_axis(tmp_path: Path) -> None:
    (path,) = write_standins(recording(tmp_path / "r.jsonl", [1, *FRAME], [1, *FRAME], points=30, shape=[5, 6]), {"/raw": tmp_path})
    brightness = np.array([[frame[a:b].mean() for a, b in sample.band_rows(FRAME[0])] for frame in written(path)]).reshape(5, 6, 3)
    brightness[1::2] = brightness[1::2, ::-1].copy()
    v, u = np.mgrid[0:5, 0:6] / np.array([4, 5])[:, None, None]
    assert np.corrcoef(brightness.ravel(), sample.response(u, v).ravel())[0, 1] > 0.98


def test_a_second_writing_gives_the_same_frames(tmp_path: Path) -> None:
    run = recording(tmp_path / "r.jsonl", [1, *FRAME], [1, *FRAME])
    (path,) = write_standins(run, {"/raw": tmp_path})
    first = written(path)
    write_standins(run, {"/raw": tmp_path})
    assert np.array_equal(first, written(path))


def test_a_file_that_is_no_stand_in_is_never_replaced(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "my run.h5", "w") as file:
        file["precious"] = 1
    with pytest.raises(FileExistsError, match="no stand-in"):
        write_standins(recording(tmp_path / "r.jsonl", [1, *FRAME], [1, *FRAME]), {"/raw": tmp_path})
    with h5py.File(tmp_path / "my run.h5") as file:
        assert "precious" in file


def test_files_outside_the_mapping_are_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = recording(tmp_path / "r.jsonl", [1, *FRAME], [1, *FRAME])
    with caplog.at_level(logging.WARNING):
        assert write_standins(run, {"/other": tmp_path}) == []
    assert "no --map covers file://localhost/raw/my%20run.h5" in caplog.text


def test_the_command_lists_the_files_it_wrote(tmp_path: Path) -> None:
    run = recording(tmp_path / "r.jsonl", [1, *FRAME], [1, *FRAME])
    result = CliRunner().invoke(main, [str(run), "--map", f"/raw={tmp_path}"])
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'my run.h5'}\n")


def test_the_command_refuses_a_mapping_of_another_form(tmp_path: Path) -> None:
    run = recording(tmp_path / "r.jsonl", [1, *FRAME], [1, *FRAME])
    result = CliRunner().invoke(main, [str(run), "--map", "raw"])
    assert result.exit_code == 2
    assert "not of the form /from=/to" in result.stderr
