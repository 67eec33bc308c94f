"""The schema of the catalogue in a real PostgreSQL."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from wpb_stream.catalogue.migrations import HEAD, upgrade
from wpb_stream.core.exceptions import ServiceError

pytestmark = pytest.mark.integration

TABLES = {"runs", "documents", "positions", "writer", "dead_letters", "dead_letters_dropped", "losses", "revisions", "wpb_schema"}


def tables_of(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_an_empty_database_gets_all_tables_and_a_second_upgrade_changes_nothing(postgres_url: str) -> None:
    upgrade(postgres_url)
    upgrade(postgres_url)
    assert tables_of(postgres_url) == TABLES
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT version_num FROM wpb_schema").fetchall() == [(HEAD,)]
        assert connection.execute("SELECT epoch FROM writer").fetchall() == [(0,)]


def test_a_database_that_is_up_to_date_is_left_alone_without_loading_alembic(postgres_url: str) -> None:
    upgrade(postgres_url)
    code = f"import sys; from wpb_stream.catalogue.migrations import upgrade; upgrade({postgres_url!r}); sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_schema_of_a_newer_wpb_is_refused_in_a_sentence_and_left_as_it_is(postgres_url: str) -> None:
    upgrade(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE wpb_schema SET version_num = '9999'")
    with pytest.raises(ServiceError, match="at step 9999, this wpb knows only up to"):
        upgrade(postgres_url)
