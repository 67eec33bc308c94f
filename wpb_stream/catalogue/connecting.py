"""How the catalogue's database is connected to: one that fell silent is found out, also while an answer is waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

SILENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
"""The system's own default is hours. In seconds, the last in milliseconds; they concern connections over TCP only.

The names are libpq's, see its documentation, "Parameter Key Words"."""
CONNECT_S = 10
ANSWER_S = 60.0
"""How long a database may take to answer that is there, and perhaps only slow."""


def conninfo(database_url: str) -> str:
    """The database's address with bounds for a machine that does not answer; what the address itself says of them holds.

    :raises psycopg.ProgrammingError: it is no address
    """
    return make_conninfo("", **{**SILENCE, "connect_timeout": CONNECT_S, **conninfo_to_dict(database_url)})


@contextmanager
def answering(connection: psycopg.Connection, within_s: float) -> Iterator[None]:
    """End a connection, and with it what waits for its answer, if the context lasts longer than that.

    psycopg waits for ever otherwise; it knows bounds only where it is asynchronous.
    """
    timer = Timer(within_s, _cut_off, [connection])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut_off(connection: psycopg.Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as its:
        its.shutdown(socket.SHUT_RDWR)
