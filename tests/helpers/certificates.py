"""Certificates for tests: an authority of our own, a server it vouches for, and a client."""

from __future__ import annotations

import subprocess
from pathlib import Path

KEY_PASSWORD = "of the client's key"

_SERVER = "subjectAltName=DNS:localhost,IP:127.0.0.1\n"


class Certificates:
    """PEM files, made by OpenSSL's command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "authority.pem"
        """What clients trust."""
        self.broker = folder / "broker.pem"
        """Key and certificate of ``localhost``."""
        self.client, self.client_key = folder / "client.pem", folder / "client.key"
        """A client's certificate; its key is locked with `KEY_PASSWORD`."""
        self.stranger = folder / "stranger.pem"
        """Another authority, which vouched for nobody."""
        self._make_authority("authority")
        self._make_authority("stranger")
        self._make("broker", _SERVER)
        self._make("client", "")
        self.broker.write_text((folder / "broker.key").read_text() + self.broker.read_text())
        self._openssl("pkcs8", "-topk8", "-in", "client.key", "-passout", f"pass:{KEY_PASSWORD}", "-out", "locked.key")
        (folder / "locked.key").replace(self.client_key)

    def _make_authority(self, name: str) -> None:
        extensions = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._openssl(
            "req", "-x509", *_new_key(name), "-subj", f"/CN={name} of the tests", "-days", "2", "-out", f"{name}.pem", *extensions
        )

    def _make(self, name: str, extensions: str) -> None:
        (self.folder / f"{name}.ext").write_text(
            f"{extensions}basicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        self._openssl("req", *_new_key(name), "-subj", f"/CN={name}", "-out", f"{name}.csr")
        signing = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        self._openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)


def _new_key(name: str) -> tuple[str, ...]:
    return ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key")
