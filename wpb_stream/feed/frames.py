"""The frame of a point that a client asks for: found by the documents of its run, read in a reader process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.core.board import Board
from wpb_stream.core.detectors import Detectors
from wpb_stream.core.exceptions import FrameError, ProtocolError
from wpb_stream.core.messages import GetFrame
from wpb_stream.core.recipe import Recipe
from wpb_stream.core.runs import replay
from wpb_stream.core.window import FrameRef
from wpb_stream.feed.answers import DetectorsAnswer
from wpb_stream.feed.finder import Finder, unknown
from wpb_stream.frames.pool import FrameReaders
from wpb_stream.frames.reader import Looked

KEPT_RUNS = 4
"""Runs of which it is kept where their frames are: people click through one run after the other."""


_SENT = {"bool": "uint8", "float16": "float32", "int64": "float64", "uint64": "float64"}
"""Types that a browser has no arrays of numbers of, and what stands for them."""


class Frames:
    """Reads single frames for clients."""

    def __init__(
        self,
        board: Board,
        finder: Finder,
        reader: CatalogueReader,
        readers: FrameReaders,
        recipe_for: Callable[[dict[str, Any]], Recipe | None],
    ) -> None:
        self._board, self._finder, self._reader, self._readers, self._recipe_for = board, finder, reader, readers, recipe_for
        self._kept: OrderedDict[tuple[str, int, str | None], Mapping[int, FrameRef]] = OrderedDict()
        """By run, which end of it (it may end anew), and data key."""

    async def of(self, request: GetFrame) -> Looked:
        """The frame that a client asks for.

        :raises ProtocolError: ``unknown_run``, or ``frame_unavailable`` and why
        :raises ServiceError: the catalogue cannot be reached
        """
        live = self._board.live.get(request.run)
        ref = live.frames.get(request.point) if live is not None and request.data_key is None else None
        if ref is None:
            ref = (await self._find(request.run, request.data_key)).get(request.point)
        if ref is None or ref.values is not None:
            named = f" of {request.data_key[:80]!r}" if request.data_key else ""
            told = f"There is no frame{named} in a file for point {request.point} of run {request.run[:80]}."
            raise ProtocolError("frame_unavailable", told, request.id)
        try:
            looked = await self._readers.look(ref, request.max_size, request.run)
        except FrameError as error:
            raise ProtocolError("frame_unavailable", f"The frame of point {request.point} cannot be read: {error}.", request.id) from error
        kind = looked.values.dtype
        return replace(looked, values=looked.values.astype(_SENT.get(kind.name, kind)))

    async def detectors(self, uid: str) -> DetectorsAnswer:
        """The detectors whose frames can be asked for, as far as the catalogue has their descriptors.

        :raises ProtocolError: ``unknown_run``
        :raises ServiceError: the catalogue cannot be reached
        """
        start = await self._finder.ask(partial(self._reader.start, uid))
        if not start:
            raise unknown(uid)
        recipe = self._recipe_for(start)
        every, chosen = Detectors(), Detectors(recipe.data_key if recipe else None)
        for descriptor in await self._finder.ask(partial(self._reader.descriptors, uid)):
            every.see(descriptor)
            chosen.see(descriptor)
        named = dict.fromkeys(data_key for _, data_key in every.keys)
        return DetectorsAnswer(list(named), chosen.chosen[1] if chosen.chosen else None)

    async def _find(self, uid: str, data_key: str | None) -> Mapping[int, FrameRef]:
        """Where the newest frame of each point is, by the documents in the catalogue."""
        row = await self._finder.ask(partial(self._reader.run, uid))
        if row is None:
            raise unknown(uid)
        if row.ended_seq is not None and (kept := self._kept.get((uid, row.ended_seq, data_key))) is not None:
            self._kept.move_to_end((uid, row.ended_seq, data_key))
            return kept
        documents = await self._finder.ask(partial(self._reader.documents, uid))
        _, refs = await asyncio.to_thread(replay, documents, lambda start: self._recipe(start, data_key))
        found = {ref.point: ref for ref in refs}  # of several the last, which is the newest
        if row.ended_seq is not None:
            self._kept[uid, row.ended_seq, data_key] = found
            while len(self._kept) > KEPT_RUNS:
                self._kept.popitem(last=False)
        return found

    def _recipe(self, start: dict[str, Any], data_key: str | None) -> Recipe | None:
        recipe = self._recipe_for(start)
        return recipe if recipe is None or data_key is None else replace(recipe, data_key=data_key, companions=None)
