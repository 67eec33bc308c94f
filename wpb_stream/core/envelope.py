"""Documents to bytes: msgpack of ``[name, doc]``, as bluesky-kafka publishes them; :mod:`~wpb_stream.core.documents` reads them again."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt


def encode(name: str, doc: object) -> bytes:
    """One message. numpy's arrays and numbers are written as msgpack-numpy does; sets and other iterables of Python as lists.

    :raises TypeError: the document holds what no reader could understand, such as an array of Python objects
    """
    return _encoder.encode([name, doc])


def is_pickle(value: bytes) -> bool:
    """Whether bytes begin as a pickle of protocol 2 to 5 does; no msgpack document and no JSON begins so."""
    return value[:1] == b"\x80" and value[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def _plain(value: Any) -> object:
    """What msgspec cannot write by itself."""
    if isinstance(value, np.ndarray):
        array = cast(npt.NDArray[Any], value)
        if array.dtype.hasobject or array.dtype.names:
            raise TypeError(f"an array of {array.dtype} cannot be published; only arrays of numbers and text can")
        if array.dtype.kind in "mM":
            return array.astype(np.int64).tolist()
        return {b"nd": True, b"type": array.dtype.str, b"kind": b"", b"shape": array.shape, b"data": array.tobytes()}
    if isinstance(value, np.generic):
        return cast("np.generic[Any]", value).item()
    if isinstance(value, (set, frozenset, range)):
        return list(cast(set[Any], value))
    raise TypeError(f"a {type(value).__name__} cannot be published")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
