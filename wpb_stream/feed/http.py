"""HTTP beside the feed: files and small answers. Pure functions of path and headers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import unquote, urlsplit

from wpb_stream.core.access import is_loopback

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
    "base-uri 'self'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


def answer(method: str, path: str, static: Mapping[str, Answer]) -> Answer:
    """What a plain HTTP request gets for which neither the catalogue nor a disk is asked.

    :param path: decoded
    """
    if method not in ("GET", "HEAD"):
        return refused(405, "Only GET here; everything else goes over the websocket at /ws.", Allow="GET, HEAD")
    if path in static:
        return static[path]
    if path.strip("/") == "healthz":
        return plain(200, "text/plain", b"ok\n")
    return refused(404, "Nothing here. The viewer is at /, the feed at /ws.")


def same_origin(origin: str | None, host: str | None, allowed: tuple[str, ...]) -> bool:
    """Whether a websocket may be opened by a page of that origin: ours, an allowed one, or no page at all."""
    if origin is None or origin in allowed:
        return True
    try:
        return bool(host) and urlsplit(origin).netloc == host
    except ValueError:  # "http://[": no browser sends that
        return False


def served_here(host: str | None, names: Collection[str]) -> bool:
    """Whether a request was meant for us: a page elsewhere can give its own name our address, and then passes for our page.

    :param host: the header of that name; no browser leaves it out
    :param names: in small letters; those of loopback count anyway
    """
    if host is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in names or is_loopback(name)


def path_of(target: str) -> str:
    """The path of a request, decoded."""
    return unquote(target.partition("?")[0])


def is_public(path: str, static: Mapping[str, Answer]) -> bool:
    """Whether anybody may have it: it tells nothing of runs.

    :param path: decoded
    """
    return path in static or path.strip("/") in ("healthz", "readyz")


def refused(status: int, why: str, **more: str) -> Answer:
    """An answer that says why there is no other.

    :param more: headers, with ``_`` for ``-``
    """
    status, headers, body = plain(status, "text/plain", f"{why}\n".encode())
    return status, headers | {name.replace("_", "-"): value for name, value in more.items()}, body


def unauthorized() -> Answer:
    """What a request gets that shows no token, or a wrong one."""
    return refused(401, "A token is needed here: Authorization: Bearer TOKEN.", WWW_Authenticate="Bearer")


def plain(status: int, content_type: str, body: bytes) -> Answer:
    """An answer with the headers that all have."""
    return status, {"Content-Type": content_type, "Content-Length": str(len(body)), "Cache-Control": "no-cache", **SECURITY_HEADERS}, body
