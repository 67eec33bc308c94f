"""`wpb doctor`: one line for each thing the settings name."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from wpb_stream.commands.findings import tell
from wpb_stream.commands.flags import settings_flags
from wpb_stream.commands.terminal import console, output
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.settings import Settings, load

if TYPE_CHECKING:
    from wpb_stream.doctor.findings import Finding


@click.command()
@click.option("--deadline", "deadline_s", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="Seconds for each check.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@settings_flags()
def doctor(deadline_s: float, as_json: bool, **flags: Any) -> None:
    """Look at everything the settings name, and say what is wrong and what to do about it.

    Ends with exit code 1 if something is wrong. Shows no passwords.

    \b
    Example: wpb doctor
             WPB_SOURCES=kafka://kafka.example.org:9092/b01-1.bluesky.runengine.documents wpb doctor --json
    """
    with console.status("Looking ..."):
        findings = asyncio.run(_findings(flags, deadline_s))
    if as_json:
        for finding in findings:
            click.echo(json.dumps(asdict(finding)))
    else:
        tell(findings, output())
        _sum_up(findings)
    if any(finding.state == "wrong" for finding in findings):
        sys.exit(1)


async def _findings(flags: dict[str, Any], deadline_s: float) -> list[Finding]:
    from wpb_stream.doctor.checks import checks_of, examine, general_checks
    from wpb_stream.doctor.findings import wrong
    from wpb_stream.doctor.redaction import Redaction

    settings: Settings | None = None
    try:
        settings = load(**flags)
        findings = await examine(checks_of(settings), deadline_s)
    except ServiceError as error:
        bad = replace(wrong(str(error), "correct it; what else is to be looked at depends on it"), subject="settings")
        findings = [*await examine(general_checks(), deadline_s), bad]
    redaction = Redaction(settings)
    return [redaction.clean(finding) for finding in findings]


def _sum_up(findings: Sequence[Finding]) -> None:
    states = Counter(finding.state for finding in findings)
    told = [f"{states[state]} {word}" for state, word in (("wrong", "wrong"), ("warning", "to be looked at")) if states[state]]
    output().print(f"{' and '.join(told)}, {states['ok']} fine." if told else "Everything is fine.", style="bold")
