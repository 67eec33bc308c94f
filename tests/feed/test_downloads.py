"""A reconstruction as a file: what is read back is what was written."""

from __future__ import annotations

import csv
import io

import msgspec
import numpy as np

from tests.feed.test_subscription import reconstruction
from wpb_stream.core.messages import AxisInfo
from wpb_stream.feed.downloads import as_csv, as_npz


def test_positions_are_those_of_the_axes_and_numbers_are_told_in_full() -> None:
    made = reconstruction(["total"])
    axes = [AxisInfo("y", "mm", 5.0, 6.0, False), AxisInfo("x", None, None, None, True)]
    made.run = msgspec.structs.replace(made.run, shape=[3, 4], axes=axes)
    values = np.array([[0.1], [1 / 3], [np.nan]])
    made.table.append([0, 1, 7], [0, 5, 11], values)
    header, *rows = csv.reader(io.StringIO(as_csv(made).decode()))
    assert header == ["point", "y (mm)", "x", "total (counts)"]
    assert [[float(each) for each in row] for row in rows[:2]] == [[0, 5.0, 0, 0.1], [1, 5.5, 1, 1 / 3]]
    assert rows[2] == ["7", "6.0", "3.0", "nan"]


def test_arrays_are_numbered_and_named_in_what_is_told_of_them() -> None:
    made = reconstruction(["total"], rows=2)
    made.show({"fit.a/b.centre": np.arange(3.0), "mean_frame": np.ones((2, 2), np.float32)})
    with np.load(io.BytesIO(as_npz(made)), allow_pickle=False) as stored:
        about = msgspec.json.decode(str(stored["about"]))
        assert about["arrays"] == ["fit.a/b.centre", "mean_frame"]
        assert stored["array_0"].tolist() == [0.0, 1.0, 2.0]
        assert stored["array_1"].dtype == np.float32
