"""An OpenID provider as far as we see one: keys, tokens signed by them, and a web server that has the public ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://id.example.org/realms/b01-1"
AUDIENCE = "wpb"
RSA_KEY = rsa.generate_private_key(65537, 2048)
_OF = {
    "RS": (lambda: RSA_KEY, RSAAlgorithm),
    "PS": (lambda: RSA_KEY, RSAAlgorithm),
    "ES": (lambda: ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
}


class Signer:
    """A key pair.

    :param names_algorithm: whether the public key says which algorithm it is for
    """

    def __init__(self, kid: str | None, algorithm: str = "ES256", *, names_algorithm: bool = True, key: Any = None) -> None:
        make, kind = _OF.get(algorithm[:2], (ed25519.Ed25519PrivateKey.generate, OKPAlgorithm))
        self.kid, self.algorithm, self.private = kid, algorithm, key or make()
        told = {"kid": kid, "use": "sig", "alg": algorithm if names_algorithm else None}
        self.public: dict[str, Any] = {**kind.to_jwk(self.private.public_key(), as_dict=True), **{k: v for k, v in told.items() if v}}

    def token(self, *, headers: dict[str, Any] | None = None, algorithm: str | None = None, **claims: Any) -> str:
        """A token that lets watch for an hour, but for these claims; those that are None are left out."""
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ab12345", "exp": int(time()) + 3600, "scope": "openid watch"}
        kept = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        named = {"kid": self.kid} if self.kid else {}
        return jwt.encode(kept, self.private, algorithm or self.algorithm, headers={**named, **(headers or {})})


class KeyServer(ThreadingHTTPServer):
    """Serves a key set over HTTP, and counts how often it was asked."""

    def __init__(self, *signers: Signer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = 0
        self.body = b""
        self.serves(*signers)

    def serves(self, *signers: Signer) -> None:
        """From now on it has these keys."""
        self.body = json.dumps({"keys": [signer.public for signer in signers]}).encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/certs"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, KeyServer)
        self.server.asked += 1
        if self.path != "/certs":
            self.send_response(302)
            self.send_header("Location", "/certs")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def do_POST(self) -> None:
        assert isinstance(self.server, KeyServer)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def key_server(*signers: Signer) -> Iterator[KeyServer]:
    """A web server of these keys; it is gone after the context."""
    with KeyServer(*signers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
