"""What Dagster's web server says of a scan, and is asked to do, over its GraphQL: the streaming side knows Dagster only as a service."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from wpb_stream.core.exceptions import ServiceError

_VERDICT = """query ($uid: String!) {
  runsOrError(filter: {tags: [{key: "dagster/partition", value: $uid}]}, limit: 1) { ... on Runs { results {
    runId
    status
    eventConnection(limit: 1000) { events { ... on AssetCheckEvaluationEvent { evaluation { checkName success } } } }
  } } }
}"""
_STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_JOBS = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } jobs { name } } } } }"
_LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on Error { message }
} }"""
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
    """Asks Dagster's web server.

    :param url: where it is
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def verdict(self, uid: str) -> Verdict | None:
        """What became of the scan of that uid; None if Dagster has not taken it up yet.

        :raises OSError: it cannot be reached
        """
        answer = await self._ask(_VERDICT, uid=uid)
        results = answer["data"]["runsOrError"].get("results") or []
        if not results:
            return None
        run = results[0]
        made = [event["evaluation"] for event in run["eventConnection"]["events"] if event]
        return Verdict(run["runId"], run["status"], {check["checkName"]: check["success"] for check in made})

    async def status(self, run_id: str) -> str | None:
        """What Dagster says of one of its runs: ``QUEUED``, ``STARTED``, ``SUCCESS``, ``FAILURE``, ...; None if it knows none of that id.

        :raises ServiceError: Dagster cannot be reached
        """
        with self._answering():
            return (await self._ask(_STATUS, id=run_id))["data"]["runOrError"].get("status")

    async def launch(self, job: str, run_config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        """Have a job run, wherever it is defined; gives the id of the Dagster run, which has only begun.

        :raises ServiceError: Dagster cannot be reached, or refuses
        """
        with self._answering():
            found = (await self._ask(_JOBS))["data"]["repositoriesOrError"].get("nodes") or []
            places = [place for place in found if job in (each["name"] for each in place["jobs"])]
            if not places:
                raise ServiceError(f"Dagster at {self._url} has no job {job!r} now; see to its code location")
            where = {"repositoryName": places[0]["name"], "repositoryLocationName": places[0]["location"]["name"], "jobName": job}
            metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
            asked = {"selector": where, "runConfigData": run_config, "executionMetadata": metadata}
            launched = (await self._ask(_LAUNCH, params=asked))["data"]["launchRun"]
        if launched["__typename"] != "LaunchRunSuccess":
            told = [each["message"] for each in launched.get("errors") or [launched]]
            raise ServiceError(f"Dagster refuses to run the job {job!r}: {' '.join(' '.join(told).split())[:500]}")
        return launched["run"]["runId"]

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Say in a sentence what is wrong with the server that is asked.

        :raises ServiceError: it cannot be reached, or is none of Dagster's
        """
        try:
            yield
        except (OSError, HTTPException) as error:
            raise ServiceError(f"Dagster cannot be reached at {self._url} ({error}); see to it, or to WPB_DAGSTER_URL") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ServiceError(f"what is at {self._url} does not answer as Dagster does; check WPB_DAGSTER_URL") from error

    def page(self, run_id: str) -> str:
        """The page of a Dagster run."""
        return f"{self._url}/runs/{run_id}"

    async def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self._post, json.dumps({"query": query, "variables": variables}).encode())

    def _post(self, body: bytes) -> dict[str, Any]:
        request = urllib.request.Request(f"{self._url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310  an address of the settings
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310  an address of the settings
            return json.load(response)
