"""Outlive the supervisor by a moment, and take what it leaves behind with us.

The kernel's parent-death signal (`launcher`) reaches the supervisor's own children only. Their children (Dagster's code server and runs)
would survive a ``kill -9`` of the supervisor. The guard is one small process in a session of its own that reads a pipe from the supervisor:
each line adds (``+123``) or removes (``-123``) the session of a service. When the pipe closes the supervisor is gone, however it went.
Run as a script by its path, so it imports the standard library only.

Who belongs to us is told by two marks, because either alone has a hole: the *session* (a process may leave it by ``setsid``) and a token
in the *environment* (PostgreSQL overwrites that part of its memory with its title).
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

TOKEN_VARIABLE = "WPB_SUPERVISOR"  # noqa: S105  a name
"""Environment variable that marks every process below a supervisor with the supervisor's token."""

GRACE_S = 4.0
"""How long the orphans get to end by themselves, after their death signal, before SIGKILL."""

_POLL_S = 0.05


def _session(entry: Path) -> int | None:
    """Session id of a process, ``None`` when it is dead or a zombie."""
    try:
        # The name, in parentheses, may itself hold spaces and parentheses: count from the last one.
        state, _, _, session = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else int(session)


def _has_token(entry: Path, mark: bytes) -> bool:
    try:
        return mark in (entry / "environ").read_bytes().split(b"\0")
    except OSError:  # gone, or another user's
        return False


def members(sessions: Collection[int], token: str) -> Iterator[int]:
    """Process ids alive now that are in one of ``sessions`` or carry ``token``; never our own."""
    mark = f"{TOKEN_VARIABLE}={token}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        session = _session(entry)
        if session is not None and (session in sessions or (token and _has_token(entry, mark))):
            yield int(entry.name)


def kill_members(sessions: Collection[int], token: str) -> int:
    """SIGKILL all `members`; gives how many there were."""
    count = 0
    for pid in members(sessions, token):
        count += 1
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:  # gone meanwhile
            continue
    return count


def _sessions_left() -> set[int]:
    """Read the pipe until the supervisor closes it; the sessions it had not removed by then."""
    sessions: set[int] = set()
    for line in sys.stdin:
        if line.startswith("+"):
            sessions.add(int(line[1:]))
        else:
            sessions.discard(int(line[1:]))
    return sessions


def main(token: str) -> None:
    """Wait for the end of the supervisor that marks its processes with ``token``, then for theirs, then kill the rest."""
    # A shell or a container runtime that signals everything must not end us before the supervisor.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions = _sessions_left()
    deadline = time.monotonic() + GRACE_S
    while any(True for _ in members(sessions, token)) and time.monotonic() < deadline:
        select.select([], [], [], _POLL_S)
    while kill_members(sessions, token) and time.monotonic() < deadline + GRACE_S:
        select.select([], [], [], _POLL_S)


if __name__ == "__main__":
    main(sys.argv[1])
