"""`wpb token`: somebody is let in."""

from __future__ import annotations

import json
from typing import get_args

import click

from wpb_stream.core.access import Scope
from wpb_stream.tokens import new_token


@click.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(get_args(Scope)),
    multiple=True,
    default=["watch"],
    show_default=True,
    help="What it is for; `admin` includes `watch`, and allows to have runs made again.",
)
@click.option("--session", "sessions", multiple=True, help="See only runs of this data_session. May be repeated; all runs if not given.")
def token(name: str, scopes: tuple[Scope, ...], sessions: tuple[str, ...]) -> None:
    """Make a token for NAME: it is printed once, then the entry for the settings, which holds only its hash.

    \b
    Example: wpb token alice
             wpb token bob --scope admin
             wpb token visit-7 --session cm12345-7 --session cm12345-8
    """
    text, entry = new_token(name, scopes, sessions or None)
    click.echo(f"{text}\n\nThis is the token, for {name}; it is kept nowhere. At the end of wpb.toml goes:\n\n[[tokens]]")
    for key, value in entry.model_dump(mode="json", exclude_none=True).items():
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")
