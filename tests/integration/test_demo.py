"""The commands as a new user runs them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import h5py
import psutil
import pytest

from wpb_stream.host import free_port

pytestmark = pytest.mark.integration

CHECKS = ("all_frames_found", "file_unchanged", "live_equals_batch", "map_complete", "positions_within_extents", "values_finite")
WAIT_S = 180
"""Bound on what a command may take here; no figure of ours depends on it."""


def ports() -> list[str]:
    return ["--listen", f"127.0.0.1:{free_port('127.0.0.1', 0)}", "--dagster-port", str(free_port("127.0.0.1", 0))]


@asynccontextmanager
async def wpb(*arguments: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A ``wpb`` command in a session of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "wpb_stream.cli",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        # A shell that runs the tests in the background has them ignore Ctrl-C, and what is ignored is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        # A beamline's settings, which the demo must not follow.
        env={**os.environ, **({"WPB_SOURCES": "kafka://127.0.0.1:1/not-for-the-demo"} if arguments[0] == "demo" else {})},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said_by(process: asyncio.subprocess.Process, words: bytes) -> bytes:
    """What a command told people, up to these words."""
    assert process.stderr is not None
    said = b""
    while words not in said:
        more = await process.stderr.read(4096)
        assert more, f"it ended without {words!r}: {said.decode()}"
        said += more
    return said


def processes_of(data: Path) -> list[psutil.Process]:
    """All processes that have to do with a data folder."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = [*(process.info["cmdline"] or ()), *(process.info["environ"] or {}).values()]
        if process.pid != os.getpid() and any(str(data) in word for word in words):
            found.append(process)
    return found


async def test_one_scan_ends_as_a_json_report_and_a_nexus_file_and_leaves_no_process(tmp_path: Path) -> None:
    data, reports = tmp_path / "demo", []
    for shape in ("4x5", "2x3"):  # the second time in the same folder, where the latest run the feed knows is the first scan
        async with wpb("demo", "--once", "--shape", shape, "--frame", "48x64", "--data", data, *ports()) as demo, asyncio.timeout(WAIT_S):
            output, said = await demo.communicate()
        assert demo.returncode == 0, said.decode()
        assert processes_of(data) == []
        reports.append(json.loads(output.decode().splitlines()[-1]))
    first, second = reports
    assert first["run_uid"] != second["run_uid"]
    for report, shape in ((first, [4, 5]), (second, [2, 3])):
        points = shape[0] * shape[1]
        assert (report["shape"], report["points"], report["rows"], report["live_equals_batch"]) == (shape, points, points, True)
        assert report["checks"] == dict.fromkeys(CHECKS, True)
        with h5py.File(report["nexus_file"]) as file:
            entry = file[file.attrs["default"]]
            plot = entry[entry.attrs["default"]]
            assert plot[plot.attrs["signal"]].shape == tuple(shape)
    viewer, _, run = second["viewer"].partition("?run=")
    assert viewer in said.decode()
    assert run == second["run_uid"]


@pytest.mark.parametrize(("flag", "value"), [("--shape", "7"), ("--shape", "0x9"), ("--frame", "abc"), ("--shape", "1000000x1000000")])
async def test_a_shape_that_is_none_is_told_before_anything_starts(tmp_path: Path, flag: str, value: str) -> None:
    async with wpb("demo", flag, value, "--data", tmp_path / "demo") as demo, asyncio.timeout(WAIT_S):
        _, complaint = await demo.communicate()
    assert demo.returncode == 2
    assert value in complaint.decode()
    assert not (tmp_path / "demo").exists()


async def test_ctrl_c_stops_everything_in_mid_scan_and_leaves_no_process(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    async with wpb("demo", "--shape", "40x40", "--frame", "48x64", "--data", data, *ports()) as demo, asyncio.timeout(WAIT_S):
        await said_by(demo, b"began")
        demo.send_signal(signal.SIGINT)
        _, rest = await demo.communicate()
    assert demo.returncode == 0, rest.decode()
    assert b"Everything stopped." in rest
    assert processes_of(data) == []


async def test_a_second_demo_on_the_same_folder_says_who_holds_it(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    async with wpb("up", "--data", data, *ports()) as first, asyncio.timeout(WAIT_S):
        await said_by(first, b"Ctrl-C")
        async with wpb("demo", "--once", "--data", data, *ports()) as second:
            output, complaint = await second.communicate()
        assert (second.returncode, output) == (1, b"")
        assert f"in use by process {first.pid}" in complaint.decode().replace("\n", " ")
        first.send_signal(signal.SIGTERM)
        await first.communicate()
    assert first.returncode == 0
    assert processes_of(data) == []


async def test_a_part_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("7.4\n")
    async with wpb("demo", "--once", "--data", data, *ports()) as demo, asyncio.timeout(WAIT_S):
        output, complaint = await demo.communicate()
    assert (demo.returncode, output) == (1, b"")
    assert "PostgreSQL" in complaint.decode()
    assert "postgres.log" in complaint.decode().replace("\n", "")
    assert "Traceback" not in complaint.decode()
