"""HTTP beside the feed, machine-readable: an OpenAPI 3.1 document made of the very types that are answered.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

from typing import Any

import msgspec
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from wpb_stream.core.messages import ListRuns
from wpb_stream.feed.answers import ErrorAnswer, RevisionsAnswer, RunAnswer, RunsAnswer
from wpb_stream.feed.downloads import FORMATS

JSON, TEXT, PNG = "application/json", "text/plain", "image/png"
_TEXT_SCHEMA = {"type": "string"}


def document(version: str) -> dict[str, Any]:
    """The document.

    :param version: of the server
    """
    kinds = (RunsAnswer, RunAnswer, RevisionsAnswer, ErrorAnswer)
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    uid = _parameter("uid", "path", _TEXT_SCHEMA, "Uid of the run.")
    run = _parameter("uid", "path", _TEXT_SCHEMA, "Uid of the run, or `latest`.")
    of_run = [run, _parameter("revision", "query", {**_TEXT_SCHEMA, "default": "newest"}, "Name of the revision.")]
    published = {"schema": {"type": "object"}}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "HTTP beside wpb's websocket feed",
            "version": version,
            "description": "For scripts and supervisors. Each path answers HEAD too. The feed is described at /asyncapi.json.",
        },
        "paths": {
            "/healthz": _get("Whether the process answers.", {TEXT: {"schema": _TEXT_SCHEMA}}),
            "/readyz": _get("Whether it also reaches its catalogue.", {TEXT: {"schema": _TEXT_SCHEMA}}, errors=(503,)),
            "/metrics": _get("What it counts, for Prometheus.", {CONTENT_TYPE_PLAIN_0_0_4: {"schema": _TEXT_SCHEMA}}),
            "/asyncapi.json": _get("The feed's protocol, as AsyncAPI 3.", {JSON: published}),
            "/openapi.json": _get("This document.", {JSON: published}),
            "/api/runs": _get("Runs, newest first.", _json(RunsAnswer), _conditions(), errors=(400, 503)),
            "/api/runs/{uid}": _get("One revision of a run.", _json(RunAnswer), of_run, errors=(400, 404, 503)),
            "/api/runs/{uid}/revisions": _get("Revisions of a run.", _json(RevisionsAnswer), [run], errors=(400, 404, 503)),
            **{
                f"/api/runs/{{uid}}/{name}": _get(
                    "All maps of a revision, as a file.",
                    {content_type: {"schema": _TEXT_SCHEMA} if content_type.startswith("text/") else {}},
                    of_run,
                    errors=(400, 404, 503),
                )
                for name, (content_type, _) in FORMATS.items()
            },
            "/api/runs/{uid}/preview.png": _get(
                "The picture that Dagster made of a run.",
                {PNG: {}},
                [uid],
                errors=(400,),
                others={"404": {"description": "None.", "content": {TEXT: {}}}},
            ),
        },
        "components": {"schemas": schemas},
    }


def _get(
    summary: str,
    content: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    *,
    errors: tuple[int, ...] = (),
    others: dict[str, Any] | None = None,
) -> dict[str, Any]:
    responses = {"200": {"description": summary, "content": content}, **(others or {})}
    for status in errors:
        responses[str(status)] = {"description": ErrorAnswer.__doc__, "content": _json(ErrorAnswer)}
    return {"get": {"summary": summary, "parameters": parameters or [], "responses": responses}}


def _json(kind: type[Any]) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}


def _parameter(name: str, place: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": description}


def _conditions() -> list[dict[str, Any]]:
    """Those of :class:`ListRuns`."""
    schemas: dict[str, dict[str, Any]] = {
        "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": ListRuns(0).limit},
        "since": {**_TEXT_SCHEMA, "format": "date-time"},
        "until": {**_TEXT_SCHEMA, "format": "date-time"},
    }
    names = [name for name in ListRuns.__struct_fields__ if name != "id"]
    return [_parameter(name, "query", schemas.get(name, _TEXT_SCHEMA)) for name in names]
