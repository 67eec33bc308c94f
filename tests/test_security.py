"""What SECURITY.md says: each limit is what the code has, and each test that it or reliability.md names is there."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from wpb_stream.settings import Settings

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
REFUSED = PAGE.partition("## What is refused")[2].partition("\n## ")[0]
LIMITS = re.findall(r"^\| .+? \| ([\d,]+) \| (.+?) \|$", PAGE.partition("## Limits")[2], re.MULTILINE)
RELIABILITY = (ROOT / "docs" / "explanations" / "reliability.md").read_text()
TESTS = re.findall(r"`((?:tests/[\w/]+/|tests/)?test_\w+\.py)(?:::(\w+))?`", PAGE + RELIABILITY)


def test_each_refusal_names_tests_that_there_are() -> None:
    rows = re.findall(r"^\| .+ \|$", REFUSED, re.MULTILINE)[1:]
    assert len(rows) >= 15
    assert [row for row in rows if "`tests/" not in row and not row.startswith("|---")] == []
    for told, name in TESTS:
        file = told if told.startswith("tests/") else f"tests/faults/{told}"
        defined = [
            node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        assert name in [*defined, ""], f"{file} has no {name}"


@pytest.mark.parametrize(("value", "where"), LIMITS, ids=[where for _, where in LIMITS])
def test_each_limit_is_what_the_code_has(value: str, where: str) -> None:
    if setting := re.fullmatch(r"setting `(\w+)`", where):
        actual = Settings.model_fields[setting[1]].default
    else:
        constant, path = re.findall(r"`([\w/.]+)`", where)
        actual = getattr(import_module(path.removesuffix(".py").replace("/", ".")), constant)
    assert actual == int(value.replace(",", ""))


def test_each_limit_of_clients_is_named() -> None:
    assert {name for name in Settings.model_fields if name.startswith("max_")} <= set(re.findall(r"setting `(\w+)`", PAGE))


def test_no_array_is_ever_unpickled() -> None:
    """Ruff has no rule for it."""
    for path in (path for package in ("wpb_stream", "wpb_dagster") for path in (ROOT / package).rglob("*.py")):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            allowed = [keyword.value for keyword in call.keywords if keyword.arg == "allow_pickle"]
            assert all(isinstance(value, ast.Constant) and value.value is False for value in allowed), f"{path}:{call.lineno}"
            if ast.unparse(call.func) in ("np.load", "np.save", "np.savez", "np.savez_compressed"):
                assert allowed, f"{path}:{call.lineno}: allow_pickle=False is not said"
