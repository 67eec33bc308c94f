"""Binary messages kept as files, which every encoder and decoder of the protocol holds to: this one, and that of the browser client.

``NAME.bin`` is a message, ``NAME.json`` what it says. They stay as they are: another byte would be another protocol.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from wpb_stream.core.binary import PointsHeader, decode_binary, encode_array, encode_points
from wpb_stream.core.exceptions import ProtocolError

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.bin"))
BROKEN: list[dict[str, str]] = json.loads((GOLDEN / "broken.json").read_text())


def numbers(values: list[float | str], dtype: str) -> npt.NDArray[Any]:
    """JSON has no NaN and no infinities: they are text there."""
    return np.array([float(value) if isinstance(value, str) else value for value in values], dtype)


def table(columns: dict[str, dict[str, Any]]) -> npt.NDArray[np.void]:
    filled = {name: numbers(column["values"], column["dtype"]) for name, column in columns.items()}
    rows = np.empty(len(filled["point"]), [(name, values.dtype) for name, values in filled.items()])
    for name, values in filled.items():
        rows[name] = values
    return rows


def encoded(said: dict[str, Any]) -> bytes:
    about = {"subscription": said["id"], "run": said["run"], "revision": said["revision"]}
    if said["type"] == "array":
        values = numbers(said["values"], said["dtype"]).reshape(said["shape"])
        return encode_array(values, **about, name=said["name"], version=said["version"])
    rest = {"first_row": said["first_row"], "points_expected": said["points_expected"]}
    return encode_points(table(said["columns"]), **about, **rest, channels=list(said["columns"])[2:])


@pytest.mark.parametrize("name", NAMES)
def test_what_a_message_says_is_encoded_byte_for_byte_and_read_bit_for_bit(name: str) -> None:
    said = json.loads((GOLDEN / f"{name}.json").read_text())
    message = (GOLDEN / f"{name}.bin").read_bytes()
    assert encoded(said) == message
    header, arrays = decode_binary(message)
    assert (header.id, header.run, header.revision) == (said["id"], said["run"], said["revision"])
    if isinstance(header, PointsHeader):
        assert (header.first_row, header.points_expected) == (said["first_row"], said["points_expected"])
        expected = {column: numbers(each["values"], each["dtype"]) for column, each in said["columns"].items()}
    else:
        assert header.version == said["version"]
        expected = {said["name"]: numbers(said["values"], said["dtype"]).reshape(said["shape"])}
    assert {name: (each.dtype, each.shape, each.tobytes()) for name, each in arrays.items()} == {
        name: (each.dtype, each.shape, each.tobytes()) for name, each in expected.items()
    }


def test_the_messages_have_headers_of_every_padding_and_arrays_of_every_type() -> None:
    messages = [(GOLDEN / f"{name}.bin").read_bytes() for name in NAMES]
    headers = [message[4 : 4 + int.from_bytes(message[:4], "little")] for message in messages]
    assert {len(header) - len(header.rstrip()) for header in headers} == set(range(8))
    said = [json.loads((GOLDEN / f"{name}.json").read_text()) for name in NAMES]
    types = {"<f8", "<f4", "<u4", "<i4", "<u2", "<i2", "|u1", "|i1"}
    assert {each["dtype"] for each in said if each["type"] == "array"} == types
    assert {column["dtype"] for each in said for column in each.get("columns", {}).values()} == types


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken["why"])
def test_a_damaged_message_is_refused_in_a_sentence(broken: dict[str, str]) -> None:
    with pytest.raises(ProtocolError, match=r"a damaged binary message: \S"):
        decode_binary(bytes.fromhex(broken["hex"]))
