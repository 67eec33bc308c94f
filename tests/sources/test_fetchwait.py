"""How long a broker may wait grows with silence and with delay, and is short again where both are gone."""

from __future__ import annotations

from wpb_stream.sources.fetchwait import BEHIND_S, LONGEST_MS, FetchWait


def test_it_is_a_small_share_of_the_silence_and_what_it_was_before_once_messages_come_as_they_are_published() -> None:
    wait = FetchWait(10)
    for silent_s, ms in ((0.25, 10), (1.0, 20), (5.0, 100), (3600.0, LONGEST_MS)):
        wait.nothing(silent_s)
        assert wait.ms == ms
    for _ in range(20):
        wait.some(0.0, 0.1)
    assert wait.ms == 10
    nothing_asked = FetchWait(0)
    nothing_asked.some(0.0, 0.1)
    assert nothing_asked.ms == 1, "what is doubled is not nothing"


def test_it_is_doubled_while_what_comes_has_waited_in_the_bus() -> None:
    wait, seen = FetchWait(10), list[int]()
    for _ in range(9):
        wait.some(0.0, BEHIND_S + 1)
        seen.append(wait.ms)
    assert seen == [20, 40, 80, 160, 320, 640, 1280, LONGEST_MS, LONGEST_MS]


def test_messages_that_were_there_in_silence_show_that_less_is_too_short() -> None:
    wait = FetchWait(10)
    wait.nothing(5.0)
    wait.some(5.0, 5.0)
    assert wait.ms == 200
    for _ in range(20):
        wait.some(0.0, 0.1)
    assert wait.ms == 100
