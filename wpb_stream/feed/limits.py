"""What clients may ask for at most, so that none of them costs the others anything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address

BURST_S = 2.0
"""Seconds' worth of requests that may come at once."""


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """The limits; settings of the same names say what each is for."""

    max_message_bytes: int = 64 * 1024
    max_subscriptions: int = 128
    max_requests_per_s: float = 100.0
    max_connections: int = 2000
    max_connections_per_address: int = 200


class Allowance:
    """The requests one client may still make now.

    :param per_s: how many a second come back
    :param now: seconds of a clock that never goes back, here and below
    """

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s, self._most = per_s, max(1.0, per_s * BURST_S)
        self._left, self._at = self._most, now

    def take(self, now: float) -> bool:
        """Use one up; False if there is none."""
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Seats:
    """Who is connected. Loopback has as many seats as there are: the clients of a proxy all come from there."""

    def __init__(self, limits: FeedLimits) -> None:
        self._limits = limits
        self._taken = Counter[str]()

    def refusal(self, address: str) -> tuple[HTTPStatus, str] | None:
        """Why one more client from there finds no seat; None if it does."""
        if self._taken.total() >= self._limits.max_connections:
            return HTTPStatus.SERVICE_UNAVAILABLE, "There are as many clients as there may be; come back later.\n"
        if self._taken[address] >= self._limits.max_connections_per_address and not ip_address(address.partition("%")[0]).is_loopback:
            return HTTPStatus.TOO_MANY_REQUESTS, "There are as many clients of this address as there may be; come back later.\n"
        return None

    def take(self, address: str) -> None:
        """A client came."""
        self._taken[address] += 1

    def leave(self, address: str) -> None:
        """It went."""
        self._taken[address] -= 1
        self._taken += Counter[str]()  # drops those that are 0
