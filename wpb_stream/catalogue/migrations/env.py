"""How Alembic reaches the database: one connection, and one process at a time."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, make_url, text

MIGRATION_LOCK = 0x77706201
"""Key of the advisory lock that keeps two starting processes from migrating together."""

url = make_url(context.config.attributes["database_url"]).set(drivername="postgresql+psycopg")
engine = create_engine(url)
try:
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        context.configure(connection=connection, version_table="wpb_schema")
        with context.begin_transaction():
            context.run_migrations()
finally:
    engine.dispose()
