"""`wpb watch` on a terminal, and into a pipe, beside a run that grows."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.helpers.scans import Scan, scan
from tests.integration.feed.conftest import Beamline
from wpb_stream.pictures import shaded

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

WAIT_S = 60.0
BACK_FROM_THE_ALTERNATE_SCREEN = "\x1b[?1049l"
WPB = (sys.executable, "-m", "wpb_stream.cli", "watch")


class Terminal:
    """What a command writes to a pseudo-terminal."""

    def __init__(self, descriptor: int, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._descriptor = descriptor
        self.said = ""

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    async def until(self, there: Callable[[str], bool]) -> None:
        """Read until that is true of all that was said."""
        while not there(self.said):
            self.said += (await asyncio.to_thread(os.read, self._descriptor, 65536)).decode(errors="replace")

    async def ended(self) -> tuple[int, list[str]]:
        """Wait for its end; the exit status, and what is left on the terminal, line by line."""
        await self.until(lambda said: BACK_FROM_THE_ALTERNATE_SCREEN in said)
        while True:
            try:
                self.said += (await asyncio.to_thread(os.read, self._descriptor, 65536)).decode(errors="replace")
            except OSError:  # the other end was closed
                break
        return await self.process.wait(), self.said.rpartition(BACK_FROM_THE_ALTERNATE_SCREEN)[2].splitlines()


@asynccontextmanager
async def terminal(*arguments: str, columns: int = 80, lines: int = 24) -> AsyncIterator[Terminal]:
    """`wpb watch` on a pseudo-terminal of 24 bits a colour."""
    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        environment.pop(name, None)
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = await asyncio.create_subprocess_exec(*WPB, *arguments, stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    try:
        async with asyncio.timeout(WAIT_S):
            yield Terminal(ours, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


def plain(line: str) -> str:
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", line).rstrip()


def uppers(line: str) -> list[tuple[int, ...]]:
    """The colour of the upper half of each character of a line that is filled."""
    colours: list[tuple[int, ...]] = []
    for colour, blocks in re.findall(r"\x1b\[38;2;(\d+;\d+;\d+)(?:;48;2;\d+;\d+;\d+)?m(▀+)", line):
        colours += len(blocks) * [tuple(map(int, colour.split(";")))]
    return colours


async def test_a_run_grows_on_the_terminal_in_the_colours_of_its_values_and_stays_there_when_it_is_over(beamline: Beamline) -> None:
    one = scan(beamline.folder)
    await beamline.begin(one, 5)
    async with terminal("--url", beamline.url, "--once") as shown:
        await shown.until(lambda said: "5 of 12 (41 %) points" in plain(said) and "▀" in said)
        await beamline.publish(*one.at(5, 12), one.stop)
        code, left = await shown.ended()
    assert code == 0
    assert plain(left[0]).startswith("run 7 grid_scan success: 12 of 12 (100 %) points")
    values = one.map("total")
    assert [plain(line) for line in left[2:3]] == [f"Total {values.min():.6g} ... {values.max():.6g} counts"]
    assert plain(next(line for line in left if "→" in line)) == "→ stage-x 0 ... 3 mm   ↑ stage-y 0 ... 2 mm"
    drawn = [uppers(line) for line in left if "▀" in line]
    pixels, _ = shaded(values[::-1], "viridis")
    factor = len(drawn[0]) // 4
    beside = len([line for line in left if plain(line).strip() and "▀" not in line])  # headline, bar, limits, axes, and what was guessed
    assert factor == 2 * (24 - 1 - beside) // 3, "as large as 24 lines allow"
    assert drawn[0] == [tuple(colour) for colour in pixels[0].repeat(factor, 0).tolist()]


async def test_it_adapts_when_the_terminal_is_made_smaller(beamline: Beamline) -> None:
    one = scan(beamline.folder)
    await beamline.begin(one, 5)
    async with terminal("--url", beamline.url, one.uid, "--once") as shown:
        await shown.until(lambda said: "5 of 12" in plain(said))
        shown.resize(columns=30, lines=12)
        await beamline.publish(*one.at(5, 12), one.stop)
        code, left = await shown.ended()
    assert code == 0
    assert max(len(plain(line)) for line in left) <= 30
    assert len(left) < 12


async def test_ctrl_c_leaves_the_terminal_as_it_was_and_what_was_seen_last(beamline: Beamline, past: list[Scan]) -> None:
    async with terminal("--url", beamline.url, past[1].uid, "--channel", "red") as shown:
        await shown.until(lambda said: "12 of 12" in plain(said) and "the beam was lost" in said)
        shown.process.send_signal(signal.SIGINT)
        code, left = await shown.ended()
    assert code == 0
    assert " abort: 12 of 12" in plain(left[0])
    assert plain(left[2]).startswith("Red ")
    assert plain(left[-1]) == "the beam was lost"
    assert "Traceback" not in shown.said


async def piped(*arguments: str) -> tuple[int | None, list[str], str]:
    process = await asyncio.create_subprocess_exec(*WPB, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    async with asyncio.timeout(WAIT_S):
        out, said = await process.communicate()
    return process.returncode, out.decode().splitlines(), said.decode()


async def test_into_a_pipe_goes_a_line_an_update_and_the_exit_code_tells_how_the_run_ended(beamline: Beamline, past: list[Scan]) -> None:
    code, lines, said = await piped("--url", beamline.url, past[0].uid, "--once")
    assert code == 0
    assert lines[-1].startswith("run 7 grid_scan success: 12 of 12 (100 %) points ")
    assert lines[-1].endswith(" counts")
    assert not any("\x1b" in line for line in lines)
    assert said.startswith("regions_guessed: ")
    code, lines, _ = await piped("--url", beamline.url, past[1].uid, "--once")
    assert (code, " abort: 12 of 12" in lines[-1]) == (1, True)


async def test_a_run_that_is_not_there_is_told_in_a_sentence(beamline: Beamline, past: list[Scan]) -> None:
    code, lines, said = await piped("--url", beamline.url, "no such run")
    assert (code, lines, "Traceback" in said) == (1, [], False)
    assert "no such run" in said
