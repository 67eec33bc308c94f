"""Make the viewer's moving picture, and stills of the list of runs and of two runs side by side, in docs/pictures anew.

A server in this process shows the simulated sample as a scan measures it; nothing else of the demo is started. ``make docs-film``.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.browser.pages import Viewer, viewer_page
from tests.helpers.archive import FIRST, fill, made_run
from tests.helpers.services import running
from tests.helpers.serving import Serving, serving_of
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import Results
from wpb_stream.core.board import Reconstruction
from wpb_stream.embedded.postgres import EmbeddedPostgres
from wpb_stream.sim.sample import response

PICTURES = Path(__file__).parent / "pictures"
ROWS, COLUMNS = 40, 60
WIDTH, HEIGHT = 1200, 750
SIZE = 0.7
"""Of the moving picture, beside the page's."""
COLOURS = 96
"""Of the moving picture: with more it is larger, and nobody sees them."""
SAMPLES = ("Steel, polished", "Titanium foil", "Leaf 12", "Pigment, ultramarine", "Battery, cathode")


def begun(number: int, sample: str, status: str = "running") -> Reconstruction:
    """A scan without points yet."""
    made = made_run(
        *(f"5f1d{number:04x}-2c7e-4b53-9a0e-7d1b6f0c{number:04x}", np.full((ROWS, COLUMNS), np.nan)),
        number=number,
        status="running",
        started=FIRST + timedelta(hours=3 * number),
        data_session="cm40001-2",
        sample={"name": sample},
    )
    made.run = msgspec.structs.replace(made.run, status=status)
    return made


def measure(made: Reconstruction, first: int, last: int, seed: int) -> None:
    """Have points of a snake come: those from the first to before the last."""
    points = np.arange(first, last)
    row, column = np.divmod(points, COLUMNS)
    column = np.where(row % 2, COLUMNS - 1 - column, column)
    noise = np.random.default_rng([seed, first]).normal(1, 0.02, (len(points), 3))
    values = 1000 * response((column + 3 * seed) / COLUMNS, 1 - row / ROWS).reshape(len(points), 3) * noise
    made.table.append(points, row * COLUMNS + column, np.column_stack([values, values.sum(axis=1)]))
    made.run = msgspec.structs.replace(made.run, rows=last)


@dataclass
class Film:
    """A page, picture by picture."""

    viewer: Viewer
    pictures: list[Image.Image] = field(default_factory=list[Image.Image])
    times: list[int] = field(default_factory=list[int])

    async def take(self, shown_ms: int, still: str | None = None) -> None:
        """Take a picture that is shown so long in the film, and is kept as a still under that name."""
        png = await self.viewer.page.screenshot()
        if still:
            (PICTURES / still).write_bytes(png)
        picture = Image.open(BytesIO(png)).convert("RGB")
        self.pictures.append(picture.resize((int(WIDTH * SIZE), int(HEIGHT * SIZE)), Image.Resampling.LANCZOS))
        self.times.append(shown_ms)

    def write(self, path: Path) -> None:
        """All of it, as an endless GIF with the same colours in each picture: it would flicker otherwise."""
        together = Image.new("RGB", (self.pictures[0].width, self.pictures[0].height * 2))
        for at, picture in enumerate((self.pictures[-1], self.pictures[len(self.pictures) // 2])):
            together.paste(picture, (0, at * picture.height))
        palette = together.quantize(COLOURS)
        first, *rest = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self.pictures]
        first.save(path, save_all=True, append_images=rest, duration=self.times, loop=0, optimize=True)


async def act(film: Film, serving: Serving, made: Reconstruction) -> None:
    """What is to be seen."""
    page, points = film.viewer.page, ROWS * COLUMNS
    for last in range(COLUMNS, points + 1, COLUMNS):
        measure(made, last - COLUMNS, last, 0)
        serving.board.changed()
        await film.viewer.wait_until(rows=last)
        await film.take(110)
    await film.viewer.point_at("rgb", 22 * COLUMNS + 40)
    await film.take(1200)
    await page.keyboard.press("/")
    await page.locator("#archive img[src]").nth(len(SAMPLES)).wait_for()
    await film.take(1800, "viewer-runs.png")
    await page.locator("#archive").get_by_role("link", name="beside the run on screen").nth(1).click()
    await page.locator(f'#beside[data-rows="{points}"]').wait_for()
    await film.viewer.point_at("rgb", 22 * COLUMNS + 40)
    await film.take(2500, "viewer-beside.png")


async def main(database_url: str, folder: Path) -> None:
    """Fill a catalogue, and film the page."""
    past = [begun(number, sample, "abort" if number == 2 else "success") for number, sample in enumerate(SAMPLES, 1)]
    for made in past:
        measure(made, 0, 1500 if made.run.status == "abort" else ROWS * COLUMNS, made.run.scan_id or 0)
        made.ended = True
    now = begun(len(SAMPLES) + 1, "Leaf 13")
    await fill(database_url, Results(folder), [*past, now])
    with CatalogueReader(database_url) as reader:
        async with serving_of(reader, folder) as serving:
            serving.board.live[now.run.uid], serving.board.latest = now, now.run.uid
            async with viewer_page(f"http://127.0.0.1:{serving.port}/", width=WIDTH, height=HEIGHT) as viewer:
                await viewer.wait_until(run=now.run.uid, rows=0)
                film = Film(viewer)
                await act(film, serving, now)
                film.write(PICTURES / "viewer.gif")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        postgres = EmbeddedPostgres(Path(name))
        with running(postgres.service()):
            asyncio.run(main(postgres.database_url, Path(name) / "results"))
