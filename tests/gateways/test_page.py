"""What the how-to page on gateways says, and the files it names, against the code."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from click.testing import CliRunner

from wpb_stream.cli import main
from wpb_stream.core.board import Board
from wpb_stream.embedded.broker import EmbeddedBroker
from wpb_stream.feed.metrics import Metrics
from wpb_stream.feed.places import Places
from wpb_stream.feed.sent import Sent
from wpb_stream.gateways.reader import MAX_UNREAD
from wpb_stream.settings import Settings, load
from wpb_stream.up import _embedded_topics

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "how-to" / "gateways.md").read_text()
UNIT = DOCS / "examples" / "gateways" / "wpb-gateway@.service"


def test_the_page_names_settings_metrics_and_figures_that_there_are() -> None:
    assert set(re.findall(r"WPB_[A-Z_]+", PAGE)) <= {f"WPB_{name.upper()}" for name in Settings.model_fields}
    metrics = {each.name for each in Metrics(Board(), Sent(), Places(), "0").collect()}
    assert {name.removesuffix("_total") for name in re.findall(r"wpb_[a-z_]+", PAGE)} <= metrics
    assert f"more than {MAX_UNREAD:,} messages" in PAGE
    kept_ms = int(re.findall(r"retention\.ms=(\d+)", PAGE)[0])
    assert kept_ms >= 2000 * Settings.model_fields["gateway_again_s"].default


def test_the_unit_starts_a_gateway_with_options_that_it_has() -> None:
    parsed = configparser.ConfigParser(interpolation=None, strict=False)
    parsed.read(UNIT)
    program, command, *arguments = parsed["Service"]["ExecStart"].split()
    assert program == "/opt/wpb/bin/wpb"
    told = CliRunner().invoke(main, [command, "--help"]).output
    assert {argument for argument in arguments if argument.startswith("-")} <= set(re.findall(r"--[a-z-]+", told))


def test_whoever_starts_everything_makes_the_topic_at_a_broker_of_its_own_and_at_no_other(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path, 9092)
    settings = load(sources=f"kafka://{broker.address}/documents", gateway_topic=f"kafka://{broker.address}/board")
    assert _embedded_topics(settings, [broker.service()]) == [(broker.address, "documents"), (broker.address, "board")]
    elsewhere = settings.model_copy(update={"gateway_topic": "kafka://kafka.example.org:9092/board"})
    assert _embedded_topics(elsewhere, [broker.service()]) == [(broker.address, "documents")]
    assert _embedded_topics(settings, []) == []
