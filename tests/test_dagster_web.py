"""What is asked of Dagster's web server where another one is. The real one: tests/dagster/test_asked_again.py."""

from __future__ import annotations

import pytest

from tests.helpers.provider import key_server
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.dagster_web import DagsterWeb


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"data": null}', b'{"errors": []}', b'{"data": {"repositoriesOrError": []}}', b'{"data": {"x": 1}}'],
)
async def test_an_answer_that_is_none_of_dagsters_is_told_as_that(body: bytes) -> None:
    with key_server() as server:
        server.body = body
        url = server.url.removesuffix("/certs")
        with pytest.raises(ServiceError, match=f"what is at {url} does not answer as Dagster does"):
            await DagsterWeb(url).launch("reprocess", {}, {})
