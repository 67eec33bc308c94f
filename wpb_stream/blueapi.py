"""What blueapi is asked to do, over its REST: it is known here only as a service.

https://diamondlightsource.github.io/blueapi/main/reference/rest-spec.html, version 1 of the API.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.narrow import as_mapping

TASK_KEY = "blueapi_task_id"
"""Key of a start document that names the task whose plan made the run."""
SESSION_KEY = "instrument_session"
"""Key of a start document, and of a task's metadata, that names the session it was asked for in."""
_TIMEOUT_S = 10.0


class UnknownTask(ServiceError):
    """blueapi does not know the task any more: it keeps those that it ran since it was started."""


@dataclass(frozen=True, slots=True)
class Task:
    """What blueapi ran, or is to run."""

    plan: str
    params: dict[str, Any]
    session: str


class BlueApi:
    """Asks blueapi's server.

    :param url: where it is, ``http://host:8000``
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def task(self, task: str) -> Task:
        """A task that blueapi knows.

        :raises UnknownTask: it does not know it
        :raises ServiceError: it cannot be reached, or refuses
        """
        with self._answering(missing=f"blueapi does not know the task {task[:80]} any more: it forgets them when it is restarted"):
            told = (await self._ask("GET", f"/tasks/{quote(task, safe='')}"))["task"]
            return Task(told["name"], dict(as_mapping(told["params"])), told["metadata"][SESSION_KEY])

    async def run(self, task: Task) -> str:
        """Have its worker run a task now; gives the id of the new task.

        Goes to its end also if nobody waits for it any more.

        :raises ServiceError: it cannot be reached, refuses, or is busy: then nothing is left waiting there; or it was told to, and it
            is not known whether it does
        """
        return await asyncio.shield(asyncio.ensure_future(self._run(task)))

    async def _run(self, task: Task) -> str:
        with self._answering(missing=f"blueapi has no plan {task.plan[:80]!r} any more"):
            request = {"name": task.plan, "params": task.params, SESSION_KEY: task.session}
            made = (await self._ask("POST", "/tasks", request))["task_id"]
            try:
                await self._ask("PUT", "/worker/task", {"task_id": made})
            except HTTPError:
                with suppress(OSError):  # or whoever looks there next could start it by mistake
                    await self._ask("DELETE", f"/tasks/{quote(made, safe='')}")
                raise
            except OSError as error:
                told = f"blueapi was told to run it, and did not answer ({error}): it may run; look there before you ask again"
                raise ServiceError(told) from error
            return made

    @contextmanager
    def _answering(self, missing: str) -> Iterator[None]:
        """Say in a sentence what is wrong.

        :param missing: what it means that there is nothing of that name
        :raises ServiceError: with that sentence
        """
        try:
            yield
        except HTTPError as error:
            match error.code:
                case HTTPStatus.NOT_FOUND:
                    raise UnknownTask(missing) from error
                case HTTPStatus.CONFLICT:
                    raise ServiceError("blueapi's worker is busy with another task; try again when it is idle") from error
                case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                    raise ServiceError(f"blueapi at {self._url} wants whoever asks to be logged in there, which wpb is not") from error
                case _:
                    raise ServiceError(f"blueapi refuses: HTTP {error.code} {error.read(500).decode(errors='replace')}") from error
        except (OSError, HTTPException) as error:
            raise ServiceError(f"blueapi cannot be reached at {self._url} ({error}); see to it, or to WPB_BLUEAPI_URL") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ServiceError(f"what is at {self._url} does not answer as blueapi does; check WPB_BLUEAPI_URL") from error

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return await asyncio.to_thread(self._answer, method, path, body)

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        url, headers = f"{self._url}/api/v1{path}", {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  an address of the settings
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310  an address of the settings
            return json.load(response)
