"""Runs over plain HTTP, for scripts: their list, one of them, and its maps as files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import msgspec
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from wpb_stream.catalogue.results import Results
from wpb_stream.core.board import Reconstruction
from wpb_stream.core.exceptions import ProtocolError, ServiceError
from wpb_stream.core.messages import ListRuns
from wpb_stream.feed.answers import DagsterRunAnswer, DetectorsAnswer, ErrorAnswer, RevisionsAnswer, RunAnswer, RunsAnswer
from wpb_stream.feed.downloads import FORMATS
from wpb_stream.feed.finder import AWAY, conditions_of
from wpb_stream.feed.http import Answer, path_of, plain
from wpb_stream.feed.metrics import Metrics
from wpb_stream.feed.remaking import Remaking
from wpb_stream.feed.sight import Sight

STATUS = {"unknown_run": 404, "unknown_revision": 404, "bad_message": 400, "not_allowed": 403}
"""HTTP status of each error code; 503 for all others, which may pass."""
DOWNLOAD_THREADS = 2
"""Files made at once, in threads of their own: a large map takes long, and live runs need those of the event loop."""

PICTURE_MAX_AGE_S = 300
"""How long a browser may show a picture of a run that is over without asking: the run may be made again."""


class Api:
    """Answers what needs the catalogue, the results, or counts.

    :param hindrance: gives why clients are better served elsewhere, if they are: a sentence
    :param detectors: gives those of a run
    :param remaking: knows what has become of runs that are made again; None where none are
    """

    def __init__(
        self,
        metrics: Metrics,
        results: Results,
        hindrance: Callable[[], str | None],
        detectors: Callable[[str], Awaitable[DetectorsAnswer]],
        remaking: Remaking | None,
    ) -> None:
        self._metrics, self._results, self._hindrance, self._detectors, self._remaking = metrics, results, hindrance, detectors, remaking
        self._threads = ThreadPoolExecutor(DOWNLOAD_THREADS, thread_name_prefix="downloads")

    async def answer(self, method: str, target: str, sight: Sight) -> Answer | None:
        """The answer to a request; None if it is none of these.

        :param sight: the runs that may be seen by whoever asks
        """
        if method not in ("GET", "HEAD"):
            return None
        asked = {name: values[-1] for name, values in parse_qs(target.partition("?")[2]).items()}
        try:
            if any("\0" in text for text in (path_of(target), *asked.values())):
                raise ProtocolError("bad_message", "Text must not contain the character NUL.")  # PostgreSQL cannot hold it
            match path_of(target).strip("/").split("/"):
                case ["readyz"]:
                    await sight.runs(limit=1)
                    if (told := self._hindrance()) is not None:
                        return plain(503, "text/plain", f"{told}\n".encode())
                    return plain(200, "text/plain", b"ready\n")
                case ["metrics"] if sight.whole:
                    return plain(200, CONTENT_TYPE_PLAIN_0_0_4, self._metrics.text())
                case ["api", "dagster", dagster_run] if self._remaking is not None:
                    return _json(DagsterRunAnswer(await self._remaking.status(dagster_run, sight)))
                case ["api", "runs"]:
                    return _json(await self._runs(sight, asked))
                case ["api", "runs", uid]:
                    made = await self._made(sight, uid, asked.get("revision", "newest"))
                    return _json(RunAnswer(made.run, made.revision, made.produced_by, list(made.notices)))
                case ["api", "runs", uid, "revisions"]:
                    return _json(RevisionsAnswer(await sight.revisions(await self._uid(sight, uid))))
                case ["api", "runs", uid, "detectors"]:
                    uid = await self._uid(sight, uid)
                    await sight.check(uid)
                    return _json(await self._detectors(uid))
                case ["api", "runs", uid, "preview.png"]:
                    return await self._preview(sight, await self._uid(sight, uid))
                case ["api", "runs", uid, name] if name in FORMATS:
                    return await self._file(sight, uid, name, asked.get("revision", "newest"))
                case _:
                    return None
        except ProtocolError as error:
            return _json(ErrorAnswer(error.code, str(error)), STATUS.get(error.code, 503))
        except ServiceError:
            return _json(ErrorAnswer("internal", AWAY), 503)

    async def _uid(self, sight: Sight, text: str) -> str:
        return await sight.latest() or text if text == "latest" else text

    async def _runs(self, sight: Sight, asked: dict[str, str]) -> RunsAnswer:
        limit = _whole("limit", asked.get("limit", "50"))
        if not 0 < limit <= 500:
            raise ProtocolError("bad_message", "limit must be a whole number from 1 to 500.")
        scan_id = _whole("scan_id", asked["scan_id"]) if "scan_id" in asked else None
        named = {name: asked.get(name) for name in ("before", "plan_name", "status", "since", "until", "session", "text")}
        page = await sight.runs(**conditions_of(ListRuns(0, limit, **named, scan_id=scan_id)))
        return RunsAnswer([run for _, run in page], str(page[-1][0]) if len(page) == limit else None)

    async def _made(self, sight: Sight, uid: str, revision: str) -> Reconstruction:
        made, gone = await sight.find(await self._uid(sight, uid), revision)
        if gone:
            raise ProtocolError("unknown_revision", f"Run {uid[:80]} has no revision {revision[:80]!r} any more.")
        return made

    async def _preview(self, sight: Sight, uid: str) -> Answer:
        await sight.check(uid)
        picture = await asyncio.to_thread(self._results.preview, uid)
        if picture is None:
            raise ProtocolError("unknown_revision", f"There is no picture of run {uid[:80]}; Dagster makes it once the run is over.")
        return plain(200, "image/png", picture)

    async def _file(self, sight: Sight, uid: str, name: str, revision: str) -> Answer:
        made = await self._made(sight, uid, revision)
        if not made.run.channels or not made.run.shape:
            raise ProtocolError("unknown_revision", f"Nothing was reconstructed of run {uid[:80]}: there is no map of it.")
        content_type, make = FORMATS[name]
        status, headers, body = plain(200, content_type, await asyncio.get_running_loop().run_in_executor(self._threads, make, made))
        kept = "inline" if content_type.startswith("image/") else "attachment"
        scan = "" if made.run.scan_id is None else f"{made.run.scan_id}-"
        headers |= {"Content-Disposition": f'{kept}; filename="scan-{scan}{name}"'}
        if made.ended and kept == "inline":  # lists show many of them, again and again
            headers |= {"Cache-Control": f"private, max-age={PICTURE_MAX_AGE_S}", "Vary": "Authorization"}
        return status, headers, body


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ProtocolError("bad_message", f"{name} must be a whole number.") from None


def _json(value: msgspec.Struct, status: int = 200) -> Answer:
    return plain(status, "application/json", msgspec.json.encode(value))
