"""The supervisor, with small programs as services."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.host import free_port, lock_folder
from wpb_stream.service import Service
from wpb_stream.supervisor import Supervisor

STAY = "ready()\nwhile True: signal.pause()"
"""A program that gets ready and stays."""

PROGRAM = """
import os, signal, subprocess, sys
folder, name = {folder!r}, {name!r}
def note(text, where="notes"):
    with open(folder + "/" + where, "a") as file:
        file.write(text)
def ready():
    note("", name + ".ready")
{code}
"""


def program(folder: Path, name: str, code: str) -> Service:
    """A service of some lines of Python: ``ready()`` makes it ready, ``note(text)`` writes to the file ``notes`` of ``folder``."""

    async def ready() -> bool:
        return (folder / f"{name}.ready").exists()

    argv = [sys.executable, "-I", "-S", "-c", PROGRAM.format(folder=str(folder), name=name, code=code)]
    return Service(name=name, argv=argv, log=folder / f"{name}.log", ready=ready, restart_delay_s=0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # the second one when it goes while we read
        return False


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that another process brings about; the bound is for a broken test only."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def run(supervisor: Supervisor, service: Service) -> None:
    async with supervisor:
        await supervisor.start(service)
        await supervisor.until_stopped()


async def test_a_service_runs_in_the_block_and_is_gone_after_it(tmp_path: Path) -> None:
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(program(tmp_path, "one", STAY))
        pid = supervisor.pid("one")
        assert pid is not None
        assert is_alive(pid)
    assert not is_alive(pid)
    assert supervisor.pid("one") is None


async def test_services_stop_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    code = "signal.signal(signal.SIGTERM, lambda *_: (note(name), os._exit(0)))\n" + STAY
    async with Supervisor(handle_signals=False) as supervisor:
        for name in "abc":
            await supervisor.start(program(tmp_path, name, code))
    assert (tmp_path / "notes").read_text() == "cba"


async def test_services_of_one_call_start_side_by_side(tmp_path: Path) -> None:
    # Each gets ready only when the other has started.
    code = "note('', name)\nother = {'a': 'b', 'b': 'a'}[name]\nwhile not os.path.exists(folder + '/' + other): pass\n" + STAY
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(program(tmp_path, "a", code), program(tmp_path, "b", code))


async def test_a_service_that_is_killed_is_started_again(tmp_path: Path) -> None:
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(program(tmp_path, "one", "note(f'{os.getpid()} ')\n" + STAY))
        first = supervisor.pid("one")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pid("one") not in (None, first))
        await until(lambda: len((tmp_path / "notes").read_text().split()) == 2)
        assert supervisor.statistics() == {"one": 2}


async def test_children_of_a_crashed_service_are_gone_before_it_is_started_again(tmp_path: Path) -> None:
    code = 'note(f\'{subprocess.Popen(["sleep", "1000"]).pid} \')\n' + STAY
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(program(tmp_path, "one", code))
        child = int((tmp_path / "notes").read_text())
        first = supervisor.pid("one")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: len((tmp_path / "notes").read_text().split()) == 2)
        assert not is_alive(child)


async def test_a_service_that_crashes_too_often_ends_the_block_with_its_last_lines(tmp_path: Path) -> None:
    service = dataclasses.replace(program(tmp_path, "camera", "ready()\nsys.exit('no film')"), restarts=2)
    with pytest.raises(ServiceError, match=r"camera ended by itself \(exit code 1, 3 in a row\)[^$]*camera\.log[^$]*no film"):
        await run(Supervisor(handle_signals=False), service)
    assert (tmp_path / "camera.log").read_text() == "no film\n" * 3


async def test_a_service_that_never_gets_ready_ends_the_block_with_its_last_lines(tmp_path: Path) -> None:
    code = "note(str(os.getpid()))\nprint('warming up', flush=True)\nwhile True: signal.pause()"
    service = program(tmp_path, "camera", code)
    said = asyncio.Event()

    async def never() -> bool:
        if "warming up" in service.log.read_text():
            said.set()
        return False

    with pytest.raises(ServiceError, match=r"camera was not ready within 1 s[^$]*camera\.log[^$]*warming up"):
        async with Supervisor(handle_signals=False) as supervisor:
            await supervisor.start(dataclasses.replace(service, ready=never, ready_timeout_s=1.0))
    assert said.is_set()
    assert not is_alive(int((tmp_path / "notes").read_text()))


async def test_a_program_that_does_not_exist_is_not_tried_twice(tmp_path: Path) -> None:
    service = Service(name="ghost", argv=["/does/not/exist"], log=tmp_path / "ghost.log")
    supervisor = Supervisor(handle_signals=False)
    with pytest.raises(ServiceError, match=r"ghost could not be started[^$]*No such file"):
        await run(supervisor, service)
    assert supervisor.statistics() == {"ghost": 1}


async def test_a_service_that_ignores_its_stop_signal_is_killed_with_its_children(tmp_path: Path) -> None:
    code = 'signal.signal(signal.SIGTERM, signal.SIG_IGN)\nnote(f\'{subprocess.Popen(["sleep", "1000"]).pid}\')\n' + STAY
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(dataclasses.replace(program(tmp_path, "one", code), stop_timeout_s=0.1))
        pid = supervisor.pid("one")
    assert pid is not None
    assert not is_alive(pid)
    assert not is_alive(int((tmp_path / "notes").read_text()))


async def test_a_child_that_left_the_session_of_its_service_is_found_too(tmp_path: Path) -> None:
    code = 'note(str(subprocess.Popen(["sleep", "1000"], start_new_session=True).pid))\n' + STAY
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(program(tmp_path, "one", code))
    assert not is_alive(int((tmp_path / "notes").read_text()))


async def test_stopping_while_a_service_waits_for_its_next_start_does_not_wait_for_that(tmp_path: Path) -> None:
    async with Supervisor(handle_signals=False) as supervisor, asyncio.timeout(60):
        await supervisor.start(dataclasses.replace(program(tmp_path, "one", STAY), restart_delay_s=1000))
        pid = supervisor.pid("one")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: supervisor.pid("one") is None)
    assert supervisor.statistics() == {"one": 1}


async def test_lines_of_standard_output_are_handed_over_and_logged(tmp_path: Path) -> None:
    lines: list[str] = []
    service = dataclasses.replace(
        program(tmp_path, "one", "print('{\"point\": 1}')\nprint('x' * 3_000_000)\nprint('last')"), on_line=lines.append, may_finish=True
    )
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(service)
        await supervisor.until_finished("one")
    assert (lines[0], lines[-1]) == ('{"point": 1}', "last")
    assert service.log.read_text().startswith('{"point": 1}\n')


async def test_a_service_that_may_finish_does_so_without_being_started_again(tmp_path: Path) -> None:
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(dataclasses.replace(program(tmp_path, "one", "ready()"), may_finish=True))
        await supervisor.until_finished("one")
    assert supervisor.statistics() == {"one": 1}


async def test_the_log_of_the_time_before_is_kept_once(tmp_path: Path) -> None:
    (tmp_path / "one.log").write_text("yesterday\n")
    async with Supervisor(handle_signals=False) as supervisor:
        await supervisor.start(program(tmp_path, "one", "print('today', flush=True)\n" + STAY))
    assert (tmp_path / "one.log").read_text() == "today\n"
    assert (tmp_path / "one.log.old").read_text() == "yesterday\n"


async def test_an_error_of_the_block_itself_is_raised_and_stops_the_services(tmp_path: Path) -> None:
    pids: list[int | None] = []

    async def fail() -> None:
        async with Supervisor(handle_signals=False) as supervisor:
            await supervisor.start(program(tmp_path, "one", STAY))
            pids.append(supervisor.pid("one"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert pids[0] is not None
    assert not is_alive(pids[0])


async def test_stopping_while_a_service_is_still_starting_leaves_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(TimeoutError):
        async with Supervisor(handle_signals=False) as supervisor, asyncio.timeout(0.2):
            await supervisor.start(program(tmp_path, "one", "while True: signal.pause()"))
    started = [record.args for record in caplog.records if "started" in record.message]
    assert started
    assert supervisor.pid("one") is None


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_supervisor import program
from wpb_stream.supervisor import Supervisor

async def main():
    async with Supervisor() as supervisor:
        await supervisor.start(program(Path({folder!r}), "one", {code!r}))
        await supervisor.until_stopped()
    print("stopped by", supervisor.stopped_by.name)

asyncio.run(main())
"""

FAMILY = """
def stop(number, _):
    note("got " + signal.Signals(number).name)
    os._exit(0)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
near = subprocess.Popen(["sleep", "1000"])
far = subprocess.Popen(["sleep", "1000"], start_new_session=True)
note(f"{os.getpid()} {near.pid} {far.pid}", "pids")
ready()
while True: signal.pause()
"""


async def start_supervisor(folder: Path) -> tuple[asyncio.subprocess.Process, list[int]]:
    """A supervisor as a program of its own, with a service that has two children; gives the ids of the three."""
    script = SUPERVISOR.format(tests=str(Path(__file__).parent), folder=str(folder), code=FAMILY)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE, start_new_session=True)
    await until((folder / "one.ready").exists)
    return process, [int(word) for word in (folder / "pids").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_to_the_terminals_process_group_stops_the_services_in_our_order(tmp_path: Path, number: signal.Signals) -> None:
    process, pids = await start_supervisor(tmp_path)
    os.killpg(process.pid, number)
    output, _ = await process.communicate()
    assert output.decode() == f"stopped by {number.name}\n"
    assert process.returncode == 0
    assert (tmp_path / "notes").read_text() == "got SIGTERM"
    assert not any(is_alive(pid) for pid in pids)


async def test_nothing_survives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    process, pids = await start_supervisor(tmp_path)
    process.kill()
    await process.communicate()
    await until(lambda: not any(is_alive(pid) for pid in pids))
    assert (tmp_path / "notes").read_text() == "got SIGTERM"


def test_a_port_in_use_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert free_port("127.0.0.1", port) > port
        assert free_port("localhost", port) > port
        assert free_port("0.0.0.0", port) > port
    assert free_port("127.0.0.1", port) == port
    assert free_port("127.0.0.1", port, besides=[port]) > port


def test_a_host_that_is_not_ours_is_named_in_the_error() -> None:
    with pytest.raises(ServiceError, match=r"192\.0\.2\.1"):
        free_port("192.0.2.1", 8000)


async def test_a_second_process_on_the_same_data_folder_is_told_the_first(tmp_path: Path) -> None:
    code = f"import sys; from pathlib import Path; from wpb_stream.host import lock_folder\nwith lock_folder(Path({str(tmp_path)!r})): pass"
    with lock_folder(tmp_path):
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stderr=subprocess.PIPE)
        _, error = await process.communicate()
        assert f"is in use by process {os.getpid()};" in error.decode()
    with lock_folder(tmp_path):
        pass
