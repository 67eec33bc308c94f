"""What buses had let go of before it was read."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table."""
    op.execute(
        """
        CREATE TABLE losses (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            source text NOT NULL,
            partition text NOT NULL,
            resumes_at bigint NOT NULL,                              -- the position that was gone on from
            messages bigint,                                         -- null where nobody can know
            reason text NOT NULL,
            noticed_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
