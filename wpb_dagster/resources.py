"""What the assets work with: the catalogue, the detectors' files, the results folder, the recipes, the viewer.

Every field left out is what wpb's settings say when it is first needed (environment, ``wpb.toml``), so that Dagster and the streaming
process agree, and no password shows in Dagster's pages. Each Dagster run, and each tick of a sensor, has resources of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import dagster as dg
import psycopg
from psycopg import errors
from pydantic import PrivateAttr

from wpb_stream import settings
from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.results import PREVIEW, Results
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.recipe import PlanDefaults, Recipe
from wpb_stream.frames.roots import DataRoots
from wpb_stream.recipes import chooser
from wpb_stream.recipes.asked import as_asked

_PROBE_TIMEOUT_S = 3


class Catalogue(dg.ConfigurableResource):  # pyright: ignore[reportMissingTypeArgument]
    """PostgreSQL with the runs, their documents and revisions."""

    database_url: str | None = None
    """``postgresql://...``; by default ``WPB_DATABASE_URL``, else the embedded PostgreSQL of the data folder."""
    max_connections: int = 4
    _reader: CatalogueReader | None = PrivateAttr(None)

    def url(self) -> str:
        """Where the database is.

        :raises ServiceError: neither configured nor embedded
        """
        if self.database_url:
            return self.database_url
        loaded = settings.load()
        if loaded.database_url:
            return loaded.database_url
        # Imports the Kafka client, which costs every Dagster run half a second where it is not needed.
        from wpb_stream.embedded.postgres import EmbeddedPostgres

        return EmbeddedPostgres(loaded.data).database_url

    def unavailable(self) -> str | None:
        """Why the catalogue cannot be asked now, as one sentence for people; None if it can."""
        try:
            with psycopg.connect(self.url(), connect_timeout=_PROBE_TIMEOUT_S) as connection:
                connection.execute("SELECT FROM runs, documents, revisions LIMIT 0")
        except ServiceError as error:
            return f"The catalogue is not there: {error}."
        except errors.UndefinedTable:
            return "The catalogue's database has no tables yet: start `wpb up` or `wpb stream`, which makes them."
        except psycopg.OperationalError as error:
            first_line = str(error).strip().partition("\n")[0]
            return f"The catalogue's database cannot be reached ({first_line}): start `wpb up`, or check WPB_DATABASE_URL."
        return None

    @contextmanager
    def reader(self) -> Iterator[CatalogueReader]:
        """The catalogue, open while the context lasts."""
        if self._reader is not None:
            yield self._reader
            return
        with CatalogueReader(self.url(), self.max_connections) as reader:
            yield reader

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """While the context lasts every reader is the same one: to connect takes longer than to ask."""
        with self.reader() as self._reader:
            try:
                yield
            finally:
                self._reader = None


class DetectorFiles(dg.ConfigurableResource):  # pyright: ignore[reportMissingTypeArgument]
    """The files detectors write, and where they may be read."""

    data_roots: list[str] | None = None
    """Folders files may be read from; by default ``WPB_DATA_ROOTS``."""
    path_map: list[str] | None = None
    """FROM=TO: where the paths that documents name are mounted here; by default ``WPB_PATH_MAP``."""
    window_frames: int | None = None
    """Frames reduced at a time; by default ``WPB_WINDOW_FRAMES``."""

    @cached_property
    def _settings(self) -> settings.Settings:
        return settings.load(data_roots=self.data_roots, path_map=self.path_map, window_frames=self.window_frames)

    def roots(self) -> DataRoots:
        """Where files may be read."""
        return DataRoots(self._settings.data_roots, self._settings.mappings)

    def frames_in_window(self) -> int:
        """Frames reduced at a time."""
        return self._settings.window_frames


class ResultsFolder(dg.ConfigurableResource):  # pyright: ignore[reportMissingTypeArgument]
    """The folder of the results, one folder a run in it."""

    folder: str | None = None
    """By default ``results`` in the data folder, ``WPB_DATA``."""

    def results(self) -> Results:
        """The results, as the streaming process finds them too."""
        return self._results

    @cached_property
    def _results(self) -> Results:
        return Results(Path(self.folder) if self.folder else settings.load().results.resolve())


class Recipes(dg.ConfigurableResource):  # pyright: ignore[reportMissingTypeArgument]
    """What to reconstruct, chosen by the start document as the streaming process does."""

    plans: dict[str, Any] | None = None
    """By plan name, what its start documents leave out (shape, snaking, regions, ...); by default ``plans`` in the settings."""

    wpb: dict[str, Any] | None = None
    """What is asked for over the ``wpb`` entry of start documents, key by key, when a run is made again with other settings."""

    def defaults_of(self) -> Callable[[Mapping[str, Any]], PlanDefaults]:
        """Gives what the settings say of a run, by its start document."""
        return self._settings.defaults_of

    @cached_property
    def _settings(self) -> settings.Settings:
        return settings.load(plans=self.plans)

    def chooser(self) -> Callable[[dict[str, Any]], Recipe | None]:
        """Gives the recipe for a start document, or None.

        What it gives raises `RecipeError` where ``wpb`` asks for something impossible: who asked is told, and no guess is made instead.
        """
        return self._chooser

    @cached_property
    def _chooser(self) -> Callable[[dict[str, Any]], Recipe | None]:
        choose = chooser(self.defaults_of())
        over = self.wpb
        return (lambda start: as_asked(choose, start, over)) if over else choose


class Viewer(dg.ConfigurableResource):  # pyright: ignore[reportMissingTypeArgument]
    """How browsers reach the viewer, for links and pictures in Dagster's pages."""

    base_url: str | None = None
    """By default ``WPB_VIEWER_URL``, else ``http://`` and ``WPB_LISTEN``."""

    @cached_property
    def _base(self) -> str:
        return (self.base_url or settings.load().viewer).rstrip("/")

    def feed_url(self) -> str:
        """The feed of the streaming process."""
        return f"ws{self._base.removeprefix('http')}/ws"

    def run_url(self, uid: str) -> str:
        """The viewer's page of a run."""
        return f"{self._base}/?{urlencode({'run': uid})}"

    def preview_url(self, uid: str) -> str:
        """The preview picture of a run."""
        return f"{self._base}/api/runs/{quote(uid, safe='')}/{PREVIEW}"
