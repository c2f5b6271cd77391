"""Help: every character of it is shown, and options that take no value have no metavar."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from rich.console import Console
from rich.markdown import Markdown

from edgegenre.cli import app, main


def commands(command: Any, path: str = "edgegenre") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(app)))


def rendered(text: str) -> str:
    """Return Markdown as Rich shows it, without spaces and line breaks."""
    console = Console(file=io.StringIO(), width=1000)
    console.print(Markdown(text))
    return "".join(console.file.getvalue().split())


@pytest.mark.parametrize("path", COMMANDS)
def test_no_markup_eats_a_character(path: str) -> None:
    command = COMMANDS[path]
    for text in [command.help or "", *(param.help or "" for param in command.params)]:
        assert rendered(text) == "".join(text.replace("`", "").split())


@pytest.mark.parametrize("path", COMMANDS)
def test_flags_have_no_metavar(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path.split()[1:], "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--help" in shown
    assert "bool" not in shown
