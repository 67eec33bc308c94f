"""`wpb explain` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from wpb_stream.cli import main

RECORDING = Path(__file__).parents[1] / "helpers" / "recordings" / "b01-1-demo-plan-2025-06.json"


def test_each_run_of_a_recording_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["explain", str(RECORDING), "--json"])
    assert done.exit_code == 0
    first, second = [json.loads(line) for line in done.output.splitlines()]
    assert first["uid"] != second["uid"]
    for told in (first, second):
        assert told["shape"] == {"value": "7 x 9", "from": ["shape"]}
        assert "settings" in told["snaking"]["from"]
        assert any("thirds of the frame's height" in notice for notice in told["notices"])
    shown = CliRunner().invoke(main, ["explain", str(RECORDING)])
    assert shown.output.count("7 x 9") == 2
    assert "regions_guessed" in shown.output


def test_a_recording_without_a_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"name": "stop", "doc": {"uid": "a", "run_start": "b", "time": 1.0, "exit_status": "success"}}\n')
    done = CliRunner().invoke(main, ["explain", str(tmp_path / "a.jsonl")])
    assert done.exit_code == 1
    assert "without a start document" in done.output


@pytest.mark.integration
def test_a_run_of_the_catalogue_is_looked_for_by_its_uid(postgres_url: str) -> None:
    from wpb_stream.catalogue.migrations import upgrade

    upgrade(postgres_url)
    done = CliRunner().invoke(main, ["explain", "no-such-run", "--database-url", postgres_url])
    assert done.exit_code == 1
    assert "no run of that uid" in done.output
