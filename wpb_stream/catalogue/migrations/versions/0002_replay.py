"""Dead letters that are asked for again, and how many were given up."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns and the count."""
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    """
    ALTER TABLE dead_letters
        ADD COLUMN replay_requested_at timestamptz,              -- set by a person; cleared by the process that took it in again
        ADD COLUMN replayed_at timestamptz                       -- when it turned out to be usable after all
    """,
    "CREATE INDEX dead_letters_requested ON dead_letters (id) WHERE replay_requested_at IS NOT NULL",
    # One row. Not in the table writer: each transaction holds that row, and two that hold it cannot both change it.
    "CREATE TABLE dead_letters_dropped (letters bigint NOT NULL)",
    "INSERT INTO dead_letters_dropped VALUES (0)",
)
