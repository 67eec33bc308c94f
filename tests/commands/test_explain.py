"""`wpb explain` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.helpers.documents import CAMERA, MOTOR, Acquisition, as_json
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


def test_what_is_joined_to_the_frames_is_told_with_where_it_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scan = Acquisition(wpb={"normalise": {"by": "i0"}, "scalars": ["camera-sum", "typo"]})
    scan.stream(**{"camera": CAMERA, "camera-sum": {**MOTOR, "external": "STREAM:"}})
    scan.stream("counters", i0=MOTOR)
    Path("run.jsonl").write_bytes(b"\n".join(as_json(document.name, document.doc) for document in scan.documents))
    told = json.loads(CliRunner().invoke(main, ["explain", "run.jsonl", "--json"]).output)
    assert told["joined"] == {"value": "camera-sum, typo", "from": ["wpb.scalars"]}
    assert told["divided by"] == {"value": "i0", "from": ["wpb.normalise"]}
    assert told["i0"] == {"value": "events of the stream counters", "from": ["descriptor"]}
    assert told["camera-sum"]["value"] == "files of the stream primary"
    assert told["typo"]["value"] == "no descriptor tells of such a number"


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
