"""The catalogue's schema, step by step (Alembic)."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.errors import UndefinedTable

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
    with psycopg.connect(database_url, connect_timeout=10) as connection:
        step = step_of(connection)
    if step == HEAD:
        return
    if step is not None and step > HEAD:
        raise ServiceError(
            f"the catalogue's schema is at step {step}, this wpb knows only up to {HEAD}: install the newer wpb that upgraded it"
        )
    # Loaded only now: Alembic takes a second, which a process that restarts in mid-scan need not wait.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["database_url"] = database_url
    command.upgrade(config, "head")


def step_of(connection: psycopg.Connection) -> str | None:
    """The step the database is at; None for an empty one."""
    try:
        row = connection.execute("SELECT version_num FROM wpb_schema").fetchone()
    except UndefinedTable:
        return None
    return row[0] if row else None
