"""The binary messages of the feed: rows of a table, and arrays, laid out so that a browser reads them without copying.

::

    bytes 0..3   H, length of the header, uint32 little-endian
    bytes 4..    header: UTF-8 JSON, padded with spaces so that 4 + H is a multiple of 8
    then         payload: raw little-endian arrays, each at an offset (from the payload's start) that is a multiple of 8
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.limits import Limits

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Column(msgspec.Struct, frozen=True):
    """One column of a slice of rows."""

    name: str
    dtype: str
    offset: _Count


class PointsHeader(msgspec.Struct, tag="points", tag_field="type", frozen=True, omit_defaults=True):
    """Header of a slice of rows."""

    id: int
    run: str
    revision: str
    first_row: _Count
    rows: _Count
    points_expected: int | None
    columns: list[Column]
    limits: dict[str, Limits] | None = None
    """Of each channel, over all rows there are; beyond the protocol's own fields. A channel without finite values has none."""
    arrived: float | None = None
    """When the document came that announced the last row, seconds since 1970 by the server's clock; beyond the protocol's own fields. Left
    out where that is not known: of runs that ended, say."""


class ArrayHeader(msgspec.Struct, tag="array", tag_field="type", frozen=True, omit_defaults=True):
    """Header of an array; its latest version wins."""

    id: int
    run: str
    revision: str
    name: str
    version: int
    dtype: str
    shape: list[_Count]
    offset: _Count
    full_shape: list[_Count] | None = None
    """Of a frame that was made smaller, before it was; beyond the protocol's own fields."""


_header_decoder = msgspec.json.Decoder(PointsHeader | ArrayHeader)


def encode_points(
    rows: npt.NDArray[np.void],
    *,
    subscription: int,
    run: str,
    revision: str,
    first_row: int,
    points_expected: int | None,
    channels: Sequence[str],
    limits: dict[str, Limits] | None = None,
    arrived: float | None = None,
) -> bytes:
    """A slice of rows as one binary message.

    :param rows: structured array of a point table's layout, shape (n,)
    :param channels: the columns to send, besides ``point`` and ``cell``
    """
    columns: list[Column] = []
    parts: list[bytes] = []
    offset = 0
    for name in ("point", "cell", *channels):
        part = np.ascontiguousarray(rows[name]).tobytes()
        columns.append(Column(name, rows.dtype[name].str, offset))
        part += b"\0" * (-len(part) % 8)
        parts.append(part)
        offset += len(part)
    header = PointsHeader(subscription, run, revision, first_row, len(rows), points_expected, columns, limits, arrived)
    return framed(msgspec.json.encode(header), parts)


def encode_array(
    values: npt.NDArray[Any],
    *,
    subscription: int,
    run: str,
    revision: str,
    name: str,
    version: int,
    full_shape: tuple[int, int] | None = None,
) -> bytes:
    """An array as one binary message, in C order and little-endian.

    :param full_shape: of a frame that was made smaller, before it was
    """
    part = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    full = None if full_shape is None else list(full_shape)
    header = ArrayHeader(subscription, run, revision, name, version, part.dtype.str, list(values.shape), 0, full)
    payload = part.tobytes()
    return framed(msgspec.json.encode(header), [payload, b"\0" * (-len(payload) % 8)])


def framed(header: bytes, payload: Sequence[bytes]) -> bytes:
    """A header in JSON, padded, and after it a payload, which is given in pieces."""
    header += b" " * (-(4 + len(header)) % 8)
    return b"".join((len(header).to_bytes(4, "little"), header, *payload))


def header_length(data: bytes) -> int:
    """Bytes of the header of a binary message, which follows the first four."""
    return int.from_bytes(data[:4], "little")


def decode_binary(data: bytes) -> tuple[PointsHeader | ArrayHeader, dict[str, npt.NDArray[Any]]]:
    """Header and columns (or the one array, by its name) of a binary message; the arrays are views on ``data``.

    :raises ProtocolError: the message is damaged
    """
    try:
        length = header_length(data)
        header = _header_decoder.decode(data[4 : 4 + length])
        payload = memoryview(data)[4 + length :]
        if isinstance(header, ArrayHeader):
            return header, {header.name: _numbers(payload, header.dtype, prod(header.shape), header.offset).reshape(header.shape)}
        return header, {c.name: _numbers(payload, c.dtype, header.rows, c.offset) for c in header.columns}
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError) as error:
        raise ProtocolError("bad_message", f"a damaged binary message: {error}") from None


def _numbers(payload: memoryview, dtype: str, count: int, offset: int) -> npt.NDArray[Any]:
    if np.dtype(dtype).kind not in "biuf":
        raise TypeError(f"values of the type {dtype}, which are no numbers")
    return np.frombuffer(payload, dtype, count, offset)
