"""Pictures of runs as Dagster's event log keeps them: small."""

from __future__ import annotations

import io

from PIL import Image

from wpb_stream.pictures import as_png

KEPT_PREVIEW_BYTES = 24_000
"""Largest picture that is kept within Dagster's event log, once a materialisation."""


def shrink(png: bytes, max_bytes: int) -> bytes:
    """The same picture in at most ``max_bytes``: fewer colours, then smaller."""
    picture = Image.open(io.BytesIO(png))
    while len(png) > max_bytes and min(picture.size) > 1:
        png = as_png(picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64))
        picture = picture.resize((max(1, picture.width * 3 // 4), max(1, picture.height * 3 // 4)), Image.Resampling.BOX)
    return png
