"""``edgegenre bench compare | report | check``: results of boards, compared, tabulated and validated."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from .options import BundleOption, show_progress

__all__ = ["check", "compare", "report"]

_Results = Annotated[list[Path], typer.Argument(help="Results; the others are compared with the first.")]


def compare(
    results: _Results,
    slower: Annotated[float, typer.Option(help="Share by which a stage may be slower, in yardsticks.", min=0)] = 0.25,
    more_instructions: Annotated[float, typer.Option(help="Share of instructions that may be added.", min=0)] = 0.02,
    larger: Annotated[float, typer.Option(help="Share by which memory and model may grow.", min=0)] = 0.1,
    accuracy_drop: Annotated[float, typer.Option(help="Accuracy, 0 to 1, that may be lost.", min=0)] = 0.01,
) -> None:
    """Compare results of one board; exits with 1 if a later one is worse than the first by more than is allowed.

    Example: `edgegenre bench compare before.json after.json`
    """
    from edgegenre_bench.results.comparison import Allowed, compare_results, format_changes
    from edgegenre_bench.results.result import read_result
    from edgegenre_runtime.errors import UsageError

    if len(results) < 2:
        raise UsageError("give two results or more; the others are compared with the first")
    allowed = Allowed(slower, more_instructions, larger, accuracy_drop)
    base, has_failed = read_result(results[0]), False
    for path in results[1:]:
        changes = compare_results(base, read_result(path), allowed)
        typer.echo(format_changes(f"{results[0].name} → {path.name}", changes))
        has_failed |= any(change.is_regression for change in changes)
    if has_failed:
        raise typer.Exit(1)


def report(
    results: Annotated[Path | None, typer.Option(help="Folder of results; devices/results by default.")] = None,
    write: Annotated[
        list[Path] | None, typer.Option(help="Markdown page to update between its marks; repeatable.")
    ] = None,
    check_pages: Annotated[
        list[Path] | None, typer.Option("--check", help="Exit with 1 if this page is stale; repeatable.")
    ] = None,
) -> None:
    """Print the boards × models matrix: what each board needs, and whether its budget is met.

    Example: `edgegenre bench report --write docs/boards.md --write README.md`
    """
    from edgegenre_bench.results.board_table import format_sections, read_results, stale_results
    from edgegenre_bench.results.marked_page import is_stale, write_sections
    from edgegenre_runtime.network.bundle import read_bundle
    from edgegenre_runtime.network.classifier import default_bundle

    found, bundle = read_results(results), read_bundle(default_bundle())
    texts = format_sections(found, bundle)
    for page in write or ():
        write_sections(page, texts)
    if not check_pages:
        typer.echo(texts["edgegenre bench report"])
        return
    old = stale_results(found, bundle)
    if old:
        show_progress(f"of another bundle than the shipped one: {', '.join(old)}; run  scripts/measure_boards.sh")
    stale = [page for page in check_pages if is_stale(page, texts)]
    for page in check_pages:
        if page in stale:
            show_progress(f"{page}: the table is stale; run  edgegenre bench report --write {shlex.quote(str(page))}")
        elif not old:
            typer.echo(f"{page}: up to date with {len(found)} results")
    if old or stale:
        raise typer.Exit(1)


def check(
    results: _Results,
    bundle: BundleOption = None,
) -> None:
    """Validate results from others: their schema, the bundle's hash, and the golden answers of their board.

    Example: `edgegenre bench check rpi4.json`
    """
    from edgegenre_bench.results.result import check_bundle, read_result
    from edgegenre_runtime.network.bundle import read_bundle
    from edgegenre_runtime.network.classifier import default_bundle

    opened = read_bundle(default_bundle() if bundle is None else bundle)
    for path in results:
        result = read_result(path)
        check_bundle(result, opened, path.name)
        typer.echo(f"{path}: {result['kind']} on {result['device'] or 'a machine without profile'}, valid")
