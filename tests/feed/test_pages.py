"""The viewer's files: what is prepared of them, and which is meant by a request."""

from __future__ import annotations

import gzip
import re

import pytest

from wpb_stream.feed.http import CONTENT_TYPES, SECURITY_HEADERS, Answer, answer
from wpb_stream.feed.pages import packed, page_of, takes_gzip, viewer_files, without_comments

STATIC = viewer_files()


def get(target: str, static: dict[str, Answer] = STATIC) -> Answer:
    return answer("GET", page_of(target), static)


@pytest.mark.parametrize("target", ["/", "/?run=latest", "/index.html", "/runs", "/runs?text=foil", "/runs/u?channel=red", "/runs/a%2Fb"])
def test_the_viewer_is_at_the_root_and_at_the_address_of_each_run(target: str) -> None:
    status, headers, body = get(target)
    assert (status, headers["Content-Type"], headers["Content-Length"]) == (200, CONTENT_TYPES[".html"], str(len(body)))
    # Its addresses are relative to where it would be at the root, so that it also works below a path of a proxy.
    assert (b'<base href="../">' in body, b'<base href="./">' in body) == ((True, False) if "/runs/" in target else (False, True))


@pytest.mark.parametrize("target", ["/runs/u/map.csv", "/runs//", "/runs/../http.py", "/runsu", "/api/runs/u"])
def test_nothing_else_is_taken_for_the_address_of_a_run(target: str) -> None:
    assert get(target)[0] == 404


def test_every_file_of_the_viewer_is_served_with_its_type_and_its_length() -> None:
    assert {path.rpartition(".")[2] for path in STATIC} >= {"html", "js", "css"}
    for path in STATIC:
        status, headers, body = get(path)
        assert status == 200
        assert headers["Content-Type"] in CONTENT_TYPES.values()
        assert headers["Content-Length"] == str(len(body))


def test_every_file_is_the_same_packed_and_smaller() -> None:
    small = packed(STATIC)
    for path, (_, headers, body) in small.items():
        plain = STATIC[path][2]
        sent = gzip.decompress(body) if "Content-Encoding" in headers else body
        assert sent == (without_comments(plain) if path.endswith(".js") else plain)
        assert headers["Content-Length"] == str(len(body))
        assert headers["Vary"] == "Accept-Encoding"
        assert path.endswith(".svg") or len(body) < 0.6 * len(plain) or len(plain) < 1000, "of a few lines there is little to repeat"


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br;q=1, GZIP ; q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("x-gzip-not", False),
        ("", False),
        (None, False),
    ],
)
def test_a_client_gets_it_packed_if_it_says_that_it_takes_that(accepted: str | None, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


def test_a_module_is_sent_with_all_of_its_code() -> None:
    source = b"// Says why.\n/**\n * @type {string} */\nconst a = `// b`; // c\n  /** d */ let e;\n  // f\n\n  /* g */\nh();\n"
    assert without_comments(source) == b"const a = `// b`; // c\nlet e;\n\nh();\n"
    for path, (_, _, module) in STATIC.items():
        strings = re.findall(rb"`[^`]*`", module) if path.endswith(".js") else []
        assert [each for each in strings if without_comments(each) != each] == [], "a string that looks like a comment would be lost"


def test_the_whole_page_is_below_a_hundred_kilobytes() -> None:
    others = {"/map.js", "/", "/runs", "/runs/"}  # the first is for pages elsewhere; the page is counted once
    sizes = {path: len(body) for path, (_, _, body) in packed(STATIC).items() if path not in others}
    assert sum(sizes.values()) < 100_000, sorted(sizes.items(), key=lambda each: -each[1])


def test_pages_elsewhere_may_import_its_modules_and_styles_and_read_nothing_else() -> None:
    shared = {path for path in [*STATIC, "/healthz", "/nothing"] if "Access-Control-Allow-Origin" in get(path)[1]}
    assert shared == {path for path in STATIC if path.endswith((".js", ".css"))}
    assert get("/client.js")[1]["Access-Control-Allow-Origin"] == "*"


def test_pages_elsewhere_may_frame_it_if_the_settings_name_them() -> None:
    framed = viewer_files(["https://portal.example.org", "http://localhost:5173"])
    for path in ("/", "/runs", "/runs/u", "/index.html"):
        policies = [get(path, static)[1]["Content-Security-Policy"].split("; ")[-1] for static in (STATIC, framed)]
        assert policies == ["frame-ancestors 'self'", "frame-ancestors 'self' https://portal.example.org http://localhost:5173"]
    assert get("/app.js", framed)[1]["Content-Security-Policy"] == SECURITY_HEADERS["Content-Security-Policy"]


def test_whose_work_a_module_is_goes_with_it() -> None:
    _, _, sent = viewer_files()["/uplot.js"]
    assert b"Copyright (c) 2022 Leon Sorokin" in without_comments(sent)
