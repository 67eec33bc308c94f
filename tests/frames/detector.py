"""A detector in a process of its own: writes an HDF5 file in SWMR mode, one step for each line on its standard input.

Lines: ``write INDEX VALUE`` (a frame filled with VALUE, not flushed), ``grow FRAMES``, ``flush``,
``close``; each is answered with ``done``.
"""

import json
import sys

import h5py
import hdf5plugin
import numpy as np

FILTERS = {"none": {}, "gzip": {"compression": "gzip"}, "bslz4": hdf5plugin.Bitshuffle(cname="lz4")}


def main(path: str, settings: str) -> None:
    asked = json.loads(settings)
    rows, columns = 12, 16
    file = h5py.File(path, "w", libver="latest")
    data = file.create_dataset(
        "entry/data/data",
        shape=(asked["frames"], rows, columns),
        maxshape=(None, rows, columns),
        chunks=tuple(asked["chunk"]),
        dtype=asked["dtype"],
        **FILTERS[asked["filter"]],
    )
    if asked["swmr"]:
        file.swmr_mode = True
    sys.stdout.write("done\n")
    sys.stdout.flush()
    for line in sys.stdin:
        verb, *numbers = line.split()
        if verb == "grow":
            data.resize(int(numbers[0]), axis=0)
        elif verb == "write":
            data[int(numbers[0])] = np.full((rows, columns), int(numbers[1]))
        elif verb == "flush":
            data.flush()
        elif verb == "close":
            file.close()
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
