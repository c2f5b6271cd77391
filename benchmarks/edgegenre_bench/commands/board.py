"""``edgegenre bench run | emulate | compare | report | check``: boards measured, emulated and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre.commands.common import command_line, needs

__all__ = ["check", "compare", "emulate", "report", "run"]

_Bundle = Annotated[Path | None, typer.Option(help="Bundle folder or .zip; the shipped one if not given.")]
_Results = Annotated[list[Path], typer.Argument(help="Results, the first being what the others are held to.")]


def say(line: str) -> None:
    """Print a line of progress to standard error."""
    typer.echo(line, err=True)


def run(
    device: Annotated[str, typer.Option(help="Profile in devices/; found by itself if not given.")] = "",
    plan: Annotated[str, typer.Option(help="How much is measured: quick or full.")] = "quick",
    bundle: _Bundle = None,
    data: Annotated[
        Path | None, typer.Option(help="Evaluation set: a cache (.npz), a folder of folders, or a CSV of path,label.")
    ] = None,
    part: Annotated[str, typer.Option(help="Part of the cache.")] = "test",
    peers: Annotated[bool, typer.Option("--peers", help="Also librosa, torch, onnxruntime, scipy (extra).")] = False,
    yamnet: Annotated[Path | None, typer.Option(help="With --peers: yamnet.tflite, or another waveform model.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="With --peers: the bundle's checkpoint; the shipped one if not given.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Result to write, JSON.")] = None,
    page: Annotated[Path | None, typer.Option(help="HTML page with plots to write.")] = None,
) -> None:
    """Measure this machine: front-end, network, both, cold start, memory, growth and accuracy.

    Example: `edgegenre bench run --plan quick --out rpi4.json --page rpi4.html`
    """
    from edgegenre_bench.measure.plan import load_plan
    from edgegenre_bench.measure.this_machine import measure_board
    from edgegenre_bench.results.result import write_result
    from edgegenre_bench.results.result_page import format_result, write_page

    if page is not None:
        with needs("bench"):
            import jinja2  # noqa: F401 (before minutes of measuring, not after)
    beside = None
    if peers:
        with needs("all"):
            from edgegenre_bench.measure.peer_timings import peers_beside
        beside = peers_beside(checkpoint, yamnet)
    result = measure_board(
        load_plan(plan),
        bundle=bundle,
        device=device,
        data=data,
        part=part,
        command=command_line(),
        peers=beside,
        say=say,
    )
    if out is not None:
        write_result(result, out)
    if page is not None:
        write_page(result, page)
    typer.echo(format_result(result))


def emulate(
    clips: Annotated[list[Path] | None, typer.Argument(help="Audio for parity; toy music if not given.")] = None,
    device: Annotated[str, typer.Option(help="Profile in devices/.")] = "rpi4",
    bundle: _Bundle = None,
    windows: Annotated[int, typer.Option(help="Least windows for parity.", min=1)] = 200,
    repeats: Annotated[int, typer.Option(help="Counting runs, every one a process of its own.", min=1)] = 2,
    peers: Annotated[
        bool, typer.Option("--peers", help="Count librosa, onnxruntime, scipy too (600 MB more).")
    ] = False,
    yamnet: Annotated[Path | None, typer.Option(help="With --peers: yamnet.tflite, or another waveform model.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="With --peers: the bundle's checkpoint; the shipped one if not given.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the emulated arm64 userland.", envvar="EDGEGENRE_EMULATE_CACHE")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Result to write, JSON.")] = None,
) -> None:
    """Run a board under QEMU: the same bits as here? and how many instructions? Never milliseconds. 1 if bits differ.

    The first run fetches an arm64 Debian and aarch64 wheels (about 400 MB); a run that was stopped goes on there.

    Example: `edgegenre bench emulate ../shared/data/gtzan/clips --device rpi4 --out devices/results/rpi4.json`
    """
    import tempfile

    with needs("all"):
        from edgegenre_bench.emulate.emulated_board import Wanted, emulate_board, has_parity
        from edgegenre_bench.measure.peer_timings import files_for
    from edgegenre_bench.results.board_table import format_report
    from edgegenre_bench.results.result import write_result
    from edgegenre_runtime.audio.files import audio_files
    from edgegenre_runtime.network.bundle import read_bundle
    from edgegenre_runtime.network.classifier import default_bundle

    with tempfile.TemporaryDirectory() as name:
        if peers:
            files_for(Path(name), bundle, checkpoint)
        wanted = Wanted(
            device=device,
            bundle=bundle,
            clips=audio_files(clips or []),
            windows=windows,
            repeats=repeats,
            peer_files=Path(name) if peers else None,
            yamnet=yamnet,
            cache=cache,
        )
        result = emulate_board(wanted, command_line(), say)
    if out is not None:
        write_result(result, out)
    typer.echo(format_report([result], read_bundle(default_bundle() if bundle is None else bundle), is_whole=False))
    if not has_parity(result):
        raise typer.Exit(1)


def compare(
    results: _Results,
    slower: Annotated[float, typer.Option(help="Share by which a stage may be slower, in yardsticks.", min=0)] = 0.25,
    more_instructions: Annotated[float, typer.Option(help="Share of instructions that may be added.", min=0)] = 0.02,
    larger: Annotated[float, typer.Option(help="Share by which memory and model may grow.", min=0)] = 0.1,
    accuracy_drop: Annotated[float, typer.Option(help="Accuracy, 0 to 1, that may be lost.", min=0)] = 0.01,
) -> None:
    """Compare results of one board; exits with 1 if a later one is worse than the first beyond what is allowed.

    Example: `edgegenre bench compare before.json after.json`
    """
    from edgegenre_bench.results.compare import Allowed, compare_results, format_changes
    from edgegenre_bench.results.result import read_result
    from edgegenre_runtime.errors import UsageError

    if len(results) < 2:
        raise UsageError("one result was given; two or more are compared, the first being the base")
    allowed = Allowed(slower, more_instructions, larger, accuracy_drop)
    base, has_failed = read_result(results[0]), False
    for path in results[1:]:
        changes = compare_results(base, read_result(path), allowed)
        typer.echo(format_changes(f"{results[0].name} → {path.name}", changes))
        has_failed |= any(change.is_regression for change in changes)
    if has_failed:
        raise typer.Exit(1)


def report(
    results: Annotated[Path | None, typer.Option(help="Folder of results; devices/results if not given.")] = None,
    write: Annotated[Path | None, typer.Option(help="Markdown page to write it into, between its marks.")] = None,
    check_page: Annotated[Path | None, typer.Option("--check", help="Exit with 1 if this page is stale.")] = None,
) -> None:
    """Print the boards × models matrix: what each board does, and whether its budget is met.

    Example: `edgegenre bench report --write README.md`
    """
    from edgegenre_bench.results.board_table import format_report, is_stale, read_results, stale_results, write_report
    from edgegenre_runtime.network.bundle import read_bundle
    from edgegenre_runtime.network.classifier import default_bundle

    found, bundle = read_results(results), read_bundle(default_bundle())
    text = format_report(found, bundle)
    if write is not None:
        write_report(write, text)
    if check_page is None:
        typer.echo(text)
        return
    old = stale_results(found, bundle)
    if old:
        say(f"of another bundle than the shipped one: {', '.join(old)}; run  scripts/measure_boards.sh")
    if is_stale(check_page, text):
        say(f"{check_page}: the table is stale; run  edgegenre bench report --write {check_page}")
    elif not old:
        typer.echo(f"{check_page}: up to date with {len(found)} results")
        return
    raise typer.Exit(1)


def check(
    results: _Results,
    bundle: _Bundle = None,
) -> None:
    """Validate results that others sent: their shape, the bundle's hash, and that their board gave the golden answers.

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
