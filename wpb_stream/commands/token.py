"""`wpb token`: somebody is let in."""

from __future__ import annotations

import json

import click

from wpb_stream.tokens import Scope, new_token


@click.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="With scope `admin`, which includes `watch`.")
@click.option("--session", "sessions", multiple=True, help="See only runs of this data_session. May be repeated; all runs if not given.")
def token(name: str, admin: bool, sessions: tuple[str, ...]) -> None:
    """Make a token for NAME: it is printed once, then the entry for the settings, which holds only its hash.

    \b
    Example: wpb token alice
             wpb token visit-7 --session cm12345-7 --session cm12345-8
    """
    scopes: tuple[Scope, ...] = ("admin",) if admin else ("watch",)
    text, entry = new_token(name, scopes, sessions or None)
    click.echo(f"{text}\n\nThis is the token, for {name}; it is kept nowhere. At the end of wpb.toml goes:\n\n[[tokens]]")
    for key, value in entry.model_dump(mode="json", exclude_none=True).items():
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")
