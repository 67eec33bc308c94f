"""Indexes for whoever looks for a run: by its number, its session, or words of its metadata."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the indexes."""
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    "CREATE INDEX runs_scan_id ON runs ((info->'scan_id'))",
    "CREATE INDEX runs_data_session ON runs ((info->'metadata'->'data_session'))",
    "CREATE INDEX runs_instrument_session ON runs ((info->'metadata'->'instrument_session'))",
    # The run object keeps at most 64 kB of metadata, far below what a tsvector holds: no run is refused for it.
    """CREATE INDEX runs_words ON runs USING gin (jsonb_to_tsvector('simple', info->'metadata', '["string", "numeric"]'))""",
    "CREATE INDEX runs_uid_prefix ON runs (uid text_pattern_ops)",
)
