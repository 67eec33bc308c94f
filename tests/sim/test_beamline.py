"""What the simulated beamline's command tells its supervisor."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sim.beamline import Progress, RunPublisher, main


def start(tmp_path: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wpb_stream.sim.beamline", "--data", str(tmp_path), "--frame", "30x40", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_every_line_on_standard_output_is_an_event_of_the_run(tmp_path: Path) -> None:
    out, err = start(tmp_path, "--shape", "3x4", "--rate", "0", "--scans", "2", "--pause", "0").communicate(timeout=60)
    events = [json.loads(line) for line in out.splitlines()]
    assert [(event["event"], event.get("scan_id")) for event in events if event["event"] != "progress"] == [
        ("run_started", 1),
        ("run_stopped", None),
        ("run_started", 2),
        ("run_stopped", None),
    ], err
    assert events[0]["shape"] == [3, 4]
    assert events[-1] | {"uid": ""} == {"event": "run_stopped", "uid": "", "exit_status": "success", "points": 12}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_scan_cleanly_and_the_process_with_0(tmp_path: Path, number: int) -> None:
    # One frame in 1,000 s: the signal certainly comes in mid-scan.
    with start(tmp_path, "--rate", "0.001") as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["exit_status"] == "abort"
    assert json.loads(out.splitlines()[-1])["uid"] == started["uid"]


def test_a_broker_that_does_not_answer_is_told_in_a_sentence() -> None:
    with pytest.raises(ServiceError, match=r"no Kafka broker answers at 127\.0\.0\.1:1: "):
        RunPublisher("127.0.0.1:1", "topic").check(timeout_s=0.1)


@pytest.mark.parametrize("shape", ["24", "0x3", "axb", "1x2x3"])
def test_a_shape_of_another_form_is_refused(tmp_path: Path, shape: str) -> None:
    result = CliRunner().invoke(main, ["--data", str(tmp_path), "--shape", shape])
    assert result.exit_code == 2
    assert repr(shape) in result.stderr


def test_progress_is_told_at_most_twice_a_second() -> None:
    events: list[dict[str, Any]] = []
    now = iter([0.0, 0.1, 0.6, 0.6, 0.9, 1.2, 1.2])
    progress = Progress(events.append, lambda: next(now))
    progress("start", {"uid": "a", "scan_id": 7, "shape": (2, 2), "num_points": 4})
    for seq_num in (1, 2, 3, 4):
        progress("event", {"seq_num": seq_num})
    progress("stop", {"exit_status": "success"})
    assert events == [
        {"event": "run_started", "uid": "a", "scan_id": 7, "shape": [2, 2]},
        {"event": "progress", "uid": "a", "points": 2, "of": 4},
        {"event": "progress", "uid": "a", "points": 4, "of": 4},
        {"event": "run_stopped", "uid": "a", "exit_status": "success", "points": 4},
    ]
