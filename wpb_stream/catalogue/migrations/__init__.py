"""The catalogue's schema, step by step (Alembic)."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.errors import UndefinedTable

from wpb_stream.catalogue.connecting import ANSWER_S, answering, conninfo
from wpb_stream.core.exceptions import ServiceError

HERE = Path(__file__).parent
HEAD = max(step.name[:4] for step in (HERE / "versions").glob("[0-9]*.py"))
"""The newest step: files are named by its number."""


def upgrade(database_url: str) -> None:
    """Bring the schema of the database up to date; does nothing if it is.

    :param database_url: ``postgresql://...``
    :raises ServiceError: a newer wpb has upgraded the database
    :raises psycopg.OperationalError: it cannot be reached
    """
    if _known_step(database_url) == HEAD:
        return
    # Loaded only now: Alembic takes a second, which a process that restarts in mid-scan need not wait.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["database_url"] = database_url
    command.upgrade(config, "head")


def insist_on_schema(database_url: str) -> None:
    """See that the schema is up to date, for whoever only reads.

    :param database_url: ``postgresql://...``
    :raises ServiceError: it is not, and what to do
    :raises psycopg.OperationalError: the database cannot be reached
    """
    step = _known_step(database_url)
    if step != HEAD:
        at = "there are no tables in the catalogue's database" if step is None else f"the catalogue's schema is at step {step} of {HEAD}"
        raise ServiceError(f"{at}: start `wpb stream` of this version first, which sees to that; check WPB_DATABASE_URL")


def _known_step(database_url: str) -> str | None:
    """The step the database is at.

    :raises ServiceError: a newer wpb has upgraded it
    """
    with psycopg.connect(conninfo(database_url)) as connection, answering(connection, ANSWER_S):
        step = step_of(connection)
    if step is not None and step > HEAD:
        raise ServiceError(
            f"the catalogue's schema is at step {step}, this wpb knows only up to {HEAD}: install the newer wpb that upgraded it"
        )
    return step


def step_of(connection: psycopg.Connection) -> str | None:
    """The step the database is at; None for an empty one."""
    try:
        row = connection.execute("SELECT version_num FROM wpb_schema").fetchone()
    except UndefinedTable:
        return None
    return row[0] if row else None
