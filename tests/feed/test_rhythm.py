"""Updates go at the rate asked for, and in step with what comes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpb_stream.core.messages import Subscribe
from wpb_stream.feed.rhythm import Rhythm
from wpb_stream.feed.subscription import Subscription


def sent(rhythm: Rhythm, changes: Iterable[float]) -> list[float]:
    """When updates go, if something changes at these times: as soon as one may that shows what changed."""
    times: list[float] = []
    for change in changes:
        if times and change <= times[-1]:
            continue  # it was shown by the update before
        times.append(change + rhythm.pause_s(change))
        rhythm.beat(times[-1])
    return times


def test_what_comes_at_the_rate_asked_for_is_sent_as_it_comes_however_unevenly() -> None:
    changes = [0.0, 0.252, 0.499, 0.755, 1.0, 1.245, 1.5]
    assert sent(Rhythm(4.0), changes) == changes


def test_what_comes_more_often_is_sent_at_the_rate_asked_for() -> None:
    times = sent(Rhythm(4.0), [number / 100 for number in range(1000)])
    assert 40 <= len(times) <= 42


def test_who_asked_for_a_rate_is_sent_updates_at_that_rate() -> None:
    rhythm = Subscription(Subscribe(1, "u", max_rate=4.0)).rhythm
    rhythm.beat(0.0)
    rhythm.beat(0.0)
    assert rhythm.pause_s(0.0) == pytest.approx(0.25)


@given(st.lists(st.floats(0.0, 2.0, allow_subnormal=False), min_size=1, max_size=200), st.floats(0.1, 60.0))
def test_in_no_stretch_of_time_are_there_more_updates_than_the_rate_and_two(pauses: list[float], per_s: float) -> None:
    times = sent(Rhythm(per_s), itertools.accumulate(pauses))
    for first, last in itertools.combinations(range(len(times)), 2):
        assert last - first + 1 <= (times[last] - times[first]) * per_s + 2.001
