"""``edgegenre``: the command line of the workstation. Each command imports its stage when it runs."""

from __future__ import annotations

import io
import sys
import traceback
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer

from edgegenre.typer_app import CommandApp
from edgegenre_runtime.errors import EdgeGenreError
from edgegenre_runtime.printable import printable
from edgegenre_runtime.system.standard_streams import flush_stdout

__all__ = ["app", "main"]

_WrongUse: Any = typer.BadParameter.mro()[2]
"""ClickException, of click or of the copy that newer typer brings: BadParameter → UsageError → this."""

_INTERRUPTED = 130

app = CommandApp(
    help="Music-genre classification from a folder of audio to a device that listens.",
    pretty_exceptions_enable=False,
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
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.obj = {"debug": debug}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns its exit code: 0 done, 2 wrong use or input, 3 rejected, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold bytes that are not UTF-8
    try:
        code = int(app(arguments, standalone_mode=False) or 0)
        if code == _INTERRUPTED:  # typer's answer to Ctrl-C
            typer.echo("edgegenre: interrupted", err=True)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except EdgeGenreError as error:
        return _failed(error, arguments, error.exit_code)
    except OSError as error:  # a full disk, a closed pipe: what no command has a better sentence for
        flush_stdout()  # so that the interpreter's own flush at exit does not fail again
        return _failed(error, arguments, EdgeGenreError.exit_code)
    except _WrongUse as error:
        error.show()
        return int(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("edgegenre: interrupted", err=True)
        return _INTERRUPTED


def _failed(error: Exception, arguments: list[str] | None, exit_code: int) -> int:
    """Print what went wrong on one line, with --debug after its traceback; returns the exit code."""
    if "--debug" in (arguments if arguments is not None else sys.argv):
        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):  # whoever reads the output has read enough
        return exit_code
    sentence = str(error)
    if isinstance(error, OSError) and error.strerror:
        sentence = f"{error.filename or 'standard output'}: {error.strerror.lower()}"
    typer.echo(f"edgegenre: {printable(sentence)}", err=True)
    return exit_code
