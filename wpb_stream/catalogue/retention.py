"""Revisions that need not be kept any longer, and how they go: their row and their files together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from wpb_stream.catalogue.connecting import conninfo
from wpb_stream.catalogue.reader import LIVE
from wpb_stream.catalogue.results import Results
from wpb_stream.core.exceptions import ServiceError

SETTLED_S = 86_400.0
"""A file that is younger may belong to a revision that is being made: its row comes after it."""


@dataclass(frozen=True, slots=True)
class OldRevision:
    """A revision that may go."""

    id: int
    run_uid: str
    revision: str
    file: str
    created_at: datetime


class Retention:
    """Which revisions are kept.

    Always kept: the live one that a run ended with, and the newest that is not live, which Dagster's assets refer to; one of them is the
    newest of all.

    :param most: of those that are not live, how many of a run are kept
    :param days: how long; 0 for however old
    """

    def __init__(self, database_url: str, most: int, days: float) -> None:
        self._database_url, self._most, self._days = database_url, most, days

    def old(self) -> list[OldRevision]:
        """The revisions that may go, oldest first.

        :raises ServiceError: the catalogue cannot be reached
        """
        query = f"""WITH marked AS (
                SELECT *, {LIVE} AS live, id = max(id) FILTER (WHERE {LIVE}) OVER (PARTITION BY run_uid) AS last_live FROM revisions
            ), placed AS (SELECT *, row_number() OVER (PARTITION BY run_uid, live ORDER BY id DESC) AS place FROM marked)
            SELECT id, run_uid, revision, file, created_at FROM placed
            WHERE NOT coalesce(last_live, false) AND (live OR place > 1)
            AND (live OR place > %s OR (%s > 0 AND created_at < clock_timestamp() - %s * interval '1 day')) ORDER BY id"""  # noqa: S608  constants
        with self._connection() as connection, connection.cursor(row_factory=class_row(OldRevision)) as cursor:
            return cursor.execute(query.encode(), [self._most, self._days, self._days]).fetchall()

    def drop(self, revisions: Sequence[OldRevision], results: Results) -> int:
        """Let revisions go; gives the bytes that are free then.

        The rows go once the files are gone, so that what is interrupted is found, and ended, the next time.

        :raises ServiceError: the catalogue cannot be reached; or a file cannot be removed, and all others are
        """
        freed, failures = 0, list[OSError]()
        with self._connection() as connection:
            for each in revisions:
                try:
                    with connection.transaction():
                        connection.execute("DELETE FROM revisions WHERE id = %s", [each.id])
                        freed += results.remove(each.file)
                except OSError as failure:
                    failures.append(failure)
        if failures:
            raise ServiceError(f"files of {len(failures)} revisions cannot be removed, those of all others were: {failures[0]}")
        return freed

    def left_over(self, results: Results) -> list[str]:
        """Files of results that belong to no revision, as after a power cut, and to nobody who is about to add one.

        :raises ServiceError: the catalogue cannot be reached
        """
        before = time.time() - SETTLED_S
        with self._connection() as connection:
            known = {file for (file,) in connection.execute("SELECT file FROM revisions")}
        return results.left_over(known, before)

    def _connection(self) -> psycopg.Connection:
        try:
            return psycopg.connect(conninfo(self._database_url), autocommit=True)
        except psycopg.OperationalError as error:
            raise ServiceError(f"the catalogue's database cannot be reached ({str(error).strip()}); check WPB_DATABASE_URL") from error
