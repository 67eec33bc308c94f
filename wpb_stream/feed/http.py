"""HTTP beside the feed: the viewer's files, prepared once, and small answers. A pure function of path and headers."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from urllib.parse import unquote, urlsplit

from wpb_stream.catalogue.results import Results

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".png": "image/png",
}
SECURITY_HEADERS = {
    # Everything from this server alone; a page elsewhere may show its pictures but not frame it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

SHARED = ("/client.js",)
"""Files of the viewer that pages of other origins may import: the client of the feed, which is the same for everybody.

Whether such a page may then open the feed is decided at ``/ws``."""

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


def viewer_files() -> dict[str, Answer]:
    """The viewer, as it ships in the package: path to answer."""
    answers: dict[str, Answer] = {}
    for file in files("wpb_stream.feed").joinpath("viewer").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in CONTENT_TYPES:
            answers["/" + file.name] = plain(200, CONTENT_TYPES[suffix], file.read_bytes())
    for path in SHARED:
        answers[path][1]["Access-Control-Allow-Origin"] = "*"
    answers["/"] = answers["/index.html"]
    return answers


def answer(method: str, target: str, static: Mapping[str, Answer], results: Results) -> Answer:
    """What a plain HTTP request gets; see :func:`preview_of`."""
    if method not in ("GET", "HEAD"):
        status, headers, body = plain(405, "text/plain", b"Only GET here; everything else goes over the websocket at /ws.\n")
        return status, headers | {"Allow": "GET, HEAD"}, body
    path = path_of(target)
    if path in static:
        return static[path]
    if path.strip("/") == "healthz":
        return plain(200, "text/plain", b"ok\n")
    uid = preview_of(target)
    preview = None if uid is None else results.preview(uid)
    if preview is not None:
        return plain(200, "image/png", preview)
    return plain(404, "text/plain", b"Nothing here. The viewer is at /, the feed at /ws.\n")


def same_origin(origin: str | None, host: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether a websocket may be opened by a page of that origin: ours, an allowed one, or no page at all."""
    if origin is None or origin in allowed:
        return True
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:  # "http://[": no browser sends that
        return False


def path_of(target: str) -> str:
    """The path of a request, decoded."""
    return unquote(target.partition("?")[0])


def is_public(target: str, static: Mapping[str, Answer]) -> bool:
    """Whether anybody may have it: it tells nothing of runs."""
    path = path_of(target)
    return path in static or path.strip("/") in ("healthz", "readyz")


def unauthorized() -> Answer:
    """What a request gets that shows no token, or a wrong one."""
    status, headers, body = plain(401, "text/plain", b"A token is needed here: Authorization: Bearer TOKEN.\n")
    return status, headers | {"WWW-Authenticate": "Bearer"}, body


def preview_of(target: str) -> str | None:
    """Uid of the run whose preview picture that is; None if it is something else.

    Where there is one :func:`answer` may wait for a disk, and belongs in a thread.
    """
    match path_of(target).strip("/").split("/"):
        case ["api", "runs", uid, "preview.png"]:
            return uid
        case _:
            return None


def plain(status: int, content_type: str, body: bytes) -> Answer:
    """An answer with the headers that all have."""
    return status, {"Content-Type": content_type, "Content-Length": str(len(body)), "Cache-Control": "no-cache", **SECURITY_HEADERS}, body
