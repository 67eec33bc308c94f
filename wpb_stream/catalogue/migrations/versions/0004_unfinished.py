"""Which revisions were not brought to their end, so that those can be found of which something is missing."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; of revisions that are there it is taken that nothing is missing."""
    op.execute(
        """
        ALTER TABLE revisions
            ADD COLUMN finished boolean NOT NULL DEFAULT true        -- false until all is made of it that is made of a run
        """
    )
