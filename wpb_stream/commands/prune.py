"""`wpb prune`: old revisions go."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Column, Table

from wpb_stream.commands.flags import settings_flags
from wpb_stream.commands.terminal import output, printable
from wpb_stream.settings import load


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say which would go.")
@settings_flags("database_url", "data", "keep_revisions", "keep_revisions_days")
def prune(dry_run: bool, **flags: Any) -> None:
    """Remove revisions that are too many or too old, never a run's newest one, nor what was shown live; and files that were left over.

    Example: wpb prune --keep-revisions 3 --keep-revisions-days 90 --dry-run
    """
    from wpb_stream.catalogue.results import Results
    from wpb_stream.catalogue.retention import Retention
    from wpb_stream.up import database_of

    settings = load(**flags)
    retention, results = Retention(database_of(settings), settings.keep_revisions, settings.keep_revisions_days), Results(settings.results)
    old, left_over = retention.old(), retention.left_over(results)
    out = output()
    if dry_run:
        table = Table("made", "run", Column("revision", no_wrap=True), box=None)
        for each in old:
            table.add_row(f"{each.created_at:%Y-%m-%d %H:%M:%S}", printable(each.run_uid), printable(each.revision))
        out.print(table if old else "")
        out.print(f"{len(old)} revisions would go, {sum(results.size(each.file) for each in old) / 1e6:.1f} MB.")
        if left_over:
            out.print(f"{len(left_over)} files that belong to no revision would go, {sum(map(results.size, left_over)) / 1e6:.1f} MB.")
        return
    out.print(f"{len(old)} revisions went, {retention.drop(old, results) / 1e6:.1f} MB.")
    if left_over:
        out.print(f"{len(left_over)} files that belonged to no revision went, {sum(map(results.remove, left_over)) / 1e6:.1f} MB.")
