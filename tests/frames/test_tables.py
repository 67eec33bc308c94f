"""Rows of CSV files: growing, half written, with and without a header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wpb_stream.core.exceptions import FrameBroken, FrameNotYet
from wpb_stream.core.window import StreamFile
from wpb_stream.frames import tables
from wpb_stream.frames.reader import FrameReader

ROWS = np.arange(1.0, 37).reshape(12, 3) / 4


@pytest.fixture
def table(folder: Path) -> Any:
    """Write lines; gives the resource that names the file."""

    def write(text: str, shape: Any, mimetype: str = "text/csv;header=absent", **parameters: Any) -> StreamFile:
        (folder / "a.csv").write_text(text)
        return StreamFile("r", "table", mimetype, (folder / "a.csv").as_uri(), parameters, shape)

    return write


def lines(rows: Any = ROWS, separator: str = ",") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows.tolist())


@pytest.mark.parametrize(
    ("shape", "indices", "expected"),
    [
        ((3,), [11, 0], ROWS[[11, 0]][:, None, None]),
        ((1, 3), [11, 0], ROWS[[11, 0]][:, None, None]),
        (None, [11, 0], ROWS[[11, 0]][:, None, None]),
        ((4, 3), [2, 0], ROWS.reshape(3, 1, 4, 3)[[2, 0]]),
        ((1, 4, 3), [2, 0], ROWS.reshape(3, 1, 4, 3)[[2, 0]]),
        ((), [5], ROWS[[5]][:, None, None]),
    ],
)
def test_as_many_rows_make_an_index_as_hold_its_numbers(reader: FrameReader, table: Any, shape: Any, indices: Any, expected: Any) -> None:
    np.testing.assert_array_equal(reader.read(table(lines(), shape), indices), expected)


def test_a_column_of_numbers(reader: FrameReader, table: Any) -> None:
    column = ROWS[:, :1]
    np.testing.assert_array_equal(reader.read(table(lines(column), ()), [7])[0, 0, 0], column[7])
    np.testing.assert_array_equal(reader.read(table(lines(column), (4,)), [2])[0, 0].ravel(), column[8:, 0])


@pytest.mark.parametrize(
    ("text", "mimetype", "parameters"),
    [
        ("x,y,z\n" + lines(), "text/csv", {}),
        (lines(), "text/csv", {}),
        ("1,2,3\n" + lines(), "text/csv; header=present", {}),
        (lines(), "TEXT/CSV;header=absent", {}),
        ("# made by\n# nobody\nx,y,z\n" + lines(), "text/csv", {"skiprows": 2}),
        (lines(separator=";"), "text/csv", {"sep": ";"}),
        (lines(separator="\t"), "text/csv", {"delimiter": "\t"}),
        (lines().replace("\n", "\r\n"), "text/csv", {}),
        ("\n" + lines().replace("\n", "\n\n"), "text/csv", {}),
    ],
)
def test_headers_separators_and_line_ends(reader: FrameReader, table: Any, text: str, mimetype: str, parameters: dict[str, Any]) -> None:
    file = table(text, (3,), mimetype, **parameters)
    np.testing.assert_array_equal(reader.read(file, range(12))[:, 0, 0], ROWS)


def test_a_row_counts_once_its_line_has_ended(reader: FrameReader, table: Any, folder: Path) -> None:
    file = table("", (3,))
    whole = lines()
    written = 0
    with (folder / "a.csv").open("a") as growing:
        for index in range(12):
            end = whole.index("\n", written)
            growing.write(whole[written:end])
            growing.flush()
            with pytest.raises(FrameNotYet):
                reader.read(file, [index])
            growing.write("\n")
            growing.flush()
            written = end + 1
            np.testing.assert_array_equal(reader.read(file, [index])[0, 0, 0], ROWS[index])


def test_a_file_longer_than_what_is_read_at_once(reader: FrameReader, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 7)
    np.testing.assert_array_equal(reader.read(table("x,y,z\n" + lines(), (3,), "text/csv"), range(12))[:, 0, 0], ROWS)


def test_a_file_that_was_cut_is_read_anew(reader: FrameReader, table: Any) -> None:
    np.testing.assert_array_equal(reader.read(table(lines(), (3,)), [11])[0, 0, 0], ROWS[11])
    file = table(lines(ROWS[:2] + 1), (3,))
    np.testing.assert_array_equal(reader.read(file, [1])[0, 0, 0], ROWS[1] + 1)
    with pytest.raises(FrameNotYet, match="has 2 rows so far"):
        reader.read(file, [11])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1,2,3\n1,two,3\n", "row 1 .* not all numbers"),
        ("1,2,3\n1,2\n", "row 1 .* 2 columns, where the first has 3"),
        ("1," * (1 << 20), "line of more than"),
    ],
)
def test_what_is_no_table_of_numbers_is_told(reader: FrameReader, table: Any, text: str, told: str) -> None:
    with pytest.raises(FrameBroken, match=told):
        reader.read(table(text, (3,)), [1])


@pytest.mark.parametrize("parameters", [{"sep": ", "}, {"sep": 7}, {"skiprows": "all"}])
def test_parameters_that_are_not_followed_are_told(reader: FrameReader, table: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(FrameBroken, match="expected a character and a number"):
        reader.read(table(lines(), (3,), **parameters), [0])
