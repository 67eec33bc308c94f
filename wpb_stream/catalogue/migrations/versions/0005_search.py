"""An index for whoever looks for a run by the beginning of its uid."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the index."""
    op.execute("CREATE INDEX runs_uid_prefix ON runs (uid text_pattern_ops)")
