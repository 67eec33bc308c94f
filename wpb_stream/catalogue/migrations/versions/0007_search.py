"""Indexes for whoever looks for a run: by its number, its session, or words of its metadata. None of them can refuse a run.

Step 0005 once made indexes of the same names that could: for a session of more than a third of a page, or for numbers that have more digits
than a tsvector holds.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the indexes, in place of those of a catalogue that has them."""
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    "DROP INDEX IF EXISTS runs_scan_id, runs_data_session, runs_instrument_session, runs_words",
    # Hashes: a row of a b-tree has room for some 2,700 bytes.
    "CREATE INDEX runs_scan_id ON runs USING hash ((info->'scan_id'))",
    "CREATE INDEX runs_data_session ON runs USING hash ((info->'metadata'->'data_session'))",
    "CREATE INDEX runs_instrument_session ON runs USING hash ((info->'metadata'->'instrument_session'))",
    # A number is written out for it: 1e300 has 301 digits, and a few thousand of those are more than a tsvector holds.
    """CREATE FUNCTION run_words(metadata jsonb) RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
    BEGIN
        RETURN jsonb_to_tsvector('simple', metadata, '["string", "numeric"]');
    EXCEPTION WHEN program_limit_exceeded THEN
        RETURN jsonb_to_tsvector('simple', metadata, '["string"]');
    END $$""",
    "CREATE INDEX runs_words ON runs USING gin (run_words(info->'metadata'))",
)
