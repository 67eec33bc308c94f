"""The command line: ``wpb demo``, ``up``, ``stream``, ``watch``, ``replay``, ``runs``, ``explain``, ``doctor``, ``token``, ..."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Coroutine
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
from rich.table import Column, Table

from wpb_stream.commands.dead_letters import dead_letters
from wpb_stream.commands.doctor import doctor
from wpb_stream.commands.explain import explain
from wpb_stream.commands.flags import settings_flags
from wpb_stream.commands.prune import prune
from wpb_stream.commands.terminal import console, output
from wpb_stream.commands.token import token
from wpb_stream.commands.watch import watch
from wpb_stream.core.exceptions import WpbError
from wpb_stream.settings import Settings, load

SERVING = (
    *("database_url", "data", "data_roots", "path_map", "listen", "insecure", "tls_certificate", "tls_key", "origins", "hosts"),
    *("embed_origins", "viewer_url", "dagster_url", "blueapi_url", "compression", "max_wrong_tokens_per_minute"),
    *("max_message_bytes", "max_subscriptions", "max_requests_per_s", "max_connections", "max_connections_per_address"),
    *("reader_processes", "read_deadline_s", "database_answer_s", "log_level"),
)
"""Settings of whoever serves clients, and listens to no bus."""


class Group(click.Group):
    """A group of commands in which our own errors are sentences, not tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        # Not except*: what is raised within it comes out wrapped or bare, depending on the patch release of Python 3.11.
        try:
            return super().invoke(ctx)
        except (WpbError, BaseExceptionGroup) as error:
            ours = _ours(error)
            if ours is None:
                raise
            told = click.ClickException(str(ours))
            told.exit_code = ours.exit_code  # pyright: ignore[reportAttributeAccessIssue]
            raise told from None


def _ours(error: BaseException) -> WpbError | None:
    """The first error of ours in a group, however deep."""
    if isinstance(error, BaseExceptionGroup):
        inner: list[BaseException] = [*error.exceptions]
        return next((found for found in map(_ours, inner) if found is not None), None)
    return error if isinstance(error, WpbError) else None


class Sides(click.ParamType):
    """Two numbers such as ``24x24``."""

    name = "NxM"

    def __init__(self, largest: int) -> None:
        self.largest = largest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, if it is right."""
        sides = str(value).split("x")
        if len(sides) != 2 or not all(side.isascii() and side.isdigit() and 0 < int(side) <= self.largest for side in sides):
            self.fail(f"{value!r} is not of the form 24x24, with numbers from 1 to {self.largest}", param, ctx)
        return str(value)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="websockets-plotting-blue")
def main() -> None:
    """Live maps of Bluesky scans over websockets, and every scan an asset in Dagster."""


@main.command()
@settings_flags()
def stream(**flags: Any) -> None:
    """Run the streaming process alone.

    \b
    Example: wpb stream --sources kafka://localhost:9092/b01-1.bluesky.runengine.documents \\
                        --database-url postgresql://wpb@localhost/wpb --data-roots /dls/b01-1/data
    """
    from wpb_stream.app import stream as run

    _run_service(run, load(**flags))


def _run_service(run: Callable[[Settings], Coroutine[Any, Any, None]], settings: Settings) -> None:
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # It logs every fetch it retries as an error of its own; what matters is said by us.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    asyncio.run(run(settings))


@main.command()
@settings_flags(*SERVING, "gateway_topic", "kafka_fetch_wait_ms")
def gateway(**flags: Any) -> None:
    """Serve what a streaming process shows, and finished runs, to more clients than it can: any number of these beside it.

    \b
    Example: wpb gateway --gateway-topic kafka://localhost:9092/b01-1.wpb.board --listen 127.0.0.1:8001 \\
                         --database-url postgresql://wpb@localhost/wpb --data /srv/wpb --data-roots /dls/b01-1/data
    """
    from wpb_stream.gateway import gateway as run

    _run_service(run, load(**flags))


@main.command()
@settings_flags()
def up(**flags: Any) -> None:
    """Run everything a beamline needs: streaming process, viewer, Dagster; PostgreSQL and a broker too unless settings name them.

    \b
    Example: WPB_SOURCES=kafka://kafka.example.org:9092/b01-1.bluesky.runengine.documents \\
             WPB_DATA_ROOTS=/dls/b01-1/data wpb up
    """
    from wpb_stream.demo import keep_up

    sys.exit(asyncio.run(keep_up(load(**flags), console)))


@main.command()
@click.option("--once", is_flag=True, help="One scan; wait for Dagster; print one JSON object on the last line; exit.")
@click.option("--shape", type=Sides(1000), default="24x24", show_default=True, help="Points of a scan, slow axis first.")
@click.option("--frame", type=Sides(4096), default="256x320", show_default=True, help="Pixels of a frame, rows first.")
@click.option("--rate", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Points a second; 0 for as fast as it goes.")
@settings_flags("listen", "insecure", "dagster_port", "data")
def demo(once: bool, shape: str, frame: str, rate: float, **flags: Any) -> None:
    """Watch a simulated beamline scan, with nothing configured: the whole of wpb on this machine, until Ctrl-C.

    \b
    Example: wpb demo --shape 40x60 --rate 100
             wpb demo --once --shape 7x9
    """
    from wpb_stream.demo import run_demo
    from wpb_stream.up import Beamline

    # Whatever a beamline's settings name: simulated scans do not go to its bus, nor into its database.
    settings = load(**flags).model_copy(update={"sources": (), "data_roots": (), "path_map": (), "database_url": None})
    sys.exit(asyncio.run(run_demo(settings, Beamline(shape, frame, rate, scans=1 if once else None), console, once=once)))


@main.command()
@click.argument("recording", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--to", "url", required=True, metavar="kafka://HOST:PORT/TOPIC", help="Where to publish.")
@click.option("--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, help="10: ten times as fast; 0: no waiting.")
@click.option("--new-uids", is_flag=True, help="Give the runs new uids, so that they count as new runs.")
def replay(recording: Path, url: str, speed: float, new_uids: bool) -> None:
    """Publish a recorded run (JSON or JSON Lines) as bluesky-kafka would.

    Example: wpb replay run.jsonl --to kafka://localhost:9092/test.bluesky.runengine.documents --speed 10
    """
    from rich.progress import track

    from wpb_stream.replay import publish, read_timed, with_new_uids
    from wpb_stream.sources.kafka_settings import KafkaAddress

    KafkaAddress.parse(url)  # a mistake is told before the recording is read
    messages = list(read_timed(recording))
    if new_uids:
        messages = list(with_new_uids(messages))
    count = asyncio.run(publish(track(messages, "publishing", console=console), url, speed))
    console.print(f"{count} messages published to {url}")


@main.command()
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@click.option("--plan", help="Only runs of this plan.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@settings_flags("database_url", "data")
def runs(limit: int, plan: str | None, as_json: bool, **flags: Any) -> None:
    """List the runs, newest first.

    Example: wpb runs --plan grid_scan --json
    """
    from wpb_stream.catalogue.reader import CatalogueReader
    from wpb_stream.up import database_of

    with CatalogueReader(database_of(load(**flags))) as catalogue:
        rows = catalogue.runs(limit=limit, plan_name=plan)
    if as_json:
        for row in rows:
            fields = {"uid": row.uid, "scan_id": row.info.scan_id, "plan_name": row.info.plan_name, "status": row.status}
            click.echo(json.dumps({**fields, "started": row.started_at.isoformat(), "shape": row.info.shape, "rows": row.info.rows}))
        return
    table = Table("scan", "plan", "status", "started", "shape", "rows", Column("uid", no_wrap=True, min_width=36), box=None)
    for row in rows:
        shape = " x ".join(map(str, row.info.shape))
        scan, rows_so_far = str(row.info.scan_id or ""), str(row.info.rows) if row.ended_seq else ""
        table.add_row(scan, row.info.plan_name, row.status, f"{row.started_at:%Y-%m-%d %H:%M:%S}", shape, rows_so_far, row.uid)
    output().print(table if rows else "No runs yet.")


main.add_command(dead_letters)
main.add_command(doctor)
main.add_command(explain)
main.add_command(prune)
main.add_command(watch)
main.add_command(token)
for _point in entry_points(group="wpb.commands"):  # those of other packages
    main.add_command(_point.load())


if __name__ == "__main__":
    main()
