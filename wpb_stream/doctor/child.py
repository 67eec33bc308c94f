"""Ask in a process of its own: what hangs is killed, what crashes takes nobody with it.

Run as ``python -m wpb_stream.doctor.child MODULE:FUNCTION``, with the arguments as a list in JSON on its standard input: a command line
is for everybody to see, and there are passwords in URLs. The last line of its standard output is the finding, in JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module

from wpb_stream.core.exceptions import WpbError
from wpb_stream.doctor.findings import Finding, wrong
from wpb_stream.launcher import launch_argv

KILLED_WITHIN_S = 1.0
"""How long a killed process is waited for; one that waits for a disk may not even end then."""


async def ask(function: Callable[..., Finding], *arguments: object, environment: Mapping[str, str] | None = None) -> Finding:
    """Have a function of a module called elsewhere, with arguments that JSON can hold. Cancelling kills the process.

    :param environment: variables on top of ours
    """
    command = [sys.executable, "-m", __name__, f"{function.__module__}:{function.__name__}"]
    return await run(command, json.dumps(arguments).encode(), environment=environment)


async def run(command: list[str], told: bytes = b"", *, environment: Mapping[str, str] | None = None) -> Finding:
    """Run a command that tells a finding as this module does. Cancelling kills it, and all it started."""
    process = await asyncio.create_subprocess_exec(
        *launch_argv(command, death_signal=signal.SIGKILL),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        answer, said = await process.communicate(told)
    finally:
        await _end(process)
    try:
        return Finding(**json.loads(answer.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        last = said.decode(errors="replace").strip().rpartition("\n")[2] or "without a word"
        return wrong(f"the check itself failed: {last} (exit code {process.returncode})", "tell the developers of wpb")


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(KILLED_WITHIN_S):
            await process.wait()


def main() -> None:
    """Be that process."""
    where, _, name = sys.argv[1].partition(":")
    function: Callable[..., Finding] = getattr(import_module(where), name)
    try:
        finding = function(*json.load(sys.stdin))
    except WpbError as error:
        finding = wrong(str(error))
    sys.stdout.write(f"\n{json.dumps(asdict(finding))}\n")


if __name__ == "__main__":
    main()
