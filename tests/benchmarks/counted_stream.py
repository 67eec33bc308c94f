"""The streaming process, as ``wpb stream`` runs it, that writes down what it holds whenever it gets SIGUSR1.

``python -m tests.benchmarks.counted_stream FILE``; the settings come from the environment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from tests.helpers.census import census
from wpb_stream.app import stream
from wpb_stream.settings import load


async def counted(answer: Path) -> None:
    """Stream, and answer SIGUSR1 in that file."""

    def write() -> None:
        aside = answer.with_suffix(".new")
        aside.write_text(json.dumps(census()))
        aside.replace(answer)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, write)
    await stream(load())


if __name__ == "__main__":  # reader processes load this module too
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.run(counted(Path(sys.argv[1])))
