"""``edgegenre``: the command line of the workstation. Each command imports its stage when it runs."""

from __future__ import annotations

import sys
import traceback
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer

from edgegenre_runtime.errors import EdgeGenreError

__all__ = ["app", "main"]

_WrongUse: Any = typer.BadParameter.mro()[2]
"""ClickException, of click or of the copy that newer typer brings: BadParameter → UsageError → this."""

_INTERRUPTED = 130

app = typer.Typer(
    help="Music-genre classification from a folder of audio to a device that listens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for _entry in sorted(entry_points(group="edgegenre.commands"), key=lambda entry: entry.name):
    _entry.load()(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edgegenre {version('edgegenre')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback instead of one line.")] = False,
    _: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show it.")] = False,
) -> None:
    context.obj = {"debug": debug}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns its exit code: 0 done, 2 wrong use or input, 3 rejected, 130 interrupted."""
    try:
        code = int(app(arguments, standalone_mode=False) or 0)
        if code == _INTERRUPTED:  # typer's answer to Ctrl-C
            typer.echo("edgegenre: interrupted", err=True)
        return code
    except EdgeGenreError as error:
        if "--debug" in (arguments or sys.argv):
            traceback.print_exc()
        typer.echo(f"edgegenre: {error}", err=True)
        return error.exit_code
    except _WrongUse as error:
        error.show()
        return int(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("edgegenre: interrupted", err=True)
        return _INTERRUPTED
