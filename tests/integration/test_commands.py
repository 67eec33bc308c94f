"""`wpb replay` and `wpb runs` as a person types them, against a streaming process that runs."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.integration.conftest import RECORDINGS, Streaming, feed_url
from wpb_stream.cli import main
from wpb_stream.client import watch
from wpb_stream.settings import Settings

RECORDING = RECORDINGS / "b01-1-demo-plan-2025-06.json"
SECOND = "35b95131-f258-4067-a02c-bc1be35925ea"


async def wpb(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command, run in a thread."""
    result = await asyncio.to_thread(CliRunner().invoke, main, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.integration
async def test_a_replayed_recording_is_listed_and_with_new_uids_it_is_listed_again(settings: Settings, streaming: Streaming) -> None:
    database = ("--database-url", settings.database_url or "")
    async with streaming(settings):
        assert (await wpb("runs", *database)) == (0, "No runs yet.\n", "")
        for flags in ((), (), ("--new-uids",)):
            code, _, said = await wpb("replay", RECORDING, "--to", settings.sources[0], "--speed", "0", *flags)
            assert code == 0, said
            assert "262 messages published" in said
        async with asyncio.timeout(60):
            async for update in watch(feed_url(settings)):
                if update.stopped and len(json_lines((await wpb("runs", "--json", *database))[1])) == 4:
                    break
        _, listed, _ = await wpb("runs", *database)
        _, plan, _ = await wpb("runs", "--plan", "another", *database)
    assert listed.count("demo_plan") == 4
    assert SECOND in listed
    assert plan == "No runs yet.\n"


def json_lines(text: str) -> list[object]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.integration
async def test_a_recording_that_is_none_and_a_broker_that_is_not_there_are_told_in_a_sentence(tmp_path: Path, kafka_address: str) -> None:
    nonsense = tmp_path / "run.jsonl"
    nonsense.write_text("this is no recording\n")
    code, _, said = await wpb("replay", nonsense, "--to", f"kafka://{kafka_address}/test")
    assert (code, "Traceback" in said) == (1, False)
    assert "run.jsonl" in said.replace("\n", "")
    code, _, said = await wpb("replay", RECORDING, "--to", "kafka://127.0.0.1:1/test")
    assert (code, "Traceback" in said) == (1, False)
    assert "127.0.0.1:1" in said


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_shows_an_example_in_its_help(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output


def test_streaming_without_a_database_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WPB_")]:
        monkeypatch.delenv(name)
    result = CliRunner().invoke(main, ["stream"])
    assert result.exit_code == 1
    assert "WPB_DATABASE_URL" in result.output


def test_a_setting_that_is_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_WINDOW_FRAMES", "many")
    result = CliRunner().invoke(main, ["stream"])
    assert result.exit_code == 1
    assert "window_frames" in result.output
    assert "many" in result.output
