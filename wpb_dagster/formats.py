"""How each kind of result lies in a run's folder: a file each, there whole or not at all, readable without us."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from wpb_dagster import scan_frames
from wpb_dagster.reconstruction import Maps, Values
from wpb_dagster.scan_frames import ScanFrames
from wpb_stream.core.documents import Document
from wpb_stream.core.messages import RunInfo
from wpb_stream.core.recipe import Notice
from wpb_stream.wholefile import whole_file


def write_whole(path: Path, value: bytes) -> None:
    """Write a file so that whoever looks finds the old one or the new one."""
    with whole_file(path) as unfinished:
        unfinished.write_bytes(value)


def encode(value: object) -> tuple[str, bytes]:
    """The suffix and the bytes of a value's file.

    :raises TypeError: no kind of result that is known here
    """
    match value:
        case [*documents] if all(isinstance(document, Document) for document in documents):
            return ".jsonl", encode_documents(documents)
        case Values():
            return ".json", msgspec.json.encode(value)
        case Maps():
            return ".npz", _encode_maps(value)
        case ScanFrames():
            return ".npz", scan_frames.encode(value)
        case _:
            raise TypeError(f"there is no file format for a {type(value).__name__}")


def encode_documents(documents: list[Document]) -> bytes:
    """Documents as JSON Lines, which ``wpb replay`` plays. NaN stays NaN, as Python's own JSON has it."""
    lines = (json.dumps({"name": document.name, "doc": document.doc}) for document in documents)
    return "".join(line + "\n" for line in lines).encode()


def decode_documents(value: bytes) -> list[Document]:
    """The documents that :func:`encode_documents` wrote."""
    entries: list[dict[str, Any]] = [json.loads(line) for line in value.splitlines()]
    return [Document(entry["name"], entry["doc"]) for entry in entries]


def decode_values(value: bytes) -> Values:
    """The description of a reconstruction."""
    return msgspec.json.decode(value, type=Values)


class _About(msgspec.Struct):
    info: RunInfo
    revision: str
    notices: list[Notice]
    channels: list[str]


def _encode_maps(maps: Maps) -> bytes:
    about = msgspec.json.encode(_About(maps.info, maps.revision, maps.notices, list(maps.channels)))
    out = io.BytesIO()
    # Stacked, because channels are called what people like, and names of members of a zip file are not.
    stacked = np.stack(list(maps.channels.values())) if maps.channels else np.empty((0, *maps.info.shape))
    np.savez_compressed(out, allow_pickle=False, maps=stacked, about=np.frombuffer(about, np.uint8))
    return out.getvalue()


def decode_maps(value: bytes) -> Maps:
    """The maps of a revision."""
    with np.load(io.BytesIO(value), allow_pickle=False) as stored:
        about = msgspec.json.decode(stored["about"].tobytes(), type=_About)
        stacked = stored["maps"]
    return Maps(about.info, about.revision, about.notices, dict(zip(about.channels, stacked, strict=True)))
