"""The feed's protocol, machine-readable: an AsyncAPI 3 document made of the very types that encode and decode its messages.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from wpb_stream.core.binary import ArrayHeader, PointsHeader
from wpb_stream.core.messages import SUBPROTOCOL, Reply, Request

BINARY = "application/octet-stream"
_LAYOUT = (
    "A binary frame: H, the length of the header, as uint32 little-endian in bytes 0 to 3; the header, JSON in UTF-8, padded with spaces "
    "so that 4 + H is a multiple of 8; then the payload, raw little-endian arrays, each at an offset (from the payload's start) that is "
    "a multiple of 8. The schema is that of the header."
)


def document(version: str) -> dict[str, Any]:
    """The document.

    :param version: of the server
    """
    requests, replies, headers = get_args(Request), get_args(Reply), (PointsHeader, ArrayHeader)
    _, schemas = msgspec.json.schema_components((*requests, *replies, *headers), ref_template="#/components/schemas/{name}")
    messages = {_name(kind): _message(kind, kind in headers) for kind in (*requests, *replies, *headers)}
    channel = {"$ref": "#/channels/feed"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"wpb's websocket feed, {SUBPROTOCOL}",
            "version": version,
            "description": "Reconstructions of scans as append-only tables of points, and arrays of which the latest version counts.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "feed": {
                "address": "/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {
            "ask": {"action": "receive", "channel": channel, "messages": _of(requests), "summary": "What clients ask."},
            "tell": {"action": "send", "channel": channel, "messages": _of((*replies, *headers)), "summary": "What clients are told."},
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _message(kind: type[Any], binary: bool) -> dict[str, Any]:
    summary = (kind.__doc__ or "").partition("\n")[0]
    made: dict[str, Any] = {"name": _name(kind), "summary": summary, "payload": {"$ref": f"#/components/schemas/{kind.__name__}"}}
    return {**made, "contentType": BINARY, "description": _LAYOUT} if binary else made


def _of(kinds: tuple[type[Any], ...]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/feed/messages/{_name(kind)}"} for kind in kinds]


def _name(kind: type[Any]) -> str:
    """A message is called what its ``type`` says."""
    tag = msgspec.inspect.type_info(kind).tag  # type: ignore[attr-defined]
    return str(tag)
