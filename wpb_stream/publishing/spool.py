"""Documents that the broker did not get: a file of JSON Lines, which ``wpb replay`` and a ``file://`` source read."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from wpb_stream.core.exceptions import DocumentError
from wpb_stream.publishing.outbox import Entry

log = logging.getLogger(__name__)


def default_folder() -> Path:
    """``wpb/spool`` among the files a program keeps for its user (XDG base directory specification)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / "wpb" / "spool"


class Spool:
    """A file that is made when the first document comes. Each process has its own.

    :param folder: where; made if missing, `default_folder` if None. If it cannot be written, the folder of temporary files is used
    :param url: what the documents were for, as the log names it
    """

    def __init__(self, folder: Path | None, url: str) -> None:
        self._folder, self._url = folder, url
        self.path: Path | None = None
        """The file, once something is in it."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Add documents to the file, all or none.

        :raises OSError: nothing can be written anywhere
        """
        if self.path is None:
            self.path = self._new_file()
            log.warning(
                "documents that Kafka did not get are kept in %s; publish them later with: wpb replay %s --to %s --speed 0",
                *(self.path, self.path, self._url),
            )
        lines = b"".join(_line(entry, self.path) for entry in entries)
        with self.path.open("ab", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            try:
                while lines:
                    lines = lines[file.write(lines) :]
            except OSError:
                file.truncate(size)  # half a line would spoil the next one
                raise

    def _new_file(self) -> Path:
        topic = self._url.rpartition("/")[2]  # whose names hold nothing that a file's may not
        name = f"{topic}-{datetime.now().astimezone():%Y%m%dT%H%M%S}-{os.getpid()}"
        try:
            return _made(self._folder or default_folder(), name)
        except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home
            last = Path(tempfile.gettempdir()) / "wpb-spool"
            log.error("documents cannot be kept in %s (%s); trying %s", self._folder or "the user's folder", error, last)
            return _made(last, name)


def _made(folder: Path, name: str) -> Path:
    """A new file in a folder, which is made too."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        path = folder / f"{name}-{number}.jsonl"
        try:
            path.open("xb").close()
        except FileExistsError:
            number += 1
        else:
            return path


def _line(entry: Entry, path: Path) -> bytes:
    """A document as a line of the file; as a file of its own beside it, if no reader of the lines would take it."""
    from wpb_stream.core.documents import decode  # heavy to import, and not needed while all is well

    try:
        name, doc = _pair(decode(entry.value))
    except DocumentError as error:
        beside = path.with_name(f"{path.stem}-{entry.number}.msgpack")
        beside.write_bytes(entry.value)
        log.error("a %s document of run %s is kept in %s, as msgpack: %s", entry.name, entry.run, beside, error)
        return b""
    return json.dumps({"name": name, "doc": doc}, separators=(",", ":")).encode() + b"\n"


def _pair(value: object) -> tuple[object, object]:
    assert isinstance(value, list)
    name, doc = value
    return name, doc
