"""Which detector of a run its maps are made of: follows from the descriptors, whatever order they come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wpb_stream.core.narrow import as_mapping

NO_MAP_STREAMS = frozenset({"baseline", "interruptions"})
"""Streams that Bluesky itself adds; what is in them is no point of the scan."""

Key = tuple[str, str]
"""Stream and data key."""


@dataclass(frozen=True, slots=True, order=True)
class _Candidate:
    """A data key that may be meant; the least is taken."""

    aside: bool
    """Of a stream that Bluesky adds."""
    no_image: bool
    time: float
    descriptor: str
    position: int
    """Among the data keys of its descriptor."""
    key: Key = field(compare=False)
    external: bool = field(compare=False)


@dataclass(slots=True)
class Detectors:
    """The detectors of one run, as far as they are described.

    Images come before numbers and spectra, then the stream that was described first, by the time in its descriptor: never by which
    document happened to arrive first, for buses reorder.
    """

    wanted: str | None = None
    """The data key that was asked for; None for any that writes to files."""
    _candidates: dict[Key, _Candidate] = field(default_factory=dict[Key, _Candidate])

    def see(self, descriptor: Mapping[str, Any]) -> None:
        """Take in one descriptor."""
        stream = stream_of(descriptor)
        for position, (name, told) in enumerate(as_mapping(descriptor["data_keys"]).items()):
            aside = stream in NO_MAP_STREAMS
            if name != self.wanted if self.wanted is not None else aside or "external" not in as_mapping(told):
                continue
            key = (stream, name)
            no_image, external = not _is_image(as_mapping(told)), "external" in as_mapping(told)
            found = _Candidate(aside, no_image, descriptor["time"], descriptor["uid"], position, key, external)
            self._candidates[key] = min(found, self._candidates.get(key, found))

    @property
    def chosen(self) -> Key | None:
        """The one that the maps are made of; None while none is described."""
        return min(self._candidates.values()).key if self._candidates else None

    @property
    def keys(self) -> list[Key]:
        """All that may be meant, the one that is chosen first."""
        return [candidate.key for candidate in sorted(self._candidates.values())]

    def writes_files(self, key: Key) -> bool:
        """Whether a detector is described as one whose values are in files."""
        return key in self._candidates and self._candidates[key].external

    def writes_images(self, key: Key) -> bool:
        """Whether a detector is described as one that writes images."""
        return key in self._candidates and not self._candidates[key].no_image

    @property
    def guess(self) -> str | None:
        """What is to be said of the choice; None if there was none to make."""
        images = sorted(candidate for candidate in self._candidates.values() if not candidate.no_image)
        if self.wanted is not None or len(images) < 2:
            return None
        one_stream = len({candidate.key[0] for candidate in images}) == 1
        names = [name if one_stream else f"{name} of stream {stream}" for stream, name in (candidate.key for candidate in images)]
        return f"Several detectors write images ({', '.join(names)}); the maps are made from {names[0]!r}."


def stream_of(descriptor: Mapping[str, Any]) -> str:
    """The stream that a descriptor describes."""
    return descriptor.get("name") or "primary"


def _is_image(data_key: Mapping[str, Any]) -> bool:
    return "external" in data_key and len(data_key.get("shape") or ()) >= 2
