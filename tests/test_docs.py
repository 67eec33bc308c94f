"""What the documentation promises: every setting, command and code is in the reference, and its links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from make_reference import PAGES  # noqa: E402

CODE = "\n".join(path.read_text() for package in ("wpb_stream", "wpb_dagster") for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_says_what_the_code_says(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert (ROOT / "docs" / "reference" / page).read_text() == PAGES[page](), "run python docs/make_reference.py"


def test_every_notice_and_error_code_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "codes.md").read_text()
    codes = set(re.findall(r'(?:notice|Notice)\(\s*"([a-z_]+)"', CODE)) | set(re.findall(r'ProtocolError\(\s*"([a-z_]+)"', CODE))
    assert {"frame_missing", "unknown_run"} <= codes
    assert sorted(code for code in codes if f"`{code}`" not in page) == []


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
