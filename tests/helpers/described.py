"""Answers over HTTP held to what is published of them at ``/openapi.json``."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from wpb_stream.feed.openapi import document

PUBLISHED = document("0")


def described(target: str) -> dict[str, Any] | None:
    """The operation that answers GET for this; None if there is none."""
    path = target.partition("?")[0]
    for template, item in PUBLISHED["paths"].items():
        if re.fullmatch(re.escape(template).replace(r"\{uid\}", "[^/]+"), path):
            return item["get"]
    return None


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": PUBLISHED["components"]})


def assert_described(target: str, status: int, headers: dict[str, str], body: bytes, method: str = "GET") -> None:
    """The answer is one that the published document has; what it does not have is not found.

    :param headers: names in small letters
    """
    if method not in ("GET", "HEAD"):
        assert status == 405
        responses: dict[str, Any] = PUBLISHED["components"]["responses"]
    elif (operation := described(target)) is None:
        assert status == 404, f"{target} is answered, and not published"
        return
    else:
        responses = operation["responses"]
    response = responses[str(status)]
    if "$ref" in response:
        response = PUBLISHED["components"]["responses"][response["$ref"].rpartition("/")[2]]
    media = response["content"]
    assert headers["content-type"] in media
    if headers["content-type"] == "application/json":
        errors = [error.message for error in _validator(json.dumps(media["application/json"]["schema"])).iter_errors(json.loads(body))]
        assert not errors, (target, errors)
