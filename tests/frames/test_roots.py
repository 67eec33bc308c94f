"""Which files a document can make us open."""

from __future__ import annotations

import os
import pickle  # noqa: TID251  what a reader process gets its arguments by
import socket
from pathlib import Path

import pytest

from wpb_stream.core.exceptions import FrameNotYet, FrameRefused
from wpb_stream.frames.roots import DataRoots, open_compared


def content(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(b"secret")
    return path


@pytest.fixture
def scan(folder: Path) -> Path:
    path = folder / "scan 1.h5"
    path.write_bytes(b"frames")
    return path


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///data/a.h5", "/data/a.h5"),
        ("file://localhost/data/a.h5", "/data/a.h5"),
        ("FILE://LOCALHOST/data/a.h5", "/data/a.h5"),
        ("file:/data/a.h5", "/data/a.h5"),
        ("file:////data//a.h5", "/data/a.h5"),
        ("file://localhost/data/a%20b%23.h5", "/data/a b#.h5"),
        ("file://localhost/data/a#1?.h5", "/data/a#1?.h5"),
        ("file://localhost/data/a%252fb", "/data/a%2fb"),
        ("file://localhost/dls/b01/a.h5", "/mnt/b01/a.h5"),
        ("file://localhost/dls/b01/deep/a.h5", "/fast/a.h5"),
        ("file://localhost/dls/b01x/a.h5", "/dls/b01x/a.h5"),
        ("file://localhost/C:/data/a.h5", "/mnt/pc/a.h5"),
        ("file:///C:/data/a.h5", "/mnt/pc/a.h5"),
        ("file:///C:%5Cdata%5Ca.h5", "/mnt/pc/a.h5"),
        ("file://C:\\data\\a.h5", "/mnt/pc/a.h5"),
        ("file:C:\\data\\a.h5", "/mnt/pc/a.h5"),
        ("file://localhost/data/a\\b.h5", "/data/a\\b.h5"),
        ("file://camera-pc/share/a.h5", "/mnt/camera/a.h5"),
    ],
)
def test_a_uri_becomes_a_path_decoded_once_and_mapped_on_whole_components(uri: str, path: str) -> None:
    path_map = (("/dls/b01", "/mnt/b01"), ("/dls/b01/deep", "/fast"), ("/C:/data", "/mnt/pc"), ("camera-pc/share", "/mnt/camera"))
    assert DataRoots((), path_map).path(uri) == Path(path)


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost/data/a.h5",
        "s3://bucket/a.h5",
        "/data/a.h5",
        "",
        "file:data/a.h5",
        "file://localhost",
        "file://elsewhere/data/a.h5",
        "file://camera-pc/sharex/a.h5",
        "file://user@localhost/data/a.h5",
        "file:///data/../etc/passwd",
        "file:///C:\\data\\..\\a.h5",
        "file:///data/%2e%2e/etc/passwd",
        "file:///data/%2E./etc/passwd",
        "file:///data/..%2fetc/passwd",
        "file:///data/a%00.h5",
        "file:///data/a\0.h5",
        "file://..%2f..%2fetc/passwd",
    ],
)
def test_what_is_no_plain_file_of_a_known_host_is_refused(uri: str) -> None:
    with pytest.raises(FrameRefused, match=r"."):
        DataRoots((Path("/"),), (("camera-pc/share", "/mnt/camera"), ("/data", "/mnt"))).path(uri)


def test_a_file_beneath_a_root_opens(roots: DataRoots, scan: Path) -> None:
    assert content(roots.open(scan.as_uri())) == b"frames"


def test_the_descriptor_is_not_inherited_by_child_processes(roots: DataRoots, scan: Path) -> None:
    descriptor = roots.open(scan.as_uri())
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def test_a_root_that_is_a_symbolic_link_works_by_either_name(tmp_path: Path, scan: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(scan.parent)
    roots = DataRoots((link,))
    assert content(roots.open((link / scan.name).as_uri())) == b"frames"
    assert content(roots.open(scan.as_uri())) == b"frames"


@pytest.mark.parametrize("absolute", [False, True])
def test_links_that_stay_inside_the_root_are_followed(roots: DataRoots, folder: Path, scan: Path, absolute: bool) -> None:
    (folder / "latest").symlink_to(scan if absolute else scan.name)
    assert content(roots.open((folder / "latest").as_uri())) == b"frames"


def test_links_out_of_the_roots_are_refused(roots: DataRoots, folder: Path, secret: Path) -> None:
    (folder / "file").symlink_to(secret)
    (folder / "relative").symlink_to("../secret")
    (folder / "dir").symlink_to(secret.parent)
    (folder / "proc").symlink_to("/proc/self/root")
    for name in ("file", "relative", "dir/secret", f"proc{secret}"):
        with pytest.raises(FrameRefused, match="WPB_DATA_ROOTS"):
            roots.open(f"{folder.as_uri()}/{name}")


def test_a_path_outside_the_roots_is_refused_naming_path_roots_and_settings(roots: DataRoots, folder: Path, secret: Path) -> None:
    with pytest.raises(FrameRefused) as refused:
        roots.open(secret.as_uri())
    for part in (str(secret), str(folder), "WPB_DATA_ROOTS", "WPB_PATH_MAP"):
        assert part in str(refused.value)


def test_a_neighbour_whose_name_begins_like_the_root_is_refused(roots: DataRoots, folder: Path) -> None:
    neighbour = folder.with_name(folder.name + "-private")
    neighbour.mkdir()
    (neighbour / "a.h5").touch()
    with pytest.raises(FrameRefused):
        roots.open((neighbour / "a.h5").as_uri())


def test_without_roots_nothing_opens(scan: Path) -> None:
    with pytest.raises(FrameRefused, match="none"):
        DataRoots(()).open(scan.as_uri())


def test_a_file_that_does_not_exist_is_late(roots: DataRoots, folder: Path) -> None:
    for name in ("a.h5", "not/there/a.h5"):
        with pytest.raises(FrameNotYet, match=name):
            roots.open((folder / name).as_uri())


def test_fifos_sockets_devices_and_folders_are_refused_without_waiting(roots: DataRoots, folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        descriptor = os.open(folder, os.O_PATH)
        server.bind(f"/proc/self/fd/{descriptor}/socket")  # the folder's own name may be too long for a socket
        os.close(descriptor)
        for name in ("fifo", "folder", "socket"):
            with pytest.raises(FrameRefused):
                roots.open((folder / name).as_uri())
    with pytest.raises(FrameRefused, match="not a regular file"):
        DataRoots((Path("/dev"),)).open("file:///dev/null")


def test_no_descriptor_stays_behind_after_a_refusal(roots: DataRoots, folder: Path, secret: Path) -> None:
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to(secret)
    before = os.listdir("/proc/self/fd")
    for name in ("fifo", "link"):
        with pytest.raises(FrameRefused):
            roots.open((folder / name).as_uri())
    assert os.listdir("/proc/self/fd") == before


def test_the_way_for_old_kernels_opens_what_lies_inside_and_refuses_what_does_not(folder: Path, scan: Path, secret: Path) -> None:
    (folder / "in").symlink_to(scan)
    (folder / "out").symlink_to(secret)
    assert content(open_compared(scan, (folder,))) == b"frames"
    assert content(open_compared(folder / "in", (folder,))) == b"frames"
    for path in (folder / "out", folder / ".." / "secret", secret):
        with pytest.raises(OSError, match="cross-device"):
            open_compared(path, (folder,))


def test_roots_travel_to_other_processes(roots: DataRoots) -> None:
    assert pickle.loads(pickle.dumps(roots)) == roots
