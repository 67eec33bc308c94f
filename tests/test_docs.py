"""What the documentation promises: every setting, command and code is in the reference, and its links lead somewhere."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from wpb_stream.core.accumulation import Kind
from wpb_stream.core.board import Board
from wpb_stream.core.codes import ERRORS, NOTICES
from wpb_stream.core.companions import MAX_COMPANIONS, Companions
from wpb_stream.core.join import _PLACE
from wpb_stream.core.line_fits import MAX_FITS
from wpb_stream.core.line_models import BACKGROUNDS, SHAPES
from wpb_stream.core.masks import MAX_BAD_PIXELS
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.core.reducers import Statistic
from wpb_stream.core.shapes import MAX_COORDINATE, MAX_VERTICES
from wpb_stream.core.slices import MAX_COLUMNS
from wpb_stream.core.tomography import FILTERS
from wpb_stream.failpoints import STAGES
from wpb_stream.feed.metrics import Metrics
from wpb_stream.feed.places import Places
from wpb_stream.feed.sent import Sent
from wpb_stream.frames.needed import MAX_AVERAGED
from wpb_stream.recipes import azimuthal, chooser, corrections, dead_time, fits, phases, reductions, regions, sliding, tomography
from wpb_stream.recipes.asked import MAX_CHANNELS, Asked
from wpb_stream.recipes.files import MIMETYPES

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from make_reference import PAGES  # noqa: E402

from wpb_stream.core.plans import problems  # noqa: E402

JOINED = ("normalise", "scalars", "positions", "bins")
"""Keys of the ``wpb`` entry that companions.md tells."""
PROSE = [page for page in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))) if "node_modules" not in page.parts]
CODE = "\n".join(path.read_text() for package in ("wpb_stream", "wpb_dagster") for path in (ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_says_what_the_code_says(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert (ROOT / "docs" / "reference" / page).read_text() == PAGES[page](), "run python docs/make_reference.py"


def test_every_notice_and_error_code_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "codes.md").read_text()
    notices = set(re.findall(r'(?:notice|Notice)\(\s*"([a-z_]+)"', CODE))
    notices |= {problem.code for problem in problems({"errors": ["it"], "warnings": ["it"]})}
    errors = set(re.findall(r'ProtocolError\(\s*"([a-z_]+)"', CODE)) | {"internal"}
    assert {"frame_missing", "plan_failed"} <= notices
    assert "unknown_run" in errors
    for codes, listed, title in ((notices, NOTICES, "## Notices"), (errors, ERRORS, "## Errors")):
        assert sorted(listed) == sorted(codes), "metrics count by these"
        told = re.findall(r"^\| `([a-z_]+)` \|", page.partition(title)[2].partition("\n## ")[0], re.MULTILINE)
        assert sorted(told) == sorted(codes)


def test_every_metric_is_explained_and_every_alert_is_of_metrics_that_there_are() -> None:
    page = (ROOT / "docs" / "reference" / "http.md").read_text().partition("## Metrics")[2]
    ends = {"counter": "_total", "info": "_info"}
    metrics = {each.name + ends.get(each.type, ""): each.type for each in Metrics(Board(), Sent(), Places(), "0").collect()}
    assert dict(re.findall(r"^\| `(wpb_[a-z_]+)` \| ([a-z]+) \|", page, re.MULTILINE)) == metrics
    told = (ROOT / "docs" / "how-to" / "prometheus.md").read_text()
    assert {name.removesuffix("_bucket") for name in re.findall(r"\bwpb_[a-z_]+", told)} <= metrics.keys()
    _, rules = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", told, re.DOTALL)]
    assert all(rule.keys() >= {"alert", "expr", "annotations"} for group in rules["groups"] for rule in group["rules"])


def test_every_stage_at_which_a_process_can_be_killed_is_named() -> None:
    page = (ROOT / "docs" / "explanations" / "reliability.md").read_text()
    assert dict(re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", page, re.MULTILINE)) == STAGES


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def of_frames() -> str:
    """The pages on what can be asked of the frames, and of their maps."""
    pages = ("recipes.md", "corrections.md", "azimuthal.md", "derived.md")
    return "\n".join((ROOT / "docs" / "reference" / name).read_text() for name in pages)


def test_everything_that_can_be_asked_of_the_frames_is_explained() -> None:
    page = of_frames()
    keys = {
        *corrections.FILE_KEYS,
        *fits.KEYS,
        *phases.KEYS,
        *sliding.KEYS,
        *reductions.STATISTIC_KEYS,
        *regions.PLACE_KEYS,
        *regions.ELLIPSE_KEYS,
        *regions.ANNULUS_KEYS,
    }
    assert {"polygon", "threshold"} <= keys
    assert sorted(key for key in {*keys, *Statistic, *SHAPES, *BACKGROUNDS} if f"`{key}`" not in page) == []
    assert sorted(kind for kind in reductions.REDUCTIONS if f'`"{kind}"`' not in page) == []
    limits = (
        reductions.MAX_REGIONS,
        MAX_BAD_PIXELS,
        MAX_VERTICES,
        MAX_COORDINATE,
        MAX_AVERAGED,
        azimuthal.MAX_NPT,
        dead_time.MAX_ELEMENTS,
        sliding.MAX_POINTS,
        MAX_FITS,
        MAX_CHANNELS,
    )
    assert [end for end in MIMETYPES if f"`{end}`" not in page] == []
    assert [limit for limit in limits if f"{limit:,}" not in page] == []


def test_every_key_of_the_wpb_entry_is_explained() -> None:
    pages = of_frames() + "".join((ROOT / "docs" / "reference" / name).read_text() for name in ("companions.md", "tomography.md"))
    told = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.+?) \|", pages, re.MULTILINE))))
    named = set(re.findall(r"^\| key of `([a-z_]+)` \|", pages, re.MULTILINE))
    assert set(Asked.model_fields) - told - named == set()


def test_the_plans_that_ask_for_reductions_are_understood_as_written() -> None:
    page = of_frames()
    calls = [ast.parse(code).body[0].value for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]  # type: ignore[attr-defined]
    entries = [ast.literal_eval(keyword.value) for call in calls for keyword in call.keywords if keyword.arg == "wpb"]
    assert len(entries) == page.count("RE(") >= 8
    asked = {
        key
        for wpb in entries
        for key in [*wpb, *wpb.get("mask", {}), *(key for region in wpb.get("regions", {}).values() for key in region)]
    }
    elsewhere = {"recipe", "data_key", "shape", "snaking", "extents", "axes", *JOINED, "tomography"}
    assert asked >= {*Asked.model_fields, *reductions.STATISTIC_KEYS, *regions.PLACE_KEYS} - elsewhere
    assert set(Kind) <= {name for wpb in entries for name in wpb.get("arrays", ())} | {"sum_spectrum"}
    choose = chooser(lambda _: PlanDefaults())
    for wpb in entries:
        made = choose({"uid": "u", "time": 1.0, "shape": [7, 9], "wpb": wpb})
        assert made is not None
        assert "recipe_refused" not in {notice.code for notice in made.notices}
        assert made.reduction is not None or made.derived
        assert (made.accumulation is not None) == ("arrays" in wpb or wpb.get("reduction") == "xrf")


def test_slices_are_explained_and_their_plan_is_understood_as_written() -> None:
    page = (ROOT / "docs" / "reference" / "tomography.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (wpb,) = [ast.literal_eval(each.value) for each in ast.parse(code).body[0].value.keywords if each.arg == "wpb"]  # type: ignore[attr-defined]
    assert [key for key in tomography.KEYS if f"| `{key}` |" not in page] == []
    assert [name for name in FILTERS if f'`"{name}"`' not in page] == []
    assert f"1 to {tomography.MAX_SLICES} rows" in page
    assert f"more than {MAX_COLUMNS} columns" in page
    start = {"uid": "u", "time": 1.0, "num_points": 360, "motors": ["theta"], "extents": [[0, 179.5]], "wpb": wpb}
    recipe = chooser(lambda _: PlanDefaults())(start)
    assert recipe is not None
    assert recipe.arrays == ("mean_frame", "sinogram.100", "slice.100", "sinogram.608", "slice.608")


def test_the_numbers_beside_the_frames_are_explained_and_their_plans_are_understood_as_written() -> None:
    page = (ROOT / "docs" / "reference" / "companions.md").read_text()
    calls = [ast.parse(code).body[0].value for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]  # type: ignore[attr-defined]
    joined, binned = [ast.literal_eval(each.value) for call in calls for each in call.keywords if each.arg == "wpb"]
    assert [key for key in JOINED if f"| `{key}` |" not in page] == []
    assert f"At most {MAX_COMPANIONS} data keys" in page
    assert f"{_PLACE.itemsize} bytes a point and data key" in page
    choose = chooser(lambda _: PlanDefaults())
    recipe = choose({"uid": "u", "time": 1.0, "shape": [7, 9], "motors": ["y", "x"], "wpb": joined})
    assert recipe is not None
    assert recipe.companions == Companions(("i0", "camera-sum", "y", "x"), "i0", (0, 1, 2, 3), frozenset({"x", "y"}))
    recipe = choose({"uid": "u", "time": 1.0, "wpb": binned})
    assert recipe is not None
    assert (recipe.name, recipe.grid.shape, recipe.channels[-1].name) == ("bins", (20, 30), "count")
