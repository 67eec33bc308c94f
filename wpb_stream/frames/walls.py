"""What a reader process may not do any more, whatever a hostile file makes HDF5 do.

Second to the checks in :mod:`~wpb_stream.frames.roots` and :mod:`~wpb_stream.frames.hdf5`: no secrets in reach, no writing, no files
outside the roots, no network, no more memory than frames take. Each wall is built where the kernel has it, and left out without a word
where not: the checks stand without them.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

MEMORY_LIMIT_BYTES = 8 * 2**30
"""What a reader process may hold at most: the largest frame that is read, as floating point. Or half of the machine's, if that is less: a
few megabytes of compressed data can be inflated to all that there is, and then the kernel chooses who has to go."""

_KEPT = frozenset({"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
"""Environment variables that stay, beside ``LC_*``: what is not known to be harmless may carry a secret."""

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_READ = 0b1100  # LANDLOCK_ACCESS_FS_READ_FILE | READ_DIR
_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}  # bits of file system rights the kernel knows; 16 from version 5 on
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")
_NEEDED = (*_LIBRARIES, "/dev/null", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")
_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


def wall_in(roots: Iterable[str | os.PathLike[str]]) -> bool:
    """Give up, for good, what reading frames beneath ``roots`` does not need. Call after the imports, in the process that reads.

    :returns: whether the file system wall (Landlock) stands
    """
    for name in list(os.environ):
        if name not in _KEPT and not name.startswith("LC_"):
            del os.environ[name]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold frames, and fill a disk
    memory = min(MEMORY_LIMIT_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    memory = memory if most == resource.RLIM_INFINITY else min(memory, most)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))  # not RLIMIT_AS: libraries reserve addresses that they never use
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a hung reader must not outlive a killed service
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    # Where modules come from: a facility's own reducers are imported when a window first asks for them.
    imports = [path for path in sys.path if path and Path(path) != Path.cwd()]
    return _landlock([*roots, *imports, sys.prefix, sys.base_prefix, Path(__file__).parents[1], *_NEEDED])


def landlock_version() -> int:
    """Version of the kernel's Landlock interface; below 1 where it has none."""
    return int(_libc.syscall(_CREATE_RULESET, None, 0, 1))


def _landlock(readable: Iterable[str | os.PathLike[str]]) -> bool:
    version = landlock_version()
    if version < 1:
        return False
    rules = _Ruleset(
        files=(1 << _RIGHTS_BY_VERSION.get(version, 16)) - 1,
        network=0b11 if version >= 4 else 0,  # no TCP: neither bind nor connect
        scoped=0b11 if version >= 6 else 0,  # no signals and no abstract sockets to other processes
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = int(_libc.syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0))
    if ruleset < 0:
        return False
    try:
        for path in readable:
            with suppress(OSError):  # what does not exist needs no rule
                _allow(ruleset, path)
        return not _libc.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str | os.PathLike[str]) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = _READ if os.path.isdir(path) else 0b0100
        rule = _Beneath(rights, descriptor)
        _libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
