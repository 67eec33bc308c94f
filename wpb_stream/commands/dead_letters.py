"""`wpb dead-letters`: what could not be used, why, and to have it tried again."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.table import Column, Table
from rich.text import Text

from wpb_stream.commands.flags import settings_flags
from wpb_stream.commands.terminal import output, printable
from wpb_stream.settings import load

if TYPE_CHECKING:  # the command line must not load a database's client for its help
    from wpb_stream.catalogue.letterbox import Letterbox, LetterRow
    from wpb_stream.catalogue.orphans import Orphans

POLL_S = 0.1
"""How often the outcome of a replay is looked for."""


@contextmanager
def _letterbox(flags: dict[str, Any]) -> Iterator[Letterbox]:
    from wpb_stream.catalogue.letterbox import Letterbox
    from wpb_stream.up import database_of

    with Letterbox(database_of(load(**flags))) as box:
        yield box


@click.group("dead-letters", invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True)
@click.option("--reason", default="", metavar="TEXT", help="Only those with this text in their reason.")
@click.option("--taken-in", is_flag=True, help="Those too that were taken in when they were replayed.")
@click.option("--orphans", is_flag=True, help="Instead: usable documents that belong to no run.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@settings_flags("database_url", "data")
@click.pass_context
def dead_letters(context: click.Context, limit: int, reason: str, taken_in: bool, orphans: bool, as_json: bool, **flags: Any) -> None:
    """List what came from a bus and could not be used, newest first; `show` one, or `replay` them.

    \b
    Example: wpb dead-letters --reason descriptor
             wpb dead-letters show 17
             wpb dead-letters replay 17 18
             wpb dead-letters replay --all
    """
    if context.invoked_subcommand is not None:
        context.obj = {name: value for name, value in flags.items() if value is not None}
        return
    from wpb_stream.catalogue.orphans import find_orphans

    with _letterbox(flags) as box:
        if orphans:
            _tell_orphans(find_orphans(box.connection), limit, as_json)
            return
        rows = box.letters(limit, reason=reason, taken_in=taken_in)
        if as_json:
            _tell_json(rows)
            return
        _tell_letters(rows)
        _tell_counts(box)


@dead_letters.command()
@click.argument("letter", type=int, metavar="ID")
@click.option("--raw", is_flag=True, help="Nothing but the message, byte by byte, to put into a file.")
@settings_flags("database_url", "data")
@click.pass_obj
def show(inherited: dict[str, Any], letter: int, raw: bool, **flags: Any) -> None:
    """Show one dead letter: why it could not be used, and the message as readable as can be.

    \b
    Example: wpb dead-letters show 17
             wpb dead-letters show 17 --raw > message.bin
    """
    from wpb_stream.commands.readable import readable

    with _letterbox(_merged(inherited, flags)) as box:
        row = next(iter(box.some([letter])), None)
        if row is None:
            raise click.ClickException(f"there is no dead letter {letter}; wpb dead-letters lists those that there are")
        value = box.value(letter)
    if raw:
        sys.stdout.buffer.write(value)
        return
    out = output()
    for name, text in (
        ("Reason", row.reason),
        ("State", row.state),
        ("Received", f"{row.received_at:%Y-%m-%d %H:%M:%S}"),
        ("From", f"{row.source} {row.partition} position {row.position}"),
        ("Size", f"{row.size} bytes"),
    ):
        out.print(Text.assemble((f"{name:<10}", "bold"), printable(text)), soft_wrap=True)
    out.print()
    out.print(Text(readable(value)), soft_wrap=True)


@dead_letters.command()
@click.argument("letters", type=int, nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All that are open.")
@click.option("--reason", default="", metavar="TEXT", help="All open ones with this text in their reason.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Seconds to wait for what becomes of them."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: each letter, as it is then.")
@settings_flags("database_url", "data")
@click.pass_obj
def replay(
    inherited: dict[str, Any], letters: tuple[int, ...], everything: bool, reason: str, wait_s: float, as_json: bool, **flags: Any
) -> None:
    """Have dead letters tried again: after wpb or a setting was changed, or out of doubt. What is stored already counts once.

    Ends with exit code 1 if one of them is broken still.

    \b
    Example: wpb dead-letters replay 17 18
             wpb dead-letters replay --reason "descriptor:"
    """
    if bool(letters) == bool(everything or reason):
        raise click.UsageError("say which: ids, or --reason TEXT, or --all")
    with _letterbox(_merged(inherited, flags)) as box:
        asked = _request(box, letters, reason)
        listening = box.listening()
        if listening:
            _wait(box, asked, wait_s)
        rows = box.some(asked)
    if as_json:
        _tell_json(rows)
    else:
        _tell_outcome(rows, listening, wait_s)
    if any(row.state == "open" for row in rows):
        sys.exit(1)


def _merged(inherited: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """Flags of the command over those before its name."""
    return {**inherited, **{name: value for name, value in flags.items() if value is not None}}


def _request(box: Letterbox, letters: Sequence[int], reason: str) -> list[int]:
    known = {row.id for row in box.some(letters)}
    unknown = [str(letter) for letter in letters if letter not in known]
    if unknown:
        raise click.ClickException(f"there is no dead letter {', '.join(unknown)}; nothing is replayed")
    asked = box.request(letters or None, reason=reason)
    for letter in sorted(known.difference(asked)):
        output().print(f"Dead letter {letter} was taken in already.")
    return asked


def _wait(box: Letterbox, asked: Sequence[int], wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while box.waiting(asked) and time.monotonic() < until:
        time.sleep(POLL_S)


def _tell_outcome(rows: Sequence[LetterRow], listening: bool, wait_s: float) -> None:
    out = output()
    states = Counter(row.state for row in rows)
    if not rows:
        out.print("No open dead letter is meant; nothing is replayed.")
    if states["taken in"]:
        out.print(f"{_letters(states['taken in'])} taken in.")
    if states["open"]:
        out.print(f"{_letters(states['open'])} broken still:")
        _tell_letters([row for row in rows if row.state == "open"][:20])
    if waiting := states["to be replayed"]:
        when = f"not taken in within {wait_s:g} s; it goes on" if listening else "will be taken in when `wpb stream` or `wpb up` runs"
        out.print(f"{_letters(waiting)} {when}.")


def _tell_letters(rows: Sequence[LetterRow]) -> None:
    out = output()
    if not rows:
        out.print("No dead letters.")
        return
    table = Table("id", "received", Column("bytes", justify="right"), "state", "from", "reason", box=None)
    for row in rows:
        where = printable(f"{row.source} {row.partition} {row.position}")
        table.add_row(
            str(row.id), f"{row.received_at:%Y-%m-%d %H:%M:%S}", str(row.size), row.state, Text(where), Text(printable(row.reason))
        )
    out.print(table)


def _tell_counts(box: Letterbox) -> None:
    from wpb_stream.catalogue.orphans import count_orphans

    out, counts, lost = output(), box.counts(), count_orphans(box.connection)
    if counts.open or counts.taken_in:
        out.print(f"{_letters(counts.open)} open, {counts.requested} of them to be replayed; {counts.taken_in} taken in.")
    if counts.dropped:
        out.print(f"{_letters(counts.dropped)} given up because there were too many.")
    if lost:
        out.print(f"{lost} usable {'document belongs' if lost == 1 else 'documents belong'} to no run: wpb dead-letters --orphans")


def _tell_orphans(found: Sequence[Orphans], limit: int, as_json: bool) -> None:
    if as_json:
        for each in found[:limit]:
            fields = {"missing": each.missing, "uid": each.uid, "documents": each.count, "names": each.names}
            click.echo(json.dumps({**fields, "first": each.first.isoformat(), "last": each.last.isoformat()}))
        return
    if not found:
        output().print("All documents belong to a run.")
        return
    table = Table(Column("documents", justify="right"), "first", "last", "what never came", "what waits for it", box=None)
    for each in found[:limit]:
        missing = f"{each.missing} {each.uid}" if each.missing else "whatever tells whose they are"
        names = ", ".join(f"{count} {name}" for name, count in each.names.most_common())
        first, last = (f"{at:%Y-%m-%d %H:%M:%S}" for at in (each.first, each.last))
        table.add_row(str(each.count), first, last, Text(printable(missing)), names)
    output().print(table)
    if len(found) > limit:
        output().print(f"... and {len(found) - limit} more; see --limit")


def _tell_json(rows: Sequence[LetterRow]) -> None:
    for row in rows:
        fields = {"id": row.id, "received": row.received_at.isoformat(), "source": row.source, "partition": row.partition}
        click.echo(json.dumps({**fields, "position": row.position, "bytes": row.size, "state": row.state, "reason": row.reason}))


def _letters(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"
