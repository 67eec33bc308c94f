"""Bluesky's own ZMQ proxy in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys

from wpb_stream.host import free_port

PROGRAM = """
import sys
from pathlib import Path
from bluesky.callbacks.zmq import Proxy, ServerCurve
Proxy(("127.0.0.1", int(sys.argv[1])), ("127.0.0.1", int(sys.argv[2])), out_curve=eval(sys.argv[3])).start()
"""


class Proxy:
    """A proxy that can be killed and started again on its ports; it runs. Stop it.

    :param out_curve: Python for the security of the port to listen to
    """

    def __init__(self, out_curve: str = "None") -> None:
        self.ports = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
        """The one to publish to, and the one to listen to."""
        self._out_curve = out_curve
        self.start()

    def start(self) -> None:
        """Start it; it listens a little later."""
        self._process = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, self.ports), self._out_curve])

    def stop(self) -> None:
        """End it as a power failure would."""
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """Have it do nothing more, its connections open."""
        self._process.send_signal(signal.SIGSTOP)
