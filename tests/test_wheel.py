"""What is installed is whole: the viewer's files and the migrations ship, and the Dagster project loads from outside the repository."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel was unpacked into."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"import hatchling.build; print(hatchling.build.build_wheel({str(folder)!r}))"
    wheel = subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()[-1]
    with zipfile.ZipFile(folder / wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def files_of(package: Path) -> set[str]:
    return {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts}


@pytest.mark.parametrize("package", ["wpb_stream", "wpb_dagster"])
def test_the_wheel_holds_every_file_of_the_package(installed: Path, package: str) -> None:
    assert files_of(installed / package) == files_of(ROOT / package)


def test_the_dagster_project_and_the_viewer_load_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    load = (
        "import wpb_dagster.definitions as d, wpb_stream.feed.pages as h;"
        "print(d.__file__, d.defs.resolve_job_def('reconstruct_scan').name, '/index.html' in h.viewer_files())"
    )
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "DAGSTER_DISABLE_TELEMETRY": "1"}
    said = subprocess.run([sys.executable, "-c", load], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
    assert said.split() == [str(installed / "wpb_dagster" / "definitions.py"), "reconstruct_scan", "True"]
