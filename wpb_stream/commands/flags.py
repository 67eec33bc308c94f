"""Options of commands that mirror the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from wpb_stream.settings import NO_FLAGS, Settings

F = TypeVar("F", bound=Callable[..., Any])


def settings_flags(*only: str) -> Callable[[F], F]:
    """Options that mirror the settings: all of them, or those named."""

    def decorate(command: F) -> F:
        for name, field in reversed(Settings.model_fields.items()):
            if (only and name not in only) or name in NO_FLAGS:
                continue
            flag = f"--{name.replace('_', '-')}"
            value: dict[str, Any] = {"is_flag": True} if field.annotation is bool else {"metavar": "VALUE"}
            command = click.option(flag, name, default=None, help=field.description, **value)(command)
        return command

    return decorate
