"""The process that `nursery.py` has streaming processes forked from: it does what it is told on its standard input.

Little is imported above, as frame readers import the main module of the process that they belong to, which is this one.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any


def _child(order: dict[str, Any]) -> int:
    """What a fork does: `wpb stream`, as if it had just been started."""
    from wpb_stream.cli import main

    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order["environment"])
    try:
        main(["stream"])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def _await(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    os.write(1, f"ended {pid} {os.waitstatus_to_exitcode(status)}\n".encode())


def nurse() -> None:
    """Fork a streaming process for each line that comes in; say its number, and how it ended."""
    import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

    import wpb_stream.app  # noqa: F401 - all of these so that children need not

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = _child(json.loads(line))
            finally:
                os._exit(code)
        os.write(1, f"started {pid}\n".encode())
        threading.Thread(target=_await, args=[pid]).start()


if __name__ == "__main__":
    nurse()
