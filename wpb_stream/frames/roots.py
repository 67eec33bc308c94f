"""Where frames may be read from: URIs of documents to files beneath the allowed roots.

Documents are untrusted. The path in a URI is never opened by name: the kernel resolves it beneath a root (``openat2``), and
what is read afterwards is the descriptor that came out, so nothing can be swapped in between the check and the use.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from wpb_stream.core.exceptions import FrameNotYet, FrameRefused

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # without O_NONBLOCK, opening a FIFO waits for its writer for ever
_SYS_OPENAT2 = 437  # the same number on every architecture
_RESOLVE_NO_MAGICLINKS, _RESOLVE_BENEATH = 0x02, 0x08
_REFUSED = frozenset({errno.EXDEV, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENAMETOOLONG})
_ON_WINDOWS = re.compile(r"/*[A-Za-z]:[\\/]")
"""A path with a drive: ``file:///C:/data``, or as some writers have it ``file://C:\\data``. ``path_map`` says what ``/C:/data`` is here."""
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@dataclass(frozen=True, slots=True)
class DataRoots:
    """The folders frames may be read from, and how the detectors' names for them differ from ours."""

    roots: tuple[Path, ...]
    """Allowed folders (``WPB_DATA_ROOTS``); each may be a symbolic link."""
    path_map: tuple[tuple[str, str], ...] = ()
    """Pairs ``(from, to)`` (``WPB_PATH_MAP``), on whole components, the longest match wins. A ``from`` that begins with ``/`` is a path
    of a URI without host or with host ``localhost``; one that does not is ``host/path`` and lets that host's files in."""

    def path(self, uri: str) -> Path:
        """The local path a URI stands for; says nothing of whether it exists or may be read.

        Percent-decoded once. ``?`` and ``#`` belong to the name: writers seldom encode them and a file has no query.

        :raises FrameRefused: no file URI, a host no mapping names, NUL or ``..`` in the path, or no absolute path
        """
        scheme, separator, rest = uri.partition(":")
        if not separator or scheme.lower() != "file":
            raise FrameRefused(f"{uri!r} is not a file URI, and no other kind is read")
        host, path = "", rest
        if rest.startswith("//") and not _ON_WINDOWS.match(rest[2:]):
            host, slash, path = rest[2:].partition("/")
            path = slash + path
        path = os.fsdecode(unquote_to_bytes(path))
        if _ON_WINDOWS.match(path):
            path = "/" + path.lstrip("/").replace("\\", "/")
        parts = PurePosixPath(path).parts
        if "\0" in path or ".." in parts or not path.startswith("/"):
            raise FrameRefused(f"{uri!r} must be an absolute path without NUL and without '..'")
        # PurePosixPath keeps a leading double slash apart; to the kernel it is the root as well.
        key = ("/", *parts[1:]) if host.lower() in ("", "localhost") else (host, *parts[1:])
        mapped = self._mapped(key)
        if mapped is None and key[0] != "/":
            raise FrameRefused(f"{uri!r} is on the host {host!r}: set WPB_PATH_MAP={host}/FROM=TO to say where its files are mounted here")
        return mapped or Path(*key)

    def _mapped(self, key: tuple[str, ...]) -> Path | None:
        matches = [
            (source, target)
            for source, target in ((PurePosixPath(source).parts, target) for source, target in self.path_map)
            if source and key[: len(source)] == source
        ]
        if not matches:
            return None
        source, target = max(matches, key=lambda match: len(match[0]))
        return Path(target, *key[len(source) :])

    def open(self, uri: str) -> int:
        """Open the file of a URI read-only; the caller closes the descriptor.

        Symbolic links are followed as long as they end beneath a root. A file we lack the permission for is refused rather than awaited:
        this process's identity does not change, so a person has to act, and should be told at once.

        :returns: a file descriptor of a regular file
        :raises FrameRefused: outside the roots, not a regular file, or not permitted
        :raises FrameNotYet: the file does not exist (yet), or its file system does not answer properly
        """
        return self.open_path(self.path(uri))

    def open_path(self, path: Path) -> int:
        """Open a local path, as :meth:`open` does that of a URI; no mapping applies.

        :raises FrameRefused: as :meth:`open`
        :raises FrameNotYet: as :meth:`open`
        """
        try:
            descriptor = self._open_beneath(path)
        except OSError as error:
            if error.errno in _REFUSED:
                raise self._refusal(path, os.strerror(error.errno or 0)) from error
            raise FrameNotYet(f"{path} cannot be opened yet: {os.strerror(error.errno or 0)}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._refusal(path, "it is not a regular file")
        return descriptor

    def _refusal(self, path: Path, why: str) -> FrameRefused:
        roots = ", ".join(map(str, self.roots)) or "none"
        return FrameRefused(f"{path} may not be read ({why}); allowed roots: {roots}; see WPB_DATA_ROOTS and WPB_PATH_MAP")

    def _open_beneath(self, path: Path) -> int:
        try:
            return _open_named(path, self.roots)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        # The URI may name a root by its real path, or pass through an absolute link, which the kernel refuses on principle:
        # resolve by name, and let the kernel check what came out.
        return _open_named(Path(os.path.realpath(path)), tuple(Path(os.path.realpath(root)) for root in self.roots))


def open_beneath(roots: DataRoots, path: Path) -> BinaryIO:
    """Open a local path as :meth:`DataRoots.open_path` does, as a file object that bears its name.

    :raises FrameError: as :meth:`DataRoots.open_path`
    """
    return open(path, "rb", opener=lambda *_: roots.open_path(path))


def _open_named(path: Path, roots: tuple[Path, ...]) -> int:
    """Open ``path`` beneath the innermost of ``roots`` that it lies in by name; EXDEV if it lies in none."""
    for root in sorted(roots, key=lambda root: len(root.parts), reverse=True):
        if path.is_relative_to(root):
            directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return _openat2(directory, os.fsencode(path.relative_to(root)))
            except NotImplementedError:
                return open_compared(path, roots)
            finally:
                os.close(directory)
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def resolves_beneath() -> bool:
    """Whether the kernel itself keeps a name beneath a root (``openat2``); where it does not, :func:`open_compared` stands in."""
    directory = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(_openat2(directory, b"."))
    except NotImplementedError:
        return False
    finally:
        os.close(directory)
    return True


def _openat2(directory: int, relative: bytes) -> int:
    how = _OpenHow(_FLAGS, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    for _ in range(10):  # EAGAIN: something was renamed during the walk
        descriptor: int = _libc.syscall(_SYS_OPENAT2, directory, relative, ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return descriptor
        if ctypes.get_errno() != errno.EAGAIN:
            break
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EPERM):  # before Linux 5.6, or hidden by a container's seccomp filter
        raise NotImplementedError
    raise OSError(code, os.strerror(code))


def open_compared(path: Path, roots: tuple[Path, ...]) -> int:
    """Open ``path`` on kernels without ``openat2``: by its real name, then compare what was opened with what that name now is.

    :raises OSError: EXDEV if it does not end beneath one of ``roots``
    """
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(os.path.realpath(root)) for root in roots):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    descriptor = os.open(real, _FLAGS | os.O_NOFOLLOW)
    if Path(os.path.realpath(real)) != real or not os.path.samestat(os.fstat(descriptor), os.lstat(real)):
        os.close(descriptor)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    return descriptor
