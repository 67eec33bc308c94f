"""For tests of the feed that need no catalogue."""

from __future__ import annotations

import pytest

from tests.helpers.serving import catalogue_away
from wpb_stream.catalogue.reader import CatalogueReader


@pytest.fixture
def reader() -> CatalogueReader:
    """A catalogue that is away."""
    return catalogue_away()
