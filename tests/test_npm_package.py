"""What is packed for npm, and the locks of what it is made with."""

from __future__ import annotations

import json
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.helpers.nodejs import CLIENT, ROOT, packed


def test_the_package_holds_the_client_its_types_and_nothing_of_how_it_was_made(tmp_path: Path) -> None:
    with tarfile.open(packed(tmp_path)) as package:
        held = {Path(member.name).name: package.extractfile(member).read() for member in package.getmembers()}  # type: ignore[union-attr]
    assert held.keys() == {"client.js", "client.d.ts", "package.json", "README.md", "LICENSE"}
    assert held["client.js"] == CLIENT.read_bytes()
    said = json.loads(held["package.json"])
    assert (said["name"], said["version"]) == ("websockets-plotting-blue", version("websockets-plotting-blue"))
    assert said.keys() & {"private", "dependencies", "devDependencies", "scripts"} == set()
    assert {Path(file).name for file in said["exports"]["."].values()} == {"client.js", "client.d.ts"}
    declared = held["client.d.ts"].decode()
    assert "export declare function watch(url: string | URL, target: string, listener: Listener" in declared
    assert "resumed: boolean" in declared


@pytest.mark.parametrize("folder", ["npm", "docs/examples/h5web"])
def test_a_lock_holds_versions_and_hashes_and_no_registry(folder: str) -> None:
    locked = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]
    described = json.loads((ROOT / folder / "package.json").read_text())
    asked = described.get("dependencies", {}) | described.get("devDependencies", {})
    assert {name: locked[f"node_modules/{name}"]["version"] for name in asked} == asked
    del locked[""]
    assert all(each["integrity"].startswith("sha512-") and "resolved" not in each for each in locked.values())
