"""Command lines that the help and the pages print: each can be typed as it stands there, or names what there is."""

import ast
import itertools
import re
import shlex

import pytest
import typer
from documentation import ROOT, pages

from edgegenre.cli import app
from edgegenre_runtime.command_line import argument_parser, mode_of

ROOT_COMMAND = typer.main.get_command(app)
PAGES = [page for page in pages() if page.name != "CHANGELOG.md"]  # which tells of options that are gone
PACKAGES = ("edgegenre", "export/edgegenre_export", "runtime/edgegenre_runtime", "benchmarks/edgegenre_bench")
SHELL = {">", ">>", "2>", "<", "|", "&&", "&", ";"}


def commands(command, path="edgegenre"):
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")


COMMANDS = {path: command for path, command in commands(ROOT_COMMAND) if not hasattr(command, "commands")}


def typed(text):
    """Yield the words of each of the project's programs in a shell's line, without variables and redirections."""
    for pipe in itertools.groupby(shlex.split(text, comments=True), SHELL.__contains__):
        words = [] if pipe[0] else list(itertools.dropwhile(lambda word: re.match(r"\w+=|sudo$|time$", word), pipe[1]))
        if words and words[0] in ("edgegenre", "edgegenre-run"):
            yield words


def found(words):
    """The command that words call, and the words behind its name; None for a group alone."""
    command, rest = ROOT_COMMAND, words[1:]
    while hasattr(command, "commands"):
        rest = list(itertools.dropwhile(lambda word: word.startswith("-"), rest))
        if not rest:
            return None, []
        assert rest[0] in command.commands, f"there is no command {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    return command, rest


def parse(words):
    """Parse a command line as its program does; nothing is run."""
    if {"--help", "--version"} & set(words):
        return
    if words[0] == "edgegenre-run":
        parser = argument_parser()
        mode_of(parser.parse_args(words[1:]), parser)
        return
    command, rest = found(words)
    if command is not None:
        command.make_context("edgegenre", list(rest))


@pytest.mark.parametrize("path", COMMANDS)
def test_the_example_of_a_command_can_be_typed(path):
    examples = re.findall(r"Example:\s+`([^`]+)`", COMMANDS[path].help or "")
    assert examples, f"{path} has no example"
    lines = [words for example in examples for words in typed(example)]
    assert any(" ".join(words).startswith(path) for words in lines)
    for words in lines:
        parse(words)


def test_the_examples_of_edgegenre_run_can_be_typed():
    examples = [line.split("   ")[0] for line in argument_parser().format_help().split("examples:\n")[1].splitlines()
                if "edgegenre-run " in line and not line.startswith("exit")]  # fmt: skip
    assert len(examples) > 4
    for example in examples:
        for words in typed(example.strip().split("  ")[0]):
            parse(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_lines_of_a_page_can_be_typed(page):
    for block in re.findall(r"```\w*\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            if re.match(r"(\w+=\S* |sudo )*edgegenre(-run)? ", line):
                for words in typed(line):
                    parse(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_sentence_names_is_there(page):
    for text in re.findall(r"`(edgegenre(?:-run)? [a-z-][^`…]*)`", page.read_text("utf-8")):
        for words in typed(" ".join(text.split())):
            if words[0] == "edgegenre-run":
                known = {option for action in argument_parser()._actions for option in action.option_strings}
            elif "COMMAND" in words:
                continue
            else:
                command, _ = found(words)
                known = {"--help", "--version", "--debug"}
                known |= {
                    option
                    for param in getattr(command, "params", ())
                    for option in [*param.opts, *param.secondary_opts]
                }
            unknown = {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)} - known
            assert not unknown, f"`{' '.join(words)}` has {unknown}"


@pytest.mark.parametrize(
    "line", ["edgegenre export --int9", "edgegenre exports", "edgegenre data prepare", "edgegenre-run --mike"]
)
def test_a_line_that_cannot_be_typed_is_found(line):
    wrong_use = typer.BadParameter.mro()[2]  # ClickException, of click or of the copy that newer typer brings
    with pytest.raises((AssertionError, SystemExit, wrong_use)):
        parse(line.split())


_COMMAND = re.compile(rf"(^|  )(edgegenre ({'|'.join(ROOT_COMMAND.commands)})|edgegenre-run|ffmpeg) ")


def unquoted(tree):
    """Yield the code of values that an f-string puts into a command of this project without quoting them."""
    for text in ast.walk(tree):
        if not isinstance(text, ast.JoinedStr):
            continue
        is_command = False
        for part in text.values:
            if isinstance(part, ast.Constant):
                is_command = is_command or _COMMAND.search(part.value)
            elif is_command and not ast.unparse(part.value).startswith(("shlex.quote(", "shlex.join(")):
                yield ast.unparse(text)


def test_paths_in_the_commands_of_a_message_are_quoted():
    found = [code for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))
             for code in unquoted(ast.parse(path.read_text("utf-8")))]  # fmt: skip
    assert found == []
    assert list(unquoted(ast.parse('f"{a}: run  edgegenre verify {b}"')))
    assert list(unquoted(ast.parse('f"edgegenre sign new-key {b}"')))
