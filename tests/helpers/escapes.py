"""Ways out of the data roots: documents and files that ask for what lies elsewhere.

``python -m tests.helpers.escapes FOLDER OUTSIDE walled`` (or ``bare``) follows each without any check, and prints which led there.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import h5py
import numpy as np
import tifffile
import zarr

from wpb_stream.core.window import StreamFile
from wpb_stream.frames.reader import FrameReader
from wpb_stream.frames.roots import DataRoots
from wpb_stream.frames.walls import wall_in

HDF5, TIFFS, NPYS = "application/x-hdf5", "multipart/related;type=image/tiff", "multipart/related;type=application/x-npy"
SHAPE = (6, 4)
SECRET = 201
"""What every pixel of the files outside is."""
DATASET = "/entry/data/data"


@dataclass(frozen=True)
class Escape:
    """What a stream resource says."""

    uri: str
    mimetype: str = HDF5
    parameters: dict[str, Any] = field(default_factory=lambda: {"dataset": DATASET})
    late: bool = False
    """It names nothing that there is: it is waited for, and never comes."""


def secret(outside: Path) -> None:
    """The files that nobody may see."""
    outside.mkdir()
    frames = np.full((2, *SHAPE), SECRET, "u1")
    with h5py.File(outside / "secret.h5", "w") as file:
        file[DATASET] = frames
    (outside / "secret.raw").write_bytes(frames.tobytes())
    np.save(outside / "secret_0.npy", frames[0])
    np.save(outside / "secret.npy", frames)
    tifffile.imwrite(outside / "secret_000000.tiff", frames[0])
    np.savetxt(outside / "secret.csv", frames.reshape(-1, SHAPE[1]), fmt="%d", delimiter=",")
    zarr.create_array(outside / "secret.zarr", data=frames, chunks=(1, *SHAPE))


def escapes(folder: Path, outside: Path) -> dict[str, Escape]:
    """Write into ``folder``, which may be read, what leads to ``outside``, which may not; gives all by what they try."""
    return {
        **_uris(folder, outside),
        **_links(folder, outside),
        **_hdf5(folder, outside),
        **_virtual(folder, outside),
        **_series(folder, outside),
    }


def _uris(folder: Path, outside: Path) -> dict[str, Escape]:
    name, up, there = outside.name, folder.as_uri(), f"{outside}/secret.h5"
    shutil.copytree(outside, folder.with_name(f"{folder.name}-private"))
    refused = {
        "outside the roots": f"file://localhost{there}",
        "upper case": f"FILE://LOCALHOST{there}",
        "one slash": f"file:{there}",
        "four slashes": f"file:///{there}",
        "a neighbour that begins alike": f"{folder.with_name(folder.name + '-private').as_uri()}/secret.h5",
        "..": f"{up}/../{name}/secret.h5",
        ".. after a folder": f"{up}/a/../../{name}/secret.h5",
        "%2e%2e": f"{up}/%2e%2e/{name}/secret.h5",
        "%2E%2E": f"{up}/%2E%2E/{name}/secret.h5",
        ".%2e": f"{up}/.%2e/{name}/secret.h5",
        "..%2f": f"{up}/..%2f{name}/secret.h5",
        "%2f..%2f": f"{up}%2f..%2f{name}/secret.h5",
        ".. in a Windows path": f"file:///C:\\data\\..\\{name}\\secret.h5",
        ".. as host": f"file://../{name}/secret.h5",
        ".. in a host": f"file://localhost%2f..{there}",
        "NUL": f"{up}/a.h5\0{there}",
        "%00": f"{up}/a.h5%00{there}",
        "another host": f"file://example.org{there}",
        "a host by its address": f"file://169.254.169.254{there}",
        "loopback by its address": f"file://127.0.0.1{there}",
        "a host with a port": f"file://localhost:80{there}",
        "a host with a user": f"file://user@localhost{there}",
        "UNC": f"file:////server/share{there}",
        "UNC with backslashes": f"\\\\server\\share{there}",
        "http": f"http://localhost{there}",
        "https": f"https://example.org{there}",
        "ftp": f"ftp://localhost{there}",
        "s3": "s3://bucket/secret.h5",
        "smb": f"smb://server{there}",
        "sftp": f"sftp://root@localhost{there}",
        "data": "data:application/x-hdf5;base64,iUhERg0KGgo=",
        "javascript": "javascript:alert(1)",
        "a path": there,
        "a relative path": f"../{name}/secret.h5",
        "a relative URI": "file:secret.h5",
        "a home": "file:~/secret.h5",
        "nothing": "",
        "passwords": "file:///etc/shadow",
        "the environment": "file:///proc/self/environ",
        "memory": "file:///proc/self/mem",
        "a descriptor": "file:///proc/self/fd/0",
        "the root by /proc": f"file:///proc/self/root{there}",
        "a device": "file:///dev/zero",
        "the root": "file:///",
        "the folder above": f"{folder.parent.as_uri()}",
    }
    late = {
        "%252e%252e": f"{up}/%252e%252e/{name}/secret.h5",
        "fullwidth dots": f"{up}/%EF%BC%8E%EF%BC%8E/{name}/secret.h5",
        "backslashes": f"{up}/..\\{name}\\secret.h5",
        "a query": f"{up}/a.h5?file={there}",
        "a fragment": f"{up}/a.h5#{there}",
        "a name of 255 characters": f"{up}/{'n' * 255}",
    }
    return {f"URI: {why}": Escape(uri, late=why in late) for why, uri in (refused | late).items()}


def _links(folder: Path, outside: Path) -> dict[str, Escape]:
    links = {
        "to a file": outside / "secret.h5",
        "to a file, relative": Path("..") / outside.name / "secret.h5",
        "through another": folder / "to a file",
        "to the root by proc": Path(f"/proc/self/root{outside}/secret.h5"),
        "to a descriptor": Path("/proc/self/fd/0"),
        "to itself": folder / "to itself",
        "to a device": Path("/dev/zero"),
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    (folder / "a folder").symlink_to(outside)
    (folder / "a folder, relative").symlink_to(f"../{outside.name}")
    os.mkfifo(folder / "fifo")
    (folder / "to a fifo").symlink_to("fifo")
    names = [*links, "a folder/secret.h5", "a folder, relative/secret.h5", "fifo", "to a fifo"]
    return {f"link: {name}": Escape(f"{folder.as_uri()}/{quote(name)}") for name in names}


def _hdf5(folder: Path, outside: Path) -> dict[str, Escape]:
    there = outside / "secret.h5"
    with h5py.File(folder / "links.h5", "w") as file:
        file["external"] = h5py.ExternalLink(there, DATASET)
        file["relative"] = h5py.ExternalLink(f"../{outside.name}/secret.h5", DATASET)
        file["by a link"] = h5py.ExternalLink("to a file", DATASET)
        file["group"] = h5py.ExternalLink(there, "/entry")
        file["whole"] = h5py.ExternalLink(there, "/")
        file["soft"] = h5py.SoftLink("/external")
        file["softer"] = h5py.SoftLink("/soft")
        file["soft group"] = h5py.SoftLink("/group")
        file["inside/deep"] = h5py.ExternalLink(there, DATASET)
    with h5py.File(folder / "chain.h5", "w") as file:
        file["d"] = h5py.ExternalLink("links.h5", "external")
    raw = {
        "raw": outside / "secret.raw",
        "raw, relative": f"../{outside.name}/secret.raw",
        "raw by a link": "raw link",
        "passwords": "/etc/passwd",
    }
    (folder / "raw link").symlink_to(outside / "secret.raw")
    with h5py.File(folder / "raw.h5", "w") as file:
        for name, target in raw.items():
            file.create_dataset(name, (2, *SHAPE), "u1", external=[(str(target), 0, h5py.h5f.UNLIMITED)])
        segments = [(str(outside / "secret.raw"), 0, 24), (str(outside / "secret.raw"), 24, 24)]
        file.create_dataset("in segments", (2, *SHAPE), "u1", external=segments)
    inside = (
        "external",
        "relative",
        "by a link",
        "group/data/data",
        "whole/entry/data/data",
        "soft",
        "softer",
        "soft group/data/data",
        "inside/deep",
    )
    asked = [("links.h5", name) for name in inside] + [("chain.h5", "d")] + [("raw.h5", name) for name in (*raw, "in segments")]
    return {f"HDF5: {name} in {file}": Escape((folder / file).as_uri(), parameters={"dataset": name}) for file, name in asked}


def _virtual(folder: Path, outside: Path) -> dict[str, Escape]:
    sources = {
        "absolute": (str(outside / "secret.h5"), DATASET),
        "relative": (f"../{outside.name}/secret.h5", DATASET),
        "by a link": ("to a file", DATASET),
        "by a linked folder": ("a folder/secret.h5", DATASET),
        "an external link": ("links.h5", "external"),
        "raw": ("raw.h5", "raw"),
        "in turn": ("virtual absolute.h5", "d"),
        "a fifo": ("fifo", "d"),
    }
    for name, (file, dataset) in sources.items():
        layout = h5py.VirtualLayout((2, *SHAPE), "u1")
        layout[:] = h5py.VirtualSource(file, dataset, (2, *SHAPE))
        with h5py.File(folder / f"virtual {name}.h5", "w", libver="latest") as made:
            made.create_virtual_dataset("d", layout)
    return {f"virtual: {name}": Escape((folder / f"virtual {name}.h5").as_uri(), parameters={"dataset": "d"}) for name in sources}


def _series(folder: Path, outside: Path) -> dict[str, Escape]:
    inside = {"link_000000.tiff": "secret_000000.tiff", "link_0.npy": "secret_0.npy", "link.npy": "secret.npy", "link.csv": "secret.csv"}
    for name, target in {**inside, "link.zarr": "secret.zarr"}.items():
        (folder / name).symlink_to(outside / target)
    zarr.create_array(folder / "chunk.zarr", shape=(2, *SHAPE), chunks=(1, *SHAPE), dtype="u1")
    (folder / "chunk.zarr" / "c" / "0" / "0").mkdir(parents=True)
    (folder / "chunk.zarr" / "c" / "0" / "0" / "0").symlink_to(outside / "secret.zarr" / "c" / "0" / "0" / "0")
    up, there = folder.as_uri(), f"../{outside.name}/secret"
    return {
        "TIFFs: a template that leads up": Escape(up, TIFFS, {"template": there + "_{:06d}.tiff"}),
        "TIFFs: an absolute template": Escape(up, TIFFS, {"template": f"{outside}/secret_" + "{:06d}.tiff"}),
        "TIFFs: a file name that leads up": Escape(up, TIFFS, {"template": "%s%s_%6.6d.tiff", "filename": there}),
        "TIFFs: a link": Escape(up, TIFFS, {"template": "link_{:06d}.tiff"}),
        "TIFFs: a template that is code": Escape(up, TIFFS, {"template": "{0.__class__.__mro__}"}),
        "NPYs: a file name that leads up": Escape(up, NPYS, {"filename": there}),
        "NPYs: a link": Escape(up, NPYS, {"filename": "link"}),
        "NPY: a link": Escape(f"{up}/link.npy", "application/x-npy", {}),
        "CSV: a link": Escape(f"{up}/link.csv", "text/csv;header=absent", {}),
        "Zarr: a link": Escape(f"{up}/link.zarr", "application/x-zarr", {}),
        "Zarr: a chunk that is a link": Escape(f"{up}/chunk.zarr", "application/x-zarr", {}),
        "Zarr: an array that leads up": Escape(f"{up}/chunk.zarr", "application/x-zarr", {"dataset": f"../../{outside.name}/secret.zarr"}),
    }


def _got_hold(escape: Escape, reader: FrameReader) -> bool:
    """Whether somebody who checks nothing gets hold of what lies outside."""
    with suppress(Exception):  # whatever keeps it from that
        path, name = Path(unquote(escape.uri.removeprefix("file://").removeprefix("localhost"))), escape.parameters.get("dataset")
        if escape.mimetype != HDF5:
            frame = reader.read(StreamFile("r", "camera", escape.mimetype, escape.uri, escape.parameters), [0])
        else:
            with h5py.File(path, locking=False) as file:
                frame = file[str(name)][0]  # type: ignore[index]
        return bool((frame == SECRET).all())
    return False


def main(folder: Path, outside: Path, *, walled: bool) -> None:
    """Print the names of those that led there."""
    found = {name: escape for name, escape in escapes(folder, outside).items() if "fifo" not in name and "device" not in name}
    if walled:
        wall_in([folder])
    reader = FrameReader(DataRoots((Path("/"),)))
    sys.stdout.write(json.dumps([name for name, escape in found.items() if _got_hold(escape, reader)]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), walled=sys.argv[3] == "walled")
