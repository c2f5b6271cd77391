"""The Typer app of the command line: as Typer's, without ``<bool>`` behind options that take no value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

__all__ = ["CommandApp"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class _PlainFlags:
    """Mixed into commands and groups: their flags have no metavar."""

    params: list[Any]

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, ``--help`` among them."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False) and param.metavar is None:
                param.metavar = ""
        return params


class _Command(_PlainFlags, TyperCommand):
    pass


class _Group(_PlainFlags, TyperGroup):
    pass


class CommandApp(typer.Typer):
    """A Typer app whose commands are described alike, whichever package adds them."""

    def __init__(self, *, help: str, **settings: Any) -> None:  # noqa: A002  # Typer's name
        super().__init__(
            cls=_Group, help=help, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", **settings
        )

    def command(self, *arguments: Any, **settings: Any) -> Callable[[_Function], _Function]:
        """As :meth:`typer.Typer.command`."""
        return super().command(*arguments, **{"cls": _Command, **settings})
