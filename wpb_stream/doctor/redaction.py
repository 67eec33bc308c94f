"""No password is ever shown, wherever it comes from: URLs, options, what a server says of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from wpb_stream.doctor.findings import Finding
from wpb_stream.settings import Settings

HIDDEN = "***"
SHORTEST = 4
"""Characters of a password that is looked for in all text; a shorter one is part of too many words."""
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^\s@]*@")
_NAMED = re.compile(r"""(?i)((?:password|passcode|secret|token)["']?\s*[=:]\s*["']?)[^\s"',;&}]+""")
_SECRET_NAME = re.compile(r"(?i)password(?!_file)|passcode|secret|token")


class Redaction:
    """Hides the passwords of settings, by their values, and by what looks like one.

    :param settings: None where they could not be read
    """

    def __init__(self, settings: Settings | None) -> None:
        secrets = set(_secrets_of(settings)) if settings is not None else set[str]()
        for variable in (value for name, value in os.environ.items() if name.startswith("WPB_")):
            secrets.update(secret for url in variable.split() for secret in _secrets_in_url(url))
        self._secrets = sorted((secret for secret in secrets if len(secret) >= SHORTEST), key=len, reverse=True)

    def clean(self, finding: Finding) -> Finding:
        """The finding without them."""
        found, remedy, subject = map(self.hide, (finding.found, finding.remedy, finding.subject))
        return replace(finding, found=found, remedy=remedy, subject=subject)

    def hide(self, text: str) -> str:
        """The text without them."""
        text = _IN_URL.sub(rf"\1{HIDDEN}@", text)
        text = _NAMED.sub(rf"\1{HIDDEN}", text)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


def _secrets_of(settings: Settings) -> Iterator[str]:
    for url in (*settings.sources, settings.database_url, settings.dagster_database_url):
        yield from _secrets_in_url(url or "")
    if settings.token is not None:
        yield settings.token
    options: dict[str, Any] = {**settings.kafka_options, **settings.stomp_options}
    for name, value in options.items():
        if _SECRET_NAME.search(name) and isinstance(value, str):
            yield value


def _secrets_in_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        found = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    except ValueError:  # no URL at all
        return
    for secret in found:
        yield from (secret, unquote(secret))
