"""Become a service: the few steps between ``fork`` and ``exec`` that a child has to take itself.

Run as a script by its path (``python -I -S launcher.py ...``), so it imports the standard library only. It is a program and no
``preexec_fn``, because Python code between fork and exec can deadlock in a process with threads. It replaces itself by the service
(``exec``), so the process id the supervisor knows is the service's own.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

EXIT_CANNOT_LAUNCH = 126
"""Exit code when the service could not be started; the reason is in its log. As a shell does."""

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1


class RunAs(NamedTuple):
    """The unprivileged account a service runs as."""

    uid: int
    gid: int
    passes_closed_folders: bool
    """Keep the one capability that lets it enter folders closed to others (a clone below /root, mode 0700)."""


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityWord(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def launch_argv(argv: Sequence[str], *, death_signal: int, run_as: RunAs | None = None) -> list[str]:
    """The command that becomes ``argv`` as a child of this process, and gets ``death_signal`` when the calling thread dies."""
    who = "-" if run_as is None else f"{run_as.uid}:{run_as.gid}:{int(run_as.passes_closed_folders)}"
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(os.getpid()), str(death_signal), who, "--", *argv]


def _prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *words) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl {option}: {os.strerror(error)}")


def _keep_only(capability: int) -> None:
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    words = (_CapabilityWord * 2)(_CapabilityWord(bit, bit, bit), _CapabilityWord(0, 0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(ctypes.byref(header), words) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"capset: {os.strerror(error)}")


def _become(run_as: RunAs) -> None:
    if run_as.passes_closed_folders:
        # Without this bit the kernel drops the capabilities at setuid, and, less known, ignores them in access(2) for everybody but root:
        # initdb asks access(2) whether it may run its own `postgres`, and would be told no.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(run_as.gid, run_as.gid, run_as.gid)
    os.setresuid(run_as.uid, run_as.uid, run_as.uid)
    if run_as.passes_closed_folders:
        _keep_only(_CAP_DAC_OVERRIDE)
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE)


def main(arguments: list[str]) -> NoReturn:
    """Become the service that `launch_argv` put into ``arguments``; when that fails say why on standard error and exit."""
    parent, death_signal, who, _, *argv = arguments
    # An ignored signal stays ignored across exec: a supervisor started by `&` in a script has SIGINT ignored, and its services would.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        if who != "-":
            uid, gid, closed = who.split(":")
            _become(RunAs(int(uid), int(gid), closed == "1"))
        # After the change of account, because that change clears the death signal.
        _prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != int(parent):  # died before we asked to be told
            os._exit(EXIT_CANNOT_LAUNCH)
        os.execvp(argv[0], argv)  # noqa: S606  what this is for
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error}\n")
        sys.stderr.flush()
        os._exit(EXIT_CANNOT_LAUNCH)


if __name__ == "__main__":
    main(sys.argv[1:])
