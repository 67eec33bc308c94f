"""Whether the folders are there that the settings name. Imports little: each is looked at by a process of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from itertools import islice

from wpb_stream.doctor.findings import Finding, ok, warning, wrong

COUNTED = 1000
"""Entries of a folder that are counted; listing a full one on a file server takes minutes."""
ROOM_BYTES = 2**30
"""Free space under which results are about to have no room."""
NO_ROOM_BYTES = 100 * 2**20
"""And under which they have none."""


def look_at_root(path: str) -> Finding:
    """Whether frames can be read from below a folder."""
    if (fault := _unreadable(path)) is not None:
        return fault
    entries = _entries(path)
    if not entries:
        return warning("the folder is empty", "mount the disk there, if detector files should be in it")
    return ok(f"readable, {entries if entries < COUNTED else f'{COUNTED} or more'} entries")


def look_at_mapping(source: str, target: str, roots: list[str]) -> Finding:
    """Whether files that documents name below ``source`` are found below ``target``, and may be read there.

    :param roots: the folders that files may be read from
    """
    if not source or not target.startswith("/"):
        return wrong("FROM must not be empty, and TO must be an absolute path", "write it as /there=/here in WPB_PATH_MAP")
    if (fault := _unreadable(target)) is not None:
        return fault
    real = os.path.realpath(target)
    for root in roots:
        for folder in (os.path.realpath(root), os.path.abspath(root)):
            if os.path.commonpath([real, folder]) == folder or os.path.commonpath([os.path.abspath(target), folder]) == folder:
                return ok(f"{target} is there, below the data root {root}")
    if any(os.path.commonpath([real, os.path.realpath(root)]) == real for root in roots):
        return ok(f"{target} is there, above a data root: what is below that is read, the rest is refused")
    return wrong(f"{target} is below no data root: frames there are refused", f"add it to WPB_DATA_ROOTS: {':'.join([*roots, target])}")


def look_at_results(path: str) -> Finding:
    """Whether results can be written to a folder, which need not be there yet, and fit in it."""
    folder = path = os.path.abspath(path)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return wrong(
            f"{path} cannot be written ({error.strerror})", "name a folder of this account by WPB_DATA, or give it the right to write"
        )
    free = shutil.disk_usage(folder).free
    found = f"{path} can be written, {free / 2**30:.1f} GiB free" + ("" if folder == path else " (it will be made)")
    if free < NO_ROOM_BYTES:
        return wrong(found, "make room: results and the catalogue will fail to be written")
    return warning(found, "make room soon") if free < ROOM_BYTES else ok(found)


def _unreadable(path: str) -> Finding | None:
    if not os.path.exists(path):
        return wrong("there is no such folder", "mount the disk, or correct the setting")
    if not os.path.isdir(path):
        return wrong("it is no folder", "name the folder that the files are in")
    if not os.access(path, os.R_OK | os.X_OK):
        return wrong(f"user {os.geteuid()} may not read it", "give the account that runs wpb the right to read and enter it")
    return None


def _entries(path: str) -> int:
    with os.scandir(path) as entries:
        return sum(1 for _ in islice(entries, COUNTED))
