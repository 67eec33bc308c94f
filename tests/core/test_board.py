"""The board wakes those who watch it, and hands them nothing."""

from __future__ import annotations

from wpb_stream.core.board import Board


def test_everyone_who_watches_is_woken_at_every_change() -> None:
    board, woken = Board(), []
    board.changed()
    board.watch(lambda: woken.append("first"))
    board.watch(lambda: woken.append("second"))
    board.changed()
    board.changed()
    assert woken == ["first", "second"] * 2
