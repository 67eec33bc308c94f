"""Write the reference pages that follow from the code: settings and commands.

``python docs/make_reference.py`` writes them; a test compares them with what the code says now.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from wpb_stream.cli import main
from wpb_stream.settings import Settings

REFERENCE = Path(__file__).parent / "reference"


def settings_page() -> str:
    """Every setting: flag, variable, default, what it is for."""
    lines = [
        "# Settings",
        "",
        "Read, the later winning: the defaults, `wpb.toml` in the working folder (or the file `WPB_CONFIG` names), environment variables,",
        "flags.",
        "A setting `window_frames` is `window_frames = 64` in `wpb.toml`, `WPB_WINDOW_FRAMES=64` and `--window-frames 64`.",
        "",
        "| setting | variable | default | |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, dict):
            default = {key: value.model_dump(exclude_defaults=True) for key, value in default.items()}
        text = "" if default in (None, (), {}) else f"`{default}`"
        description = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{name}` | `WPB_{name.upper()}` | {text} | {description} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """The help of every command."""
    lines = ["# The command line", ""]
    context = click.Context(main, info_name="wpb", terminal_width=110, max_content_width=110, help_option_names=["-h", "--help"])
    for name, command in sorted(main.commands.items()):
        lines += _help(name, command, context)
    return "\n".join(lines)


def _help(name: str, command: click.Command, parent: click.Context) -> list[str]:
    """The help of a command, and of those below it."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=110, max_content_width=110)
    lines = [f"## {context.command_path}", "", "```", command.get_help(context), "```", ""]
    for inner, below in sorted(command.commands.items()) if isinstance(command, click.Group) else ():
        lines += _help(inner, below, context)
    return lines


PAGES = {"settings.md": settings_page, "commands.md": commands_page}

if __name__ == "__main__":
    os.environ.pop("WPB_CONFIG", None)
    for page, make in PAGES.items():
        (REFERENCE / page).write_text(make())
