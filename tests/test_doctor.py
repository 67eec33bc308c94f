"""`wpb doctor`: what it finds out about sources, folders, services and settings, and that nothing of that can hold it up."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path

import psutil
import psycopg
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from tests.helpers.certificates import Certificates
from tests.helpers.serving import catalogue_away, serving_of
from wpb_stream.catalogue.migrations import upgrade
from wpb_stream.cli import main
from wpb_stream.demo import say_what_is_silent
from wpb_stream.doctor import folders
from wpb_stream.doctor.checks import Check, examine
from wpb_stream.doctor.child import ask, run
from wpb_stream.doctor.findings import Finding, ok
from wpb_stream.doctor.machine import look_at_port
from wpb_stream.doctor.redaction import Redaction
from wpb_stream.feed.tls import context_of
from wpb_stream.host import free_port
from wpb_stream.settings import load

PATIENCE = ("--deadline", "60")
"""The machine that runs tests may be busy; no test waits for it to pass."""

Findings = dict[str, Finding]


def examined(*flags: str | Path) -> Findings:
    """What the command finds, by subject, with free ports unless flags name others."""
    ports = ["--listen", f"127.0.0.1:{free_port('127.0.0.1', 0)}", "--dagster-port", str(free_port("127.0.0.1", 0))]
    result = CliRunner().invoke(main, ["doctor", "--json", *PATIENCE, *ports, *map(str, flags)])
    findings = [Finding(**json.loads(line)) for line in result.stdout.splitlines()]
    assert result.exit_code == (1 if any(finding.state == "wrong" for finding in findings) else 0), result.output
    return {finding.subject: finding for finding in findings}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a detector file."""
    root = tmp_path / "data"
    root.mkdir()
    (root / "scan.h5").touch()
    return root


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port nobody listens on: it is taken, and nobody takes a connection."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.mark.integration
def test_a_beamline_with_nothing_wrong_is_fine_line_for_line(
    tmp_path: Path, root: Path, postgres_url: str, kafka_address: str, kafka_topic: str
) -> None:
    source = f"kafka://{kafka_address}/{kafka_topic}"
    places = ("--data-roots", root, "--path-map", f"/there={root}", "--data", tmp_path / "wpb")
    found = examined("--sources", source, "--gateway-topic", source, "--database-url", postgres_url, *places)
    assert {subject: finding for subject, finding in found.items() if finding.state != "ok"} == {}
    assert kafka_topic in found[f"source {source}"].found
    assert kafka_topic in found[f"gateway topic {source}"].found
    assert "empty; tables are made" in found["database"].found
    assert "1 entries" in found[f"data root {root}"].found
    upgrade(postgres_url)
    found = examined("--sources", source, "--database-url", postgres_url, *places)
    assert "schema up to date, no streaming process" in found["database"].found


def test_a_source_nobody_serves_and_one_of_an_unknown_kind_are_wrong_and_say_what_to_check(closed_port: int) -> None:
    sources = (f"kafka://127.0.0.1:{closed_port}/t", f"zmq://127.0.0.1:{closed_port}", "kafak://host:9092/t")
    found = examined("--sources", " ".join(sources))
    for source in sources:
        assert found[f"source {source}"].state == "wrong"
        assert "WPB_SOURCES" in found[f"source {source}"].found


def test_a_database_that_is_not_there_is_told_once_as_wrong(closed_port: int) -> None:
    found = examined("--database-url", f"postgresql://wpb:hush-hush@127.0.0.1:{closed_port}/wpb")
    assert found["database"].state == "wrong"
    assert "WPB_DATABASE_URL" in found["database"].found
    assert found["Dagster's database"].state == found["dead letters"].state == "warning"


@pytest.mark.integration
def test_a_database_of_a_newer_wpb_is_wrong_and_one_with_dead_letters_a_warning(postgres_url: str) -> None:
    upgrade(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("INSERT INTO dead_letters (source, partition, position, value, reason) VALUES ('kafka:c', 't/0', 7, 'x', 'why')")
        letters = examined("--database-url", postgres_url)["dead letters"]
        assert (letters.state, letters.found) == ("warning", "1 messages could not be used, 0 documents belong to no run")
        connection.execute("UPDATE wpb_schema SET version_num = '9999'")
    assert "install the newer wpb" in examined("--database-url", postgres_url)["database"].remedy


def test_folders_that_are_missing_empty_or_no_folders_are_told(tmp_path: Path, root: Path) -> None:
    assert folders.look_at_root(str(tmp_path / "missing")).state == "wrong"
    assert folders.look_at_root(str(root / "scan.h5")).found == "it is no folder"
    (tmp_path / "empty").mkdir()
    assert folders.look_at_root(str(tmp_path / "empty")).state == "warning"
    assert folders.look_at_root(str(root)).state == "ok"


def test_a_mapping_must_lead_to_a_folder_below_a_data_root(tmp_path: Path, root: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert folders.look_at_mapping("/there", str(tmp_path / "link"), [str(root)]).state == "ok"
    assert folders.look_at_mapping("/there", str(tmp_path / "missing"), [str(root)]).state == "wrong"
    assert "above a data root" in folders.look_at_mapping("/there", str(tmp_path), [str(root)]).found
    refused = folders.look_at_mapping("/there", str(root), [str(tmp_path / "other")])
    assert (refused.state, "frames there are refused" in refused.found) == ("wrong", True)


def test_results_that_cannot_be_written_are_wrong(root: Path) -> None:
    assert folders.look_at_results(str(root / "new" / "results")).found.endswith("(it will be made)")
    assert folders.look_at_results(str(root / "scan.h5" / "results")).state == "wrong"


def test_a_port_of_another_program_is_a_warning_that_names_the_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = examined("--listen", f"127.0.0.1:{port}")[f"viewer's port {port}"]
    assert (found.state, found.remedy) == ("warning", "choose a free one by WPB_LISTEN")


def test_a_typo_in_a_variable_is_wrong_with_the_name_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_SOURCE", "kafka://host:9092/t")
    found = examined()["environment"]
    assert (found.state, found.remedy) == ("wrong", "WPB_SOURCE is meant to be WPB_SOURCES?")
    monkeypatch.delenv("WPB_SOURCE")
    monkeypatch.setenv("WPB_COFFEE_MACHINE", "on")
    assert examined()["environment"].state == "warning"


def test_settings_that_cannot_be_read_are_a_finding_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_WINDOW_FRAMES", "many")
    found = examined()
    assert found["settings"].state == "wrong"
    assert "window_frames" in found["settings"].found
    assert found["wpb"].state == "ok"


def looked(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *PATIENCE, *arguments])


async def test_a_port_that_wpb_serves_with_tls_is_asked_over_tls(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    reader = catalogue_away()
    async with serving_of(reader, tmp_path / "results", context_of(certificates.broker, None)) as serving:
        asked = ("127.0.0.1", serving.port, "/healthz", "ok", "WPB_LISTEN")
        assert await ask(look_at_port, *asked, True) == ok("wpb is running there")
        assert (await ask(look_at_port, *asked, False)).state == "warning"


def test_no_password_is_shown_wherever_it_stands(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    monkeypatch.setenv("WPB_DATABASE_URL", f"postgresql://wpb:hush%2Dhush@127.0.0.1:{closed_port}/wpb?password=mumble")
    monkeypatch.setenv("WPB_SOURCES", f"kafka://me:whisper@127.0.0.1:{closed_port}/t nonsense://me:whisper@host")
    monkeypatch.setenv("WPB_KAFKA_OPTIONS", '{"sasl_plain_password": "silence", "security_protocol": 7}')
    for arguments in ((), ("--json",), ("--window-frames", "many")):
        output = looked(*arguments).output
        for secret in ("hush-hush", "hush%2Dhush", "mumble", "whisper", "silence"):
            assert secret not in output


def test_a_password_is_hidden_in_what_a_server_says_of_it() -> None:
    settings = load(database_url="postgresql://wpb:hush%2Dhush@host/wpb", stomp_options={"password": "mumble"}, token="wpb_murmur")
    assert Redaction(settings).hide("who is hush-hush, what is mumble or wpb_murmur") == "who is ***, what is *** or ***"


def test_each_finding_is_one_line_that_can_be_read_without_colours(closed_port: int) -> None:
    result = looked("--sources", f"zmq://127.0.0.1:{closed_port}")
    lines = result.stdout.splitlines()
    assert all(line.startswith(("ok ", "warning ", "wrong ")) for line in lines[:-1])
    assert any(line.startswith(f"wrong   source zmq://127.0.0.1:{closed_port}") for line in lines)
    assert lines[-1].startswith("1 wrong")
    assert (result.exit_code, "\x1b" in result.stdout) == (1, False)


async def test_whoever_starts_everything_is_told_of_a_source_that_is_away_and_of_no_other(closed_port: int, tmp_path: Path) -> None:
    said = StringIO()
    (tmp_path / "run.jsonl").touch()
    away, there = f"zmq://me:whisper@127.0.0.1:{closed_port}", f"file://{tmp_path}/*.jsonl"
    await say_what_is_silent(load(sources=f"{away} {there}"), Console(file=said, width=300))
    assert f"wrong   source zmq://me:***@127.0.0.1:{closed_port}" in said.getvalue()
    assert "wpb goes on trying" in said.getvalue()
    assert "run.jsonl" not in said.getvalue()
    said.truncate(0)
    await say_what_is_silent(load(sources=there), Console(file=said))
    assert said.getvalue() == ""


async def test_a_check_that_never_answers_is_told_and_holds_up_no_other() -> None:
    async def never() -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async def fine() -> Finding:
        return ok("fine")

    async def broken() -> Finding:
        raise ValueError("our own fault")

    checks = [Check("hung", never, "see to the mount"), Check("broken", broken), Check("there", fine)]
    hung, failed, there = await examine(checks, deadline_s=0.2)
    assert hung == Finding("wrong", "no answer within 0.2 s", "see to the mount", "hung")
    assert (failed.state, "our own fault" in failed.found) == ("wrong", True)
    assert there == Finding("ok", "fine", "", "there")


async def test_a_process_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; trap '' TERM INT; wait; sleep 1000"

    async def look() -> Finding:
        return await run(["sh", "-c", script])

    async with asyncio.TaskGroup() as tasks:
        found = tasks.create_task(examine([Check("hung", look)], deadline_s=3.0))
        async with asyncio.timeout(30):
            while not pids.exists():
                await asyncio.sleep(0.01)
    assert found.result()[0].state == "wrong"
    started = [int(pid) for pid in pids.read_text().split()]
    async with asyncio.timeout(30):
        while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in started):
            await asyncio.sleep(0.01)


async def test_a_process_that_crashes_is_told_with_its_last_words() -> None:
    check = partial(run, [sys.executable, "-c", "raise SystemExit('out of luck')"])
    (finding,) = await examine([Check("crashing", check)], deadline_s=60)
    assert (finding.state, "out of luck (exit code 1)" in finding.found) == ("wrong", True)


async def test_what_is_asked_elsewhere_is_on_no_command_line(root: Path) -> None:
    finding = await ask(folders.look_at_root, str(root))
    assert finding.state == "ok"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await ask(folders.look_at_root, str(root))


HUNG = """
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
if not os.access("/dev/fuse", os.R_OK | os.W_OK):
    sys.exit(77)
NEWNS, PRIVATE_RECURSIVE = 0x20000, 0x44000
fuse = os.open("/dev/fuse", os.O_RDWR)  # nobody reads it, so that nobody ever answers
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
if libc.unshare(NEWNS) or libc.mount(None, b"/", None, PRIVATE_RECURSIVE, None):
    sys.exit(77)
if libc.mount(b"hung", os.fsencode(sys.argv[1]), b"fuse", 0, options):
    sys.exit(77)
sys.exit(subprocess.run([sys.executable, "-m", "wpb_stream.cli", "doctor", "--json", "--deadline", "5", *sys.argv[2:]]).returncode)
"""


def test_a_data_root_on_a_dead_file_server_holds_up_nothing(tmp_path: Path, root: Path) -> None:
    hung = tmp_path / "hung"
    hung.mkdir()
    result = subprocess.run(
        [sys.executable, "-c", HUNG, hung, "--data-roots", f"{hung}:{root}"], capture_output=True, text=True, timeout=120, check=False
    )
    if result.returncode == 77:
        pytest.skip("only root may mount a file system that never answers; the tests above hang a process instead")
    found = {finding["subject"]: finding for finding in map(json.loads, result.stdout.splitlines())}
    assert "hangs" in found[f"data root {hung}"]["remedy"], result.stderr
    assert found[f"data root {root}"]["state"] == "ok"
