"""A few megabytes that would be inflated to more than there is memory."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr
import zarr.codecs

from wpb_stream.core.exceptions import FrameBroken
from wpb_stream.core.window import FrameStatus, StreamFile
from wpb_stream.frames.reader import FrameReader

pytestmark = pytest.mark.faults

SIDE = 1024
GZIP = zlib.MAX_WBITS + 16
LIMIT_BYTES = 512 * 2**20

READ = f"""
import json, sys, time
from pathlib import Path
from wpb_stream.core.reducers import RegionSums
from wpb_stream.core.regions import Region
from wpb_stream.core.window import FrameRef, FrameStatus, StreamFile, window_request
from wpb_stream.frames import walls
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots

folder = Path(sys.argv[1])
status = open("/proc/self/status")
walls.MEMORY_LIMIT_BYTES = {LIMIT_BYTES}
walls.wall_in([folder])
reader = FrameReader(DataRoots((folder,)))
for mimetype, name, parameters in json.loads(sys.argv[2]):
    file = StreamFile("resource", "camera", mimetype, (folder / name).as_uri(), parameters)
    asked = [window_request([FrameRef(index, file, index)], RegionSums((Region("total"),))) for index in (0, 1)]
    bomb, after = map(reader.reduce, asked)
    for _ in range(50):  # a thread that was inflating may hold its memory for a moment
        if after.status[0] != FrameStatus.NOT_YET:
            break
        time.sleep(0.1)
        after = reader.reduce(asked[1])
    status.seek(0)
    peak, = (int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps([int(bomb.status[0]), bomb.reason, int(after.status[0]), after.reason, peak * 1024]))
"""
"""As a reader process does, with less memory: what it may have at most is nothing that a test should fill."""


def zeros(copies: int, wrapper: int = zlib.MAX_WBITS) -> bytes:
    """The beginning of a deflated stream of so many times 64 MiB of zeros; nobody gets to its end."""
    pack = zlib.compressobj(9, wbits=wrapper)
    first = pack.compress(bytes(2**26)) + pack.flush(zlib.Z_FULL_FLUSH)
    return first + (pack.compress(bytes(2**26)) + pack.flush(zlib.Z_FULL_FLUSH)) * (copies - 1)


def hdf5(path: Path, side: int, bomb: bytes) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        dataset = file.create_dataset("d", (2, side, side), "u1", chunks=(1, side, side), maxshape=(None, side, side), compression="gzip")
        dataset[1] = np.ones((side, side), "u1")
        dataset.id.write_direct_chunk((0, 0, 0), bomb)


def zarrs(path: Path, bomb: bytes) -> None:
    codec = zarr.codecs.GzipCodec()
    zarr.create_array(path, shape=(2, SIDE, SIDE), chunks=(1, SIDE, SIDE), dtype="u1", compressors=codec)[:] = 1
    (path / "c" / "0" / "0" / "0").write_bytes(bomb)


def tiff(path: Path, bomb: bytes) -> None:
    for _ in range(2):
        tifffile.imwrite(path, np.ones((SIDE, SIDE), "u1"), append=True, compression="zlib", rowsperstrip=SIDE)
    end = path.stat().st_size
    with path.open("ab") as file:
        file.write(bomb)
    with tifffile.TiffFile(path, mode="r+") as file:
        for name, value in (("StripOffsets", end), ("StripByteCounts", len(bomb))):
            file.pages[0].tags[name].overwrite(value)  # type: ignore[union-attr]


def test_a_chunk_that_is_stored_in_more_than_it_holds_is_broken_and_the_next_is_read(reader: FrameReader, folder: Path) -> None:
    hdf5(folder / "a.h5", 16, zeros(16))
    file = StreamFile("resource", "camera", "application/x-hdf5", (folder / "a.h5").as_uri(), {"dataset": "d"})
    with pytest.raises(FrameBroken, match=r"stored in \d+ bytes, of 256 that it holds"):
        reader.read(file, [0])
    assert reader.read(file, [1]).sum() == 256


def test_what_would_be_inflated_to_more_memory_than_a_reader_may_have_is_broken_and_the_next_frame_is_read(tmp_path: Path) -> None:
    hdf5(tmp_path / "a.h5", SIDE, zeros(30))
    zarrs(tmp_path / "a.zarr", zeros(30, GZIP))
    tiff(tmp_path / "a.tif", zeros(30))
    asked = [("application/x-hdf5", "a.h5", {"dataset": "d"}), ("application/x-zarr", "a.zarr", {}), ("image/tiff", "a.tif", {})]
    done = subprocess.run([sys.executable, "-c", READ, tmp_path, json.dumps(asked)], capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for (bomb, reason, after, why_not, peak), (_, name, _) in zip(answers, asked, strict=True):
        # The decoder of TIFF knows how much there may be, and takes more for a file that is not whole yet.
        assert bomb == (FrameStatus.NOT_YET if name == "a.tif" else FrameStatus.BROKEN), reason
        assert name in reason or "'/d'" in reason
        assert after == FrameStatus.READ, why_not
        assert peak < LIMIT_BYTES
