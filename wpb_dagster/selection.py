"""Which runs are to be made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wpb_stream.catalogue.reader import CatalogueReader
from wpb_stream.catalogue.records import RunRow
from wpb_stream.core.exceptions import ServiceError

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """Runs by name, or all that meet the conditions."""

    runs: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    plan: str | None = None
    status: str | None = None


@dataclass(slots=True)
class Chosen:
    """What a selection comes to."""

    runs: list[RunRow] = field(default_factory=list[RunRow])
    """Oldest first."""
    running: list[RunRow] = field(default_factory=list[RunRow])
    """Left out: they are not over."""
    without_recipe: list[RunRow] = field(default_factory=list[RunRow])
    """Left out: there is nothing to reconstruct."""


def choose_runs(reader: CatalogueReader, selection: Selection) -> Chosen:
    """The runs of a selection.

    :raises ServiceError: a run that is named is not in the catalogue, or the catalogue cannot be reached
    """
    chosen = Chosen()
    for row in reversed(_named(reader, selection.runs) if selection.runs else _fitting(reader, selection)):
        kept = chosen.running if row.ended_seq is None else chosen.runs if row.info.recipe else chosen.without_recipe
        kept.append(row)
    return chosen


def time_of(text: str) -> datetime:
    """A day or a time; one without a zone is in UTC.

    :raises ValueError: it is neither
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no day or time such as 2026-06-01 or 2026-06-01T12:00+02:00") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _named(reader: CatalogueReader, uids: Sequence[str]) -> list[RunRow]:
    rows: list[RunRow] = []
    for uid in dict.fromkeys(uids):
        row = reader.run(uid)
        if row is None:
            raise ServiceError(f"there is no run {uid[:80]!r} in the catalogue; `wpb runs` lists them")
        rows.append(row)
    return sorted(rows, key=lambda row: row.started_seq, reverse=True)


def _fitting(reader: CatalogueReader, selection: Selection) -> list[RunRow]:
    rows: list[RunRow] = []
    before: int | None = None
    while page := reader.runs(
        limit=_PAGE, before=before, plan_name=selection.plan, status=selection.status, since=selection.since, until=selection.until
    ):
        rows += page
        before = page[-1].started_seq
    return rows
