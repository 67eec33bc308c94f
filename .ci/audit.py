"""Known vulnerabilities of all that the locks hold: ``make audit``.

uv looks at OSV for the packages of ``uv.lock``, npm at its registry for those of each ``package-lock.json``. A list that cannot be reached
(no network, a mirror that has none) is named and is no failure, so that the tests run anywhere; a vulnerability that is found is one.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_FOUND = 1
"""Exit status of uv where it found something; all else but 0 is an error of its own."""


@dataclass(frozen=True)
class Audit:
    """What became of one lock."""

    lock: str
    told: str
    """For people."""
    failed: bool


def python(uv: Path, service: str | None, folder: Path = ROOT) -> Audit:
    """Look for vulnerabilities of ``uv.lock``, those of all extras and groups.

    :param uv: the program
    :param service: an OSV server, if not the public one
    """
    command = [
        uv,
        "audit",
        "--frozen",
        "--no-config",
        "--preview-features",
        "audit-command",
        *(["--service-url", service] if service else []),
    ]
    done = _run(command, folder, UV_HTTP_RETRIES="1")
    if done.returncode in (0, _FOUND):
        return Audit("uv.lock", f"{done.stdout}{done.stderr}".strip(), failed=done.returncode == _FOUND)
    asked = " for url (" in " ".join(done.stderr.split())  # a lock that cannot be read, say, is told without one
    return Audit("uv.lock", _unreachable("OSV", done.stderr) if asked else done.stderr.strip(), failed=not asked)


def browser(npm: list[str], folder: Path, registry: str | None) -> Audit:
    """Look for vulnerabilities of the ``package-lock.json`` of a folder.

    :param npm: the command
    :param registry: an npm registry, if not that of the settings
    """
    name = str((folder / "package-lock.json").relative_to(ROOT)) if folder.is_relative_to(ROOT) else str(folder / "package-lock.json")
    command = [*npm, "audit", "--json", "--package-lock-only", *(["--registry", registry] if registry else [])]
    done = _run(command, folder, npm_config_fetch_retries="1")
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return Audit(name, f"npm tells nothing that can be read: {done.stderr.strip()}", failed=True)
    if "auditReportVersion" not in report:
        asked = "uri" in report or "request to" in report.get("message", "")
        return Audit(name, _unreachable("the npm registry", report["message"]) if asked else str(report), failed=not asked)
    found = report["vulnerabilities"]
    told = [f"{each['name']} {each['range']}: {each['severity']}, {_titles(each)}" for each in found.values()]
    return Audit(
        name, "\n".join(told) or f"no known vulnerabilities of {report['metadata']['dependencies']['total']} packages", bool(found)
    )


def _titles(vulnerability: dict[str, Any]) -> str:
    return "; ".join(via if isinstance(via, str) else f"{via['title']} ({via['url']})" for via in vulnerability["via"])


def _run(command: list[Any], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


def _unreachable(service: str, why: str) -> str:
    return f"NOT LOOKED AT: {service} gives no list of vulnerabilities here ({' '.join(why.split())})."


def main() -> int:
    """Audit every lock; 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", type=Path, default=ROOT / ".tools" / "bin" / "uv")
    parser.add_argument("--npm", default="npm", help="the command, as a shell has it")
    parser.add_argument("--packages", nargs="*", type=Path, default=[], help="folders with a package-lock.json")
    parser.add_argument("--osv", help="an OSV server, if not the public one")
    parser.add_argument("--registry", help="an npm registry, if not that of npm's settings")
    asked = parser.parse_args()
    audits = [python(asked.uv, asked.osv), *(browser(shlex.split(asked.npm), ROOT / each, asked.registry) for each in asked.packages)]
    for audit in audits:
        sys.stdout.write(f"{audit.lock}: {audit.told}\n")
    return int(any(audit.failed for audit in audits))


if __name__ == "__main__":
    sys.exit(main())
