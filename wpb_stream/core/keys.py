"""Which run a document is of: the key it is published under, so that a run stays in one partition and in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

KEPT_ENDED = 16
"""Ended runs whose late documents are still known as theirs."""

_REFERENCES = ("run_start", "descriptor", "stream_resource", "resource")
_OWNERS = frozenset({"descriptor", "stream_resource", "resource"})


class RunKeys:
    """Follows documents in the order a RunEngine gives them; runs may be interleaved. Bounded: ended runs are forgotten."""

    def __init__(self) -> None:
        self._run_of: dict[str, str] = {}
        self._owned: dict[str, list[str]] = {}
        self._ended: deque[str] = deque()
        self._latest: str | None = None

    def run_of(self, name: str, doc: Mapping[str, Any]) -> str | None:
        """The uid of the document's run; of the run begun last if the document names none that is known, None before any."""
        uid = doc.get("uid")
        if name == "start":
            self._latest = uid if isinstance(uid, str) else None
            run = self._latest
        else:
            owner = next((doc[key] for key in _REFERENCES if key in doc), None)
            run = self._run_of.get(owner, self._latest) if isinstance(owner, str) else self._latest
        if run is not None and isinstance(uid, str) and (name == "start" or name in _OWNERS):
            self._run_of[uid] = run
            self._owned.setdefault(run, []).append(uid)
        if run is not None and name == "stop":
            self._end(run)
        return run

    def _end(self, run: str) -> None:
        self._ended.append(run)
        if len(self._ended) > KEPT_ENDED:
            for uid in self._owned.pop(self._ended.popleft(), ()):
                self._run_of.pop(uid, None)
