"""A simulated beamline: scans a sample again and again with a real RunEngine and publishes the documents.

Run it as ``python -m wpb_stream.sim.beamline``. It reports on standard output, one JSON object a line, to whoever supervises it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sim.instrument import Beamline
from wpb_stream.sim.publisher import RunPublisher

__all__ = ["Beamline", "Progress", "RunPublisher", "main"]

DEFAULT_TOPIC = "wpb-demo.bluesky.runengine.documents"
PROGRESS_INTERVAL_S = 0.5


class ShapeType(click.ParamType):
    """Two positive numbers, such as ``24x32``: rows, columns."""

    name = "ROWSxCOLUMNS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The shape as a tuple."""
        if isinstance(value, tuple):
            return value  # pyright: ignore[reportUnknownVariableType]
        try:
            rows, columns = (int(side) for side in str(value).lower().split("x"))
        except ValueError:
            self.fail(f"{value!r} is not of the form 24x24", param, ctx)
        if rows < 1 or columns < 1:
            self.fail(f"{value!r} has a side without length", param, ctx)
        return rows, columns


class Progress:
    """A callback for the RunEngine that tells the run's progress as events, at most two a second.

    :param emit: takes one event, a JSON-like mapping
    """

    def __init__(self, emit: Callable[[dict[str, Any]], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._emit = emit
        self._clock = clock
        self._uid = ""
        self._points = self._expected = 0
        self._last = 0.0

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take notice of one document."""
        if name == "start":
            self._uid, self._points, self._expected, self._last = doc["uid"], 0, doc["num_points"], self._clock()
            self._emit({"event": "run_started", "uid": self._uid, "scan_id": doc["scan_id"], "shape": list(doc["shape"])})
        elif name == "event":
            self._points = doc["seq_num"]
            if self._clock() - self._last >= PROGRESS_INTERVAL_S:
                self._last = self._clock()
                self._emit({"event": "progress", "uid": self._uid, "points": self._points, "of": self._expected})
        elif name == "stop":
            self._emit({"event": "run_stopped", "uid": self._uid, "exit_status": doc["exit_status"], "points": self._points})


@click.command()
@click.option("--kafka", metavar="HOST:PORT", help="Broker to publish to; without it nothing is published.")
@click.option("--topic", default=DEFAULT_TOPIC, show_default=True)
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the frames.")
@click.option("--shape", type=ShapeType(), default="24x24", show_default=True, help="Points of a scan, slow axis first.")
@click.option("--frame", type=ShapeType(), default="256x320", show_default=True, help="Pixels of a frame, rows first.")
@click.option("--rate", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Points a second; 0 for as fast as it goes.")
@click.option("--scans", type=click.IntRange(min=1), help="Scans to take; without it, until stopped.")
@click.option("--pause", type=click.FloatRange(min=0), default=3.0, show_default=True, help="Seconds between two scans.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the noise.")
@click.option("--keep", type=click.IntRange(min=1), default=20, show_default=True, help="Scans whose frames are kept.")
def main(
    kafka: str | None,
    topic: str,
    data: Path,
    shape: tuple[int, int],
    frame: tuple[int, int],
    rate: float,
    scans: int | None,
    pause: float,
    seed: int,
    keep: int,
) -> None:
    """Scan a simulated sample again and again, and publish the documents as bluesky-kafka does.

    Example: python -m wpb_stream.sim.beamline --kafka localhost:9092 --data frames --shape 24x24 --scans 1
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Four lines a scan of a healthy engine's states.
    logging.getLogger("bluesky").setLevel(logging.WARNING)
    # Bluesky prints when it aborts; standard output carries nothing but our events.
    events = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        beamline = Beamline(data, shape, frame, rate or None, seed, keep)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: _stop_soon(beamline))
        if kafka:
            publisher = RunPublisher(kafka, topic)
            try:
                publisher.check()
            except ServiceError as error:
                raise click.ClickException(str(error)) from error
            beamline.subscribe(publisher)
        # After the publisher: "run_started" means that the start document is on its way.
        beamline.subscribe(Progress(lambda event: _tell(event, events, beamline)))
        done = 0
        while not beamline.stopping.is_set():
            beamline.scan()
            done += 1
            if done == scans:
                break
            beamline.stopping.wait(pause)


def _tell(event: dict[str, Any], events: TextIO, beamline: Beamline) -> None:
    try:
        click.echo(json.dumps(event), file=events)
    except BrokenPipeError:
        # Nobody supervises us any more: a beamline without a demo around it should not go on for ever.
        _stop_soon(beamline)


def _stop_soon(beamline: Beamline) -> None:
    # A thread of its own: stopping takes locks that the interrupted one may hold.
    threading.Thread(target=beamline.stop, name="stop").start()


if __name__ == "__main__":
    main()
