"""Findings of the doctor as lines on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from wpb_stream.commands.terminal import printable
from wpb_stream.doctor.findings import Finding

COLOURS = {"ok": "green", "warning": "yellow", "wrong": "bold red"}
WIDEST = 48
"""Columns of the names at most; a longer one pushes its own line only."""


def tell(findings: Sequence[Finding], out: Console) -> None:
    """Print a line for each."""
    width = min(WIDEST, max((len(finding.subject) for finding in findings), default=0))
    for finding in findings:
        line = Text.assemble((f"{finding.state:<8}", COLOURS[finding.state]), f"{printable(finding.subject):<{width}}  ")
        line.append(" ".join(printable(finding.found).split()))
        if finding.remedy:
            line.append(f"  -> {printable(finding.remedy)}", "bold" if finding.state == "wrong" else "")
        out.print(line, soft_wrap=True)
