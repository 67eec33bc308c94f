"""What this machine and this installation can do."""

from __future__ import annotations

import http.client
import ssl
import sys

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.doctor.findings import Finding, ok, warning, wrong

ANSWER_S = 3.0
"""How long a web server may take to say what it is."""
FILTERS = {"bitshuffle": 32008, "Blosc": 32001, "Blosc2": 32026, "LZ4": 32004, "Zstandard": 32015}
"""Numbers under which The HDF Group registered the compression of detectors."""


def look_at_walls() -> Finding:
    """What the kernel has to keep hostile files and names in bounds."""
    from wpb_stream.frames.roots import resolves_beneath
    from wpb_stream.frames.walls import landlock_version

    version, beneath = landlock_version(), resolves_beneath()
    missing = [name for name, there in (("Landlock", version >= 1), ("openat2", beneath)) if not there]
    if not missing:
        return ok(f"Landlock (version {version}) and openat2")
    return warning(
        f"the kernel has no {' and no '.join(missing)}: wpb's own checks stand alone against hostile files",
        "use Linux 5.13 or newer with Landlock switched on; in a container, let its seccomp profile allow both",
    )


def look_at_filters() -> Finding:
    """Whether compressed HDF5 files can be read."""
    try:
        import h5py
        import hdf5plugin  # noqa: F401  its import registers them
    except ImportError as error:
        return wrong(f"{error}", "install wpb anew: pip install --force-reinstall hdf5plugin h5py")
    missing = [name for name, number in FILTERS.items() if not h5py.h5z.filter_avail(number)]
    if missing:
        return wrong(f"no {', '.join(missing)}: files compressed so cannot be read", "install hdf5plugin and h5py anew, from wheels")
    return ok(f"{', '.join(FILTERS)}, HDF5 {h5py.version.hdf5_version}")


def look_at_port(host: str, port: int, path: str, ours: str, setting: str, tls: bool = False) -> Finding:
    """Whether a port is free, or is served by what would listen there.

    :param path: where `ours` is in the answer, if it is wpb's own
    :param setting: names the port
    :param tls: whether it would be served with TLS
    """
    from wpb_stream.host import free_port

    try:
        free = free_port(host, port)
    except ServiceError as error:
        return wrong(str(error), f"correct {setting}")
    if not port or free == port:
        return ok("free")
    if ours in _answer(host, port, path, tls):
        return ok("wpb is running there")
    return warning(f"another program listens there; wpb up would take {free}, wpb stream would fail", f"choose a free one by {setting}")


def _answer(host: str, port: int, path: str, tls: bool) -> str:
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  asked, not bound
    if tls:
        unverified = ssl.create_default_context()  # asked by its address: the certificate is for its name
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(here, port, timeout=ANSWER_S, context=unverified)
    else:
        connection = http.client.HTTPConnection(here, port, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().read(2**16).decode(errors="replace")
    except (http.client.HTTPException, OSError):
        return ""
    finally:
        connection.close()


def look_at_wheels(folder: str, database: bool, broker: bool) -> Finding:
    """Whether what the settings leave open can be started from wheels.

    :param folder: of the data
    :raises ServiceError: it cannot, and what to do
    """
    from pathlib import Path

    from wpb_stream.embedded.broker import EmbeddedBroker
    from wpb_stream.embedded.postgres import EmbeddedPostgres

    if database:
        EmbeddedPostgres(Path(folder))
    if broker:
        EmbeddedBroker(Path(folder), 0)
    parts = [name for name, wanted in (("PostgreSQL", database), ("a broker", broker)) if wanted]
    return ok(f"`wpb up` starts {' and '.join(parts)} of its own")


def look_at_versions() -> Finding:
    """Which wpb this is."""
    from importlib.metadata import version

    return ok(f"{version('websockets-plotting-blue')}, Python {sys.version.partition(' ')[0]}")
