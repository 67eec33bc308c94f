"""A RunEngine run of the simulated instrument, without a bus."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import h5py
import numpy as np
import pytest
from bluesky.utils import Msg
from event_model import DocumentNames, schema_validators

from wpb_stream.sim import sample
from wpb_stream.sim.instrument import Beamline

SHAPE, FRAME = (3, 4), (30, 40)

Documents = list[tuple[str, Mapping[str, Any]]]

READER = """
import sys, h5py
with h5py.File(sys.argv[1], "r", libver="latest", swmr=True) as file:
    frames = file["/entry/data/data"]
    print(frames.shape[0], *(int(frame.sum()) for frame in frames))
"""


def run(beamline: Beamline) -> Documents:
    """The documents of one scan."""
    documents: Documents = []
    beamline.subscribe(lambda name, doc: documents.append((name, doc)))
    beamline.scan()
    return documents


def only(documents: Documents, kind: str) -> list[Mapping[str, Any]]:
    return [doc for name, doc in documents if name == kind]


def file_of(documents: Documents) -> Path:
    (resource,) = only(documents, "stream_resource")
    return Path(unquote(urlsplit(resource["uri"]).path))


def test_every_document_of_a_run_is_valid_by_the_event_models_schemas(tmp_path: Path) -> None:
    documents = run(Beamline(tmp_path, SHAPE, FRAME))
    for name, doc in documents:
        schema_validators[DocumentNames[name]].validate(doc)
    assert Counter(name for name, _ in documents) == {
        "start": 1,
        "descriptor": 1,
        "stream_resource": 1,
        "stream_datum": 12,
        "event": 12,
        "stop": 1,
    }


def test_the_start_document_tells_the_scan_and_the_regions(tmp_path: Path) -> None:
    (start,) = only(run(Beamline(tmp_path, SHAPE, FRAME)), "start")
    assert start["plan_name"] == "grid_scan"
    assert tuple(start["shape"]) == SHAPE
    assert tuple(start["snaking"]) == (False, True)
    assert start["motors"] == ("stage-y", "stage-x")
    assert start["wpb"]["recipe"] == "raster"
    assert start["wpb"]["regions"] == {"red": {"rows": [0, 10]}, "green": {"rows": [10, 20]}, "blue": {"rows": [20, 30]}}


def test_stream_datums_announce_each_frame_once_and_before_its_event(tmp_path: Path) -> None:
    documents = run(Beamline(tmp_path, SHAPE, FRAME))
    datums = only(documents, "stream_datum")
    assert [(datum["indices"]["start"], datum["indices"]["stop"]) for datum in datums] == [(k, k + 1) for k in range(12)]
    assert [datum["seq_nums"]["start"] for datum in datums] == list(range(1, 13))
    points = [name for name, _ in documents if name in ("stream_datum", "event")]
    assert points == ["stream_datum", "event"] * 12


def test_the_resource_points_at_the_dataset_that_was_written(tmp_path: Path) -> None:
    documents = run(Beamline(tmp_path / "with space", SHAPE, FRAME))
    (resource,) = only(documents, "stream_resource")
    assert resource["mimetype"] == "application/x-hdf5"
    assert resource["uri"].startswith("file://localhost/")
    assert tuple(resource["parameters"]["chunk_shape"]) == (1, *FRAME)
    with h5py.File(file_of(documents)) as file:
        frames = file[resource["parameters"]["dataset"]]
        assert (frames.shape, frames.chunks, frames.dtype) == ((12, *FRAME), (1, *FRAME), np.uint8)


def test_frames_show_the_sample_where_the_events_say_the_stage_was(tmp_path: Path) -> None:
    documents = run(Beamline(tmp_path, (5, 6), FRAME))
    positions = np.array([[event["data"]["stage-x"], event["data"]["stage-y"]] for event in only(documents, "event")])
    u, v = ((positions - positions.min(axis=0)) / np.ptp(positions, axis=0)).T
    with h5py.File(file_of(documents)) as file:
        brightness = np.array([[frame[a:b].mean() for a, b in sample.band_rows(FRAME[0])] for frame in file["/entry/data/data"]])
    assert np.corrcoef(brightness.ravel(), sample.response(u, v).ravel())[0, 1] > 0.98
    assert list(u[:6]) == list(u[11:5:-1]), "every second row runs backwards"


def test_another_process_reads_every_announced_frame_while_the_scan_runs(tmp_path: Path) -> None:
    beamline = Beamline(tmp_path, SHAPE, FRAME)
    documents: Documents = []
    seen: list[list[int]] = []

    def read_in_mid_scan(name: str, doc: Mapping[str, Any]) -> None:
        documents.append((name, doc))
        if name == "event" and doc["seq_num"] == 5:
            answer = subprocess.run([sys.executable, "-c", READER, str(file_of(documents))], check=True, capture_output=True, text=True)
            seen.append([int(word) for word in answer.stdout.split()])

    beamline.subscribe(read_in_mid_scan)
    beamline.scan()
    (count, *sums), *_ = seen
    assert count == 5
    with h5py.File(file_of(documents)) as file:
        assert sums == [int(frame.sum()) for frame in file["/entry/data/data"][:5]]
        assert file["/entry/data/data"].shape[0] == 12


def test_scan_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    numbers = [only(run(Beamline(tmp_path, (1, 2), FRAME)), "start")[0]["scan_id"] for _ in range(3)]
    assert numbers == [1, 2, 3]


def test_scan_numbers_go_on_when_only_the_frames_are_left(tmp_path: Path) -> None:
    run(Beamline(tmp_path, (1, 2), FRAME))
    (tmp_path / "scan_id").unlink()
    assert only(run(Beamline(tmp_path, (1, 2), FRAME)), "start")[0]["scan_id"] == 2


def test_only_the_newest_frames_are_kept_and_nothing_else_is_deleted(tmp_path: Path) -> None:
    other = tmp_path / "precious.h5"
    other.touch()
    beamline = Beamline(tmp_path, (1, 2), FRAME, keep=2)
    for _ in range(4):
        beamline.scan()
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == ["precious.h5", "wpb-demo-00003-camera.h5", "wpb-demo-00004-camera.h5"]


def test_a_stopped_scan_ends_with_a_stop_document_and_a_closed_file(tmp_path: Path) -> None:
    # A frame every 1,000 s: the stop comes while the camera waits for the second one.
    beamline = Beamline(tmp_path, SHAPE, FRAME, rate=0.001)
    stopper = threading.Thread(target=beamline.stop)
    documents: Documents = []

    def stop_after_the_first_point(name: str, doc: Mapping[str, Any]) -> None:
        documents.append((name, doc))
        if name == "event":
            stopper.start()

    beamline.subscribe(stop_after_the_first_point)
    beamline.scan()
    stopper.join()
    (stop,) = only(documents, "stop")
    assert stop["exit_status"] == "abort"
    with h5py.File(file_of(documents), "r+") as file:
        assert file["/entry/data/data"].shape[0] >= 1


def stopped_at(message: int, beamline: Beamline) -> tuple[Documents, list[str]]:
    """The documents of a scan that was stopped just before its ``message``-th message ran, and the messages' commands."""
    commands: list[str] = []
    stopper = threading.Thread(target=beamline.stop)

    def stop_in_between(msg: Msg) -> None:
        if len(commands) == message:
            stopper.start()
            # The RunEngine's own thread waits here: the message comes after the stop for certain. Bounded for the sake of a stop that
            # waits for this thread, such as the RunEngine's abort: it has then done all it can do before the message.
            stopper.join(timeout=0.3)
        commands.append(msg.command)

    beamline._engine.msg_hook = stop_in_between
    documents = run(beamline)
    if stopper.ident:
        stopper.join()
    return documents, commands


def test_wherever_in_a_scan_the_stop_comes_the_scan_ends_cleanly(tmp_path: Path) -> None:
    _, commands = stopped_at(-1, Beamline(tmp_path / "whole", (1, 3), FRAME))
    _, second, _ = (message for message, command in enumerate(commands) if command == "trigger")
    for message, command in enumerate(commands):
        # As long as the second frame is still to come, it is due in 1,000 s: whoever waits for that after the stop would never end.
        documents, _ = stopped_at(message, Beamline(tmp_path / str(message), (1, 3), FRAME, rate=0.001 if message <= second + 1 else None))
        where = f"stopped before message {message}, {command}"
        (stop,) = only(documents, "stop")
        points = len(only(documents, "event"))
        assert stop["exit_status"] == ("success" if points == 3 else "abort"), where
        assert stop["num_events"].get("primary", 0) == points == len(only(documents, "stream_datum")), where
        if points:
            with h5py.File(file_of(documents), "r+") as file:
                assert file["/entry/data/data"].shape[0] == points, where


@pytest.mark.parametrize("turns", range(16))
def test_a_stop_while_the_first_trigger_gets_ready_lets_it_take_its_frame(turns: int, tmp_path: Path) -> None:
    # The trigger takes several turns of the event loop before it exposes; an unstage in one of those would take its file away.
    beamline = Beamline(tmp_path, (1, 3), FRAME, rate=0.001)
    stopper = threading.Thread(target=beamline.stop)

    def turn(left: int) -> None:
        if left:
            beamline._engine.loop.call_soon(turn, left - 1)
        else:
            stopper.start()
            stopper.join(timeout=0.3)

    def count_from_the_trigger(msg: Msg) -> None:
        if msg.command == "trigger" and not stopper.ident:
            turn(turns)

    beamline._engine.msg_hook = count_from_the_trigger
    documents = run(beamline)
    stopper.join()
    (stop,) = only(documents, "stop")
    assert (stop["exit_status"], stop["num_events"]) == ("abort", {"primary": 1})
    with h5py.File(file_of(documents), "r+") as file:
        assert file["/entry/data/data"].shape[0] == 1


def test_after_a_stop_no_scan_begins(tmp_path: Path) -> None:
    beamline = Beamline(tmp_path, SHAPE, FRAME)
    beamline.stop()
    assert run(beamline) == []


def test_a_file_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    beamline = Beamline(tmp_path, (1, 2), FRAME)
    precious = tmp_path / "wpb-demo-00001-camera.h5"
    precious.write_text("precious")
    with pytest.raises(Exception, match="camera"):
        beamline.scan()
    assert precious.read_text() == "precious"
