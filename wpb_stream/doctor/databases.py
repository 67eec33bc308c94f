"""Whether the databases are there, and fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from wpb_stream.catalogue.letterbox import Letterbox
from wpb_stream.catalogue.migrations import HEAD, step_of
from wpb_stream.catalogue.orphans import count_orphans
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.doctor.findings import Finding, ok, warning, wrong

UNKNOWN = warning("not known while the catalogue's database cannot be reached", "see to that first")
CONNECT_S = 5
"""How long a server may take to let us in."""


def look_at_catalogue(url: str) -> Finding:
    """Whether the catalogue can be kept in a database.

    :raises ServiceError: it cannot be reached
    """
    with _connected(url, "WPB_DATABASE_URL") as connection:
        found = f"PostgreSQL {_version(connection)}"
        if _value(connection, "SELECT pg_is_in_recovery()"):
            return wrong(f"{found} is a standby that cannot be written", "name the primary server in WPB_DATABASE_URL")
        step = step_of(connection)
        if step is not None and step > HEAD:
            return wrong(f"{found}, schema at step {step}: this wpb knows only up to {HEAD}", "install the newer wpb that upgraded it")
        if step != HEAD and not _value(connection, "SELECT has_schema_privilege(current_schema(), 'CREATE')"):
            return wrong(f"{found}, but this account may not make tables", "let it: GRANT CREATE ON SCHEMA public TO the account")
    if step is None:
        return ok(f"{found}, empty; tables are made at the first start")
    if step != HEAD:
        return ok(f"{found}, schema at step {step}; the next start brings it to {HEAD}")
    with Letterbox(url) as box:
        writer = "a streaming process writes it" if box.listening() else "no streaming process runs on it now"
    return ok(f"{found}, schema up to date, {writer}")


def look_at_letters(url: str) -> Finding:
    """Whether something came that could not be used."""
    try:
        with _connected(url, "WPB_DATABASE_URL") as connection:
            if step_of(connection) != HEAD:
                return ok("none known before the first start")
        with Letterbox(url) as box:
            counts, orphans = box.counts(), count_orphans(box.connection)
    except ServiceError:
        return UNKNOWN
    if not (counts.open or counts.dropped or orphans):
        return ok("none, and every document belongs to a run")
    found = f"{counts.open} messages could not be used, {orphans} documents belong to no run"
    if counts.dropped:
        found += f", {counts.dropped} older messages were given up"
    return warning(found, "wpb dead-letters says which and why")


def look_at_dagster(url: str | None, catalogue_url: str) -> Finding:
    """Whether Dagster can keep its tables.

    :param url: its own database; None for the one beside the catalogue's
    :raises ServiceError: it cannot be reached
    """
    if url is not None:
        with _connected(url, "WPB_DAGSTER_DATABASE_URL") as connection:
            return ok(f"PostgreSQL {_version(connection)}")
    try:
        with _connected(catalogue_url, "WPB_DATABASE_URL") as connection:
            name = f"{connection.info.dbname}_dagster"
            there = _value(connection, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)", name)
            may = _value(connection, "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
    except ServiceError:
        return UNKNOWN
    if there or may:
        return ok(f"{name}, beside the catalogue{'' if there else ', is made at the first start'}")
    return wrong(f"there is no database {name}, and this account may not make it", "make it, or name one by WPB_DAGSTER_DATABASE_URL")


@contextmanager
def _connected(url: str, setting: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_S) as connection:
            yield connection
    except psycopg.ProgrammingError as error:
        raise ServiceError(f"{setting} is not of the form postgresql://user@host/database ({_first(error)})") from error
    except psycopg.OperationalError as error:
        raise ServiceError(f"cannot be reached ({_first(error)}); start PostgreSQL, or correct {setting}") from error


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _version(connection: psycopg.Connection) -> str:
    return str(_value(connection, "SHOW server_version")).partition(" ")[0]


def _value(connection: psycopg.Connection, query: str, *values: object) -> object:
    row = connection.execute(query.encode(), values).fetchone()
    return row[0] if row else None
