"""HTTP beside the feed, machine-readable: an OpenAPI 3.1 document made of the very types that are answered.

https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from wpb_stream.core.messages import ListRuns
from wpb_stream.feed.answers import DagsterRunAnswer, DetectorsAnswer, ErrorAnswer, RevisionsAnswer, RunAnswer, RunsAnswer
from wpb_stream.feed.downloads import FORMATS

JSON, TEXT, PNG = "application/json", "text/plain", "image/png"
AT_THE_DOOR = {
    "400": "A header is there more than once that must not be.",
    "401": "A token is needed, and none that is known was shown.",
    "403": "The name in `Host` is none that is served here, or the token does not let its owner watch.",
    "404": "There is nothing here for whoever shows this token.",
    "405": "Another method than GET and HEAD.",
    "429": "Too many tokens that are not known were shown from this address.",
}
"""Status of what is answered before anything is looked for, as text: what each means."""
_TEXT_SCHEMA = {"type": "string"}


def document(version: str) -> dict[str, Any]:
    """The document.

    :param version: of the server
    """
    kinds = (RunsAnswer, RunAnswer, RevisionsAnswer, DetectorsAnswer, DagsterRunAnswer, ErrorAnswer)
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    run = _parameter("uid", "path", _TEXT_SCHEMA, "Uid of the run, or `latest`.")
    of_run = [run, _parameter("revision", "query", {**_TEXT_SCHEMA, "default": "newest"}, "Name of the revision.")]
    published = {"schema": {"type": "object"}}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "HTTP beside wpb's websocket feed",
            "version": version,
            "description": "For scripts and supervisors. Each path answers HEAD too, and no other method: status 405. "
            "The feed is described at /asyncapi.json.",
        },
        "security": [{"token": []}, {}],
        "paths": {
            "/healthz": _public("Whether the process answers.", {TEXT: {"schema": _TEXT_SCHEMA}}),
            "/readyz": _public("Whether it also reaches its catalogue.", {TEXT: {"schema": _TEXT_SCHEMA}}, errors=(400, 503)),
            "/metrics": _get("What it counts, for Prometheus.", {CONTENT_TYPE_PLAIN_0_0_4: {"schema": _TEXT_SCHEMA}}),
            "/asyncapi.json": _public("The feed's protocol, as AsyncAPI 3.", {JSON: published}),
            "/openapi.json": _public("This document.", {JSON: published}),
            "/api/dagster/{run}": _get(
                "What has become of a Dagster run; for tokens of scope admin.",
                _json(DagsterRunAnswer),
                [_parameter("run", "path", _TEXT_SCHEMA, "Id of the Dagster run, as `reprocessing` told it.")],
                errors=(400, 403, 503),
            ),
            "/api/runs": _get("Runs, newest first.", _json(RunsAnswer), _conditions(), errors=(400, 503)),
            "/api/runs/{uid}": _get("One revision of a run.", _json(RunAnswer), of_run, errors=(400, 404, 503)),
            "/api/runs/{uid}/revisions": _get("Revisions of a run.", _json(RevisionsAnswer), [run], errors=(400, 404, 503)),
            "/api/runs/{uid}/detectors": _get("Detectors of a run.", _json(DetectorsAnswer), [run], errors=(400, 404, 503)),
            **{
                f"/api/runs/{{uid}}/{name}": _get(
                    "All maps of a revision, as a file.",
                    {content_type: {"schema": _TEXT_SCHEMA} if content_type.startswith("text/") else {}},
                    of_run,
                    errors=(400, 404, 503),
                )
                for name, (content_type, _) in FORMATS.items()
            },
            "/api/runs/{uid}/preview.png": _get("The picture that Dagster made of a run.", {PNG: {}}, [run], errors=(400, 404, 503)),
        },
        "components": {
            "schemas": schemas,
            "responses": {status: _text(meaning) for status, meaning in AT_THE_DOOR.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _get(
    summary: str,
    content: dict[str, Any],
    parameters: list[dict[str, Any]] | None = None,
    *,
    errors: tuple[int, ...] = (),
    refused: Sequence[str] = ("400", "401", "403", "404", "429"),
) -> dict[str, Any]:
    """The operation of a path.

    :param errors: status of errors as JSON
    :param refused: status of what is answered at the door
    """
    responses: dict[str, Any] = {"200": {"description": summary, "content": content}}
    responses |= {status: {"$ref": f"#/components/responses/{status}"} for status in refused}
    for status in map(str, errors):
        text = _text(AT_THE_DOOR[status])["content"] if status in refused else {}
        responses[status] = {"description": ErrorAnswer.__doc__, "content": {**text, **_json(ErrorAnswer)}}
    return {"get": {"summary": summary, "parameters": parameters or [], "responses": responses}}


def _public(summary: str, content: dict[str, Any], *, errors: tuple[int, ...] = ()) -> dict[str, Any]:
    """The operation of a path that needs no token."""
    operation = _get(summary, content, errors=errors, refused=("400", "403"))
    operation["get"]["security"] = []
    return operation


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "content": {TEXT: {"schema": _TEXT_SCHEMA}}}


def _json(kind: type[Any]) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}


def _parameter(name: str, place: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": description}


def _conditions() -> list[dict[str, Any]]:
    """Those of :class:`ListRuns`."""
    schemas: dict[str, dict[str, Any]] = {
        "scan_id": {"type": "integer"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": ListRuns(0).limit},
        "since": {**_TEXT_SCHEMA, "format": "date-time"},
        "until": {**_TEXT_SCHEMA, "format": "date-time"},
    }
    names = [name for name in ListRuns.__struct_fields__ if name != "id"]
    return [_parameter(name, "query", schemas.get(name, _TEXT_SCHEMA)) for name in names]
