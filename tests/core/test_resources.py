"""What documents of each generation say of a file, as Bluesky's TiledWriter understands it."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.corpus import OLDER_CAMERA, OlderAcquisition
from tests.helpers.documents import apply_all
from wpb_stream.core.resources import AREA_DETECTOR_DATASET, HDF5, MIMETYPES, Resources

OLDER = {"uid": "r", "spec": "AD_HDF5", "root": "/data", "resource_path": "x.h5", "resource_kwargs": {}}


def file_of(**fields: Any) -> Any:
    resources = Resources()
    resources.add({**OLDER, **fields})
    return resources.file("r", "camera", [30, 40])


def tiled_writers_table() -> dict[str, str]:
    """``MIMETYPE_LOOKUP`` of ``bluesky.callbacks.tiled_writer``, which cannot be imported without tiled."""
    bluesky = find_spec("bluesky")
    assert bluesky is not None
    assert bluesky.submodule_search_locations is not None
    module = ast.parse((Path(bluesky.submodule_search_locations[0]) / "callbacks" / "tiled_writer.py").read_text())
    (value,) = (
        node.value
        for node in module.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "MIMETYPE_LOOKUP"
    )
    assert isinstance(value, ast.Call)
    return ast.literal_eval(value.args[1])


def test_every_spec_that_tiled_writer_knows_is_of_the_same_mimetype_here() -> None:
    table = tiled_writers_table()
    assert table
    assert {spec: MIMETYPES.get(spec) for spec in table} == table


def test_a_spec_that_nobody_knows_is_of_a_kind_that_no_reader_opens() -> None:
    assert file_of(spec="MINE").mimetype == "application/octet-stream"


@pytest.mark.parametrize(
    ("root", "path", "semantics", "uri"),
    [
        ("/data", "a/x.h5", "posix", "file://localhost/data/a/x.h5"),
        ("", "/data/x.h5", "posix", "file://localhost/data/x.h5"),
        ("/", "data/x.h5", None, "file://localhost/data/x.h5"),
        ("/data", "/x 1.h5", "posix", "file://localhost/data/x%201.h5"),
        ("/data", "50%.h5", "posix", "file://localhost/data/50%25.h5"),
        ("C:\\data", "run 1\\x.h5", "windows", "file:///C:/data/run%201/x.h5"),
        ("\\\\server\\share", "x.h5", "windows", "file://server/share/x.h5"),
    ],
)
def test_root_and_path_make_a_uri(root: str, path: str, semantics: str | None, uri: str) -> None:
    assert file_of(root=root, resource_path=path, path_semantics=semantics).uri == uri


@pytest.mark.parametrize(
    ("kwargs", "parameters"),
    [
        ({}, {"dataset": AREA_DETECTOR_DATASET}),
        ({"path": "/a"}, {"dataset": "/a"}),
        ({"dataset": "/b"}, {"dataset": "/b"}),
        ({"frame_per_point": 3}, {"dataset": AREA_DETECTOR_DATASET, "multiplier": 3}),
        ({"swmr": True}, {"dataset": AREA_DETECTOR_DATASET, "swmr": True}),
    ],
)
def test_arguments_of_an_hdf5_resource_become_parameters(kwargs: dict[str, Any], parameters: dict[str, Any]) -> None:
    file = file_of(resource_kwargs=kwargs)
    assert (file.mimetype, file.parameters) == (HDF5, parameters)


def test_a_folder_of_tiff_files_ends_with_a_slash() -> None:
    assert file_of(spec="AD_TIFF", resource_path="run").uri == "file://localhost/data/run/"


@pytest.mark.parametrize("kwargs", [{"dataset": "/entry/side"}, {"path": "/entry/side"}, {"path": "/entry/side", "frame": 0}])
def test_a_datum_may_say_where_in_the_file_its_detector_is(kwargs: dict[str, Any]) -> None:
    run = OlderAcquisition((1, 1))
    stream, resource = run.stream(camera=OLDER_CAMERA), run.resource(path="x.h5")
    run.older_event(stream, 1, run.datum(resource, **kwargs))
    (ref,) = apply_all(run.documents)
    assert ref.file.parameters["dataset"] == "/entry/side"
