"""What clients may ask for at most, so that none of them costs the others anything."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from http import HTTPStatus

from wpb_stream.core.access import is_loopback

BURST_S = 2.0
"""Seconds' worth of requests that may come at once."""
MAX_GUESSERS = 10_000
"""Addresses of which it is known how many wrong tokens they showed; beyond, the one that was heard of longest ago is forgotten."""


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """The limits; settings of the same names say what each is for."""

    max_message_bytes: int = 64 * 1024
    max_subscriptions: int = 128
    max_requests_per_s: float = 100.0
    max_connections: int = 2000
    max_connections_per_address: int = 200
    max_wrong_tokens_per_minute: int = 20


class Allowance:
    """The requests one client may still make now.

    :param per_s: how many a second come back
    :param now: seconds of a clock that never goes back, here and below
    :param most: how many may come at once; what comes back in ``BURST_S`` if None
    """

    def __init__(self, per_s: float, now: float, most: float | None = None) -> None:
        self._per_s, self._most = per_s, max(1.0, per_s * BURST_S if most is None else most)
        self._left, self._at = self._most, now

    def left(self, now: float) -> bool:
        """Whether there is one."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        return self._left >= 1

    def take(self, now: float) -> bool:
        """Use one up; False if there is none."""
        if not self.left(now):
            return False
        self._left -= 1
        return True


class Guesses:
    """Who shows tokens that are not known. Not counted on loopback: one client of a proxy would shut out all others.

    :param per_minute: how many an address may show, and how many at once
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._allowances = OrderedDict[str, Allowance]()

    def too_many(self, address: str, now: float) -> bool:
        """Whether no token of that address is looked at now, be it right or wrong."""
        allowance = self._allowances.get(address)
        return allowance is not None and not allowance.left(now)

    def wrong(self, address: str, now: float) -> None:
        """One more token that is not known came from there."""
        if is_loopback(address):
            return
        if address not in self._allowances:
            self._allowances[address] = Allowance(self._per_minute / 60, now, self._per_minute)
        self._allowances.move_to_end(address)
        self._allowances[address].take(now)
        if len(self._allowances) > MAX_GUESSERS:
            self._allowances.popitem(last=False)


class Seats:
    """Who is connected. Loopback has as many seats as there are: the clients of a proxy all come from there.

    Who is connected and has not said what for yet is waiting, and counts as those who have a seat: else a client that never ends its
    handshake would cost more than one that watches.
    """

    def __init__(self, limits: FeedLimits) -> None:
        self._limits = limits
        self._waiting, self._seated = Counter[str](), Counter[str]()

    def arrive(self, address: str) -> bool:
        """Somebody connects from there; False if already as many are waiting as there are seats."""
        if self._full(self._waiting, address, 1) is not None:
            return False
        self._waiting[address] += 1
        return True

    def refusal(self, address: str) -> tuple[HTTPStatus, str] | None:
        """Why one who waits finds no seat; None if it does."""
        match self._full(self._waiting + self._seated, address, 0):
            case "all":
                return HTTPStatus.SERVICE_UNAVAILABLE, "There are as many clients as there may be; come back later."
            case "address":
                return HTTPStatus.TOO_MANY_REQUESTS, "There are as many clients of this address as there may be; come back later."
            case _:
                return None

    def take(self, address: str) -> None:
        """One who waited has a seat."""
        self._waiting = _without(self._waiting, address)
        self._seated[address] += 1

    def leave(self, address: str, *, seated: bool) -> None:
        """One who waited, or had a seat, went."""
        if seated:
            self._seated = _without(self._seated, address)
        else:
            self._waiting = _without(self._waiting, address)

    def _full(self, clients: Counter[str], address: str, more: int) -> str | None:
        if clients.total() + more > self._limits.max_connections:
            return "all"
        if clients[address] + more > self._limits.max_connections_per_address and not is_loopback(address):
            return "address"
        return None


def _without(clients: Counter[str], address: str) -> Counter[str]:
    """With one less from there; those of which there are none are dropped."""
    clients[address] -= 1
    return +clients
