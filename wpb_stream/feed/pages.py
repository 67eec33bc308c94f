"""The viewer's files, prepared once: each as it is, and packed for browsers that take it so, which all do."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

from wpb_stream.feed.http import CONTENT_TYPES, SECURITY_HEADERS, Answer, path_of, plain

HISTORY, RUN = "/runs", "/runs/"
"""Paths of the page as it opens with the list of runs, and with one of them: that of each run is answered as ``/runs/``."""
_COMMENTS = re.compile(rb"^[ \t]*(?://[^\n]*\n|/\*(?!!)(?:(?!\*/).)*\*/[ \t]*\n?)", re.MULTILINE | re.DOTALL)
_BASE = b'<base href="./">'
_BASE_OF_RUN = b'<base href="../">'


def viewer_files(embed_origins: Sequence[str] = ()) -> dict[str, Answer]:
    """The viewer, as it ships in the package: path to answer.

    :param embed_origins: other web origins whose pages may show it in a frame
    """
    answers: dict[str, Answer] = {}
    for file in files("wpb_stream.feed").joinpath("viewer").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in CONTENT_TYPES:
            status, headers, body = plain(200, CONTENT_TYPES[suffix], file.read_bytes())
            if suffix in (".js", ".css"):
                # Pages elsewhere may import the client and the map: these are the same for everybody. Whether such a page may then open the
                # feed is decided at /ws.
                headers["Access-Control-Allow-Origin"] = "*"
            answers["/" + file.name] = status, headers, body
    page = _framed(answers["/index.html"], embed_origins)
    answers["/"] = answers["/index.html"] = answers[HISTORY] = page
    answers[RUN] = _with_body(page, page[2].replace(_BASE, _BASE_OF_RUN))
    return answers


def packed(answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """The same answers, compressed with gzip where that makes them smaller; modules without the comments that lines begin with."""
    return {
        path: _packed(_with_body(answer, without_comments(answer[2])) if path.endswith(".js") else answer)
        for path, answer in answers.items()
    }


def without_comments(module: bytes) -> bytes:
    """A module of the viewer without the comments that lines begin with: a quarter of what is sent, and nothing that a browser reads.

    Those that begin with ``/*!`` stay: they say whose work it is.

    Only right for modules none of whose strings has a line that looks like a comment.
    """
    return _COMMENTS.sub(b"", module)


def takes_gzip(accepted: str | None) -> bool:
    """Whether a client takes what is compressed so, by its header ``Accept-Encoding``."""
    for part in (accepted or "").lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def page_of(target: str) -> str:
    """Which file is meant by a request: the path, decoded; a run's page is the same file for all runs."""
    raw = target.partition("?")[0]
    # Not decoded: a name with an encoded slash in it is one name, as the browser sees it that resolves the page's addresses.
    return RUN if raw.startswith(RUN) and "/" not in raw.removeprefix(RUN) else path_of(target)


def _framed(page: Answer, origins: Sequence[str]) -> Answer:
    status, headers, body = page
    policy = SECURITY_HEADERS["Content-Security-Policy"].replace("frame-ancestors 'self'", " ".join(("frame-ancestors 'self'", *origins)))
    return status, headers | {"Content-Security-Policy": policy}, body


def _with_body(answer: Answer, body: bytes) -> Answer:
    status, headers, _ = answer
    return status, headers | {"Content-Length": str(len(body))}, body


def _packed(answer: Answer) -> Answer:
    status, headers, body = answer
    headers = headers | {"Vary": "Accept-Encoding"}
    small = gzip.compress(body, mtime=0)
    if len(small) >= len(body):
        return status, headers, body
    return _with_body((status, headers | {"Content-Encoding": "gzip"}, body), small)
