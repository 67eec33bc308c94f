"""What each revision was made with, so that those can be found that would come out otherwise today."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; they are unknown of revisions that are there, and of live ones."""
    op.execute(
        """
        ALTER TABLE revisions
            ADD COLUMN code_version text,                            -- of the recipe
            ADD COLUMN settings text,                                -- digest of what the settings said of the run
            ADD COLUMN wpb jsonb NOT NULL DEFAULT '{}',              -- what was asked for over the wpb entry of the start document
            ADD COLUMN missing bigint,                               -- points whose frames could not be read
            ADD COLUMN ended_seq bigint                              -- of the run, when the revision was made; null if it still streamed
        """
    )
