"""The page on files names everything that is read, and every parameter that is followed."""

from __future__ import annotations

import re
from pathlib import Path

from wpb_stream.core.resources import MIMETYPES
from wpb_stream.frames.mimetypes import READERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "files.md").read_text()


def test_each_mimetype_that_is_read_is_on_the_page_and_no_other() -> None:
    kinds = PAGE.partition("## Kinds")[2].partition("## ")[0]
    told = {name for row in kinds.splitlines() if row.startswith("| `") for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert told == set(READERS)


def test_each_parameter_that_the_readers_look_at_is_on_the_page() -> None:
    source = "".join(path.read_text() for path in (ROOT / "wpb_stream" / "frames").glob("*.py"))
    followed = set(re.findall(r'parameters\.get\("(\w+)"', source))
    assert followed > {"dataset", "template", "join_method"}
    told = PAGE.partition("## Parameters")[2].partition("## ")[0]
    assert followed - set(re.findall(r"`(\w+)`", told)) == set()


def test_each_older_spec_stands_for_a_mimetype_that_is_read() -> None:
    assert set(MIMETYPES.values()) <= set(READERS)
