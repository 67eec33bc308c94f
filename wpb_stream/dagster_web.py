"""What Dagster's web server says of a scan, over its GraphQL: the streaming side knows Dagster only as a service."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from dataclasses import dataclass
from typing import Any

_QUERY = """query ($uid: String!) {
  runsOrError(filter: {tags: [{key: "dagster/partition", value: $uid}]}, limit: 1) { ... on Runs { results {
    runId
    status
    eventConnection(limit: 1000) { events { ... on AssetCheckEvaluationEvent { evaluation { checkName success } } } }
  } } }
}"""
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a scan in Dagster."""

    run_id: str
    status: str
    """Dagster's: ``SUCCESS``, ``FAILURE``, ``STARTED``, ..."""
    checks: dict[str, bool]
    """Name of each check that was made: whether it passed."""

    @property
    def final(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ("SUCCESS", "FAILURE", "CANCELED")


class DagsterWeb:
    """Asks Dagster's web server. Errors of the connection are `OSError`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/graphql"

    async def verdict(self, uid: str) -> Verdict | None:
        """What became of the scan of that uid; None if Dagster has not taken it up yet."""
        body = json.dumps({"query": _QUERY, "variables": {"uid": uid}}).encode()
        answer = await asyncio.to_thread(self._post, body)
        results = answer["data"]["runsOrError"].get("results") or []
        if not results:
            return None
        run = results[0]
        made = [event["evaluation"] for event in run["eventConnection"]["events"] if event]
        return Verdict(run["runId"], run["status"], {check["checkName"]: check["success"] for check in made})

    def _post(self, body: bytes) -> dict[str, Any]:
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            return json.load(response)
