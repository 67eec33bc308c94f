"""The browser client, packed as `make npm` packs it."""

from __future__ import annotations

import sys

from tests.helpers.nodejs import ROOT

sys.path.insert(0, str(ROOT / "npm"))

from make_package import make_package

__all__ = ["make_package"]
