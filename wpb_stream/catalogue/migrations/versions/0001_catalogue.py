"""Runs, documents, source positions, revisions, dead letters."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    for statement in STATEMENTS:
        op.execute(statement)


STATEMENTS = (
    """
    CREATE TABLE runs (
        uid text PRIMARY KEY,
        started_seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,  -- cursor of the start sensor and of list_runs
        ended_seq bigint UNIQUE,                                 -- cursor of the stop sensor; set once nothing more is read
        info jsonb NOT NULL,                                     -- the run object of the feed's protocol
        plan_name text,
        status text NOT NULL,
        started_at timestamptz NOT NULL,
        ended_at timestamptz,
        reason text NOT NULL DEFAULT '',
        notices jsonb NOT NULL DEFAULT '[]',
        generation integer NOT NULL DEFAULT 1                    -- how often its live reconstruction began
    )
    """,
    "CREATE SEQUENCE runs_ended_seq OWNED BY runs.ended_seq",
    "CREATE INDEX runs_running ON runs (started_seq) WHERE ended_seq IS NULL",
    """
    CREATE TABLE documents (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        run_uid text,                                            -- null while no document tells which run it belongs to
        name text NOT NULL,
        uid text NOT NULL,
        body bytea NOT NULL,                                     -- msgpack: holds NaN and NUL, which jsonb does not
        received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        UNIQUE (name, uid)
    )
    """,
    "CREATE INDEX documents_of_run ON documents (run_uid, id)",
    """
    CREATE TABLE positions (
        source text NOT NULL,
        partition text NOT NULL,
        position bigint NOT NULL,                                -- the next one to ask for
        PRIMARY KEY (source, partition)
    )
    """,
    "CREATE TABLE writer (epoch bigint NOT NULL)",  # one row: the process that may write
    "INSERT INTO writer VALUES (0)",
    """
    CREATE TABLE dead_letters (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        source text NOT NULL,
        partition text NOT NULL,
        position bigint NOT NULL,
        value bytea NOT NULL,
        reason text NOT NULL,
        received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        UNIQUE (source, partition, position)
    )
    """,
    """
    CREATE TABLE revisions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        run_uid text NOT NULL REFERENCES runs (uid) ON DELETE CASCADE,
        revision text NOT NULL,
        produced_by text NOT NULL,
        file text NOT NULL,                                      -- below the results folder
        rows bigint NOT NULL,
        info jsonb NOT NULL,                                     -- the run object as this revision has it
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        UNIQUE (run_uid, revision)
    )
    """,
)
