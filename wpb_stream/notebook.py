"""A run in a Jupyter notebook: one picture that changes in place."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from html import escape
from threading import Thread
from typing import TYPE_CHECKING, Any

from wpb_stream.core.exceptions import ServiceError, WpbError
from wpb_stream.pictures import draw
from wpb_stream.watching import BlockingWatching, Watching

if TYPE_CHECKING:
    from wpb_stream.update import Update

NOTICES = 3
"""The newest that are told."""
ELSEWHERE = "this is no notebook: `for update in watch_sync(...)` gives numpy arrays, and `wpb watch` draws in a terminal"


class Showing:
    """A picture of a run, drawn anew with each update by a thread of its own: it goes on while cells run, a plan for example.

    :raises ServiceError: this is no notebook
    """

    def __init__(self, updates: Watching) -> None:
        display = _display()
        self._handle = display(_said("waiting for the feed"), raw=True, display_id=True)
        self._updates = BlockingWatching(updates)
        self._thread = Thread(target=self._draw, name="showing", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Leave the feed; the picture stays as it is."""
        self._updates.close()
        self._thread.join()

    def _ipython_display_(self) -> None:
        """Nothing: the picture is in the notebook already."""

    def _draw(self) -> None:
        try:
            for update in self._updates:
                self._handle.update(_picture(update), raw=True)
        except WpbError as error:
            self._handle.update(_said(str(error)), raw=True)


def _display() -> Callable[..., Any]:
    """IPython's, imported only here: it is there where a notebook is."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display  # pyright: ignore[reportUnknownVariableType]
    except ImportError:
        raise ServiceError(ELSEWHERE) from None
    if get_ipython() is None:
        raise ServiceError(ELSEWHERE)
    return display


def _picture(update: Update) -> dict[str, str]:
    png = b64encode(draw(update.run, update.table.maps(update.run.shape))).decode()
    reason = update.stopped.reason if update.stopped else ""
    notices = [f"{notice.code}: {notice.message}" for notice in update.notices[-NOTICES:]]
    bundle = _said("\n".join(filter(None, [update.headline(), reason, *notices])))
    return bundle | {"text/html": f'{bundle["text/html"]}<img src="data:image/png;base64,{png}">'}


def _said(text: str) -> dict[str, str]:
    return {"text/plain": text, "text/html": f"<pre>{escape(text)}</pre>"}
