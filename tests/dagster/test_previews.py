"""Pictures of runs as Dagster keeps them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from tests.test_pictures import maps_of, run_info
from wpb_dagster.previews import shrink
from wpb_stream.pictures import draw


def test_a_picture_is_shrunk_to_the_bytes_allowed_and_stays_one() -> None:
    noise = np.random.default_rng(0).random((200, 200))
    png = draw(run_info((200, 200)), maps_of(noise))
    small = shrink(png, 20_000)
    assert len(small) <= 20_000 < len(png)
    assert Image.open(io.BytesIO(small)).width > 100
