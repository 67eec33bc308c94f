"""What we take of the machine we run on: a free port, and a data folder nobody else is using."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Collection, Iterator
from pathlib import Path

from wpb_stream.core.exceptions import ServiceError

_LAST_PORT = 65535


def _is_free(host: str, port: int) -> bool:
    """Whether ``port`` can be listened on at every address ``host`` stands for (``localhost`` is often two)."""
    for family, kind, protocol, _, address in socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        try:
            probe = socket.socket(family, kind, protocol)
        except OSError:  # the name has an IPv6 address, the kernel no IPv6
            continue
        with probe:
            # As the servers do it: a connection that lingers in TIME_WAIT does not make a port taken, a listener does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind(address)
                probe.listen(1)
            except PermissionError as error:
                raise ServiceError(f"may not listen on {host}:{port}: {error.strerror}; choose a port above 1023") from error
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return False
                if error.errno == errno.EADDRNOTAVAIL and family == socket.AF_INET6:
                    continue  # ::1 in /etc/hosts, IPv6 switched off
                raise ServiceError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return True


def free_port(host: str, wanted: int, *, besides: Collection[int] = ()) -> int:
    """The TCP port ``wanted`` if nobody listens on it, else the next free one above.

    ``besides`` are ports already given away but not yet listened on. ``wanted`` 0 means any. Another process may still take the port
    before the caller does; the supervisor's restarts cover that.

    Raises `ServiceError` when no port up to 65535 is free or ``host`` is no address of this machine.
    """
    try:
        if wanted == 0:
            with socket.create_server((host, 0)) as server:
                return server.getsockname()[1]
        for port in range(wanted, _LAST_PORT + 1):
            if port not in besides and _is_free(host, port):
                return port
    except (socket.gaierror, OverflowError, OSError) as error:
        raise ServiceError(f"cannot listen on {host!r}, port {wanted}: {error}") from error
    raise ServiceError(f"no free port on {host} from {wanted} to {_LAST_PORT}")


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the data folder ``folder``, made if missing, for this process alone.

    The kernel gives the lock back when the process ends, also by ``kill -9``; the file stays. Raises `ServiceError` with the process id of
    the holder when there is one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ServiceError(f"the data folder {folder} cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise ServiceError(
                f"the data folder {folder} is in use by process {holder}; stop that one first, or give another folder with --data"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
