"""``edgegenre bench parity``: whether every implementation of a bundle answers the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre.commands.common import check_output, command_line, needs, progress_bar
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.printable import printable

from .options import BundleOption, refuse_without, show_progress

__all__ = ["parity"]


def parity(
    clips: Annotated[list[Path] | None, typer.Argument(help="Audio files or folders.")] = None,
    data: Annotated[Path | None, typer.Option(help="Feature cache: every implementation over a part of it.")] = None,
    part: Annotated[str, typer.Option(help="Part of the cache.")] = "test",
    suite: Annotated[bool, typer.Option("--suite", help="Every implementation over the clips' windows.")] = False,
    emulate: Annotated[list[str] | None, typer.Option(help="Device to emulate too; may be repeated.")] = None,
    bundle: BundleOption = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Its checkpoint; the shipped one by default.")] = None,
    min_agreement: Annotated[
        float, typer.Option("--least", help="Exit with 1 below this share of equal answers.")
    ] = 0.9,
    out: Annotated[Path | None, typer.Option(help="Result of the suite to write, JSON.")] = None,
) -> None:
    """Compare every implementation with TFLite int8 (--data, --suite), or clips with the float network.

    Given clips, the float network takes librosa's features of them.

    Example: `edgegenre bench parity --data work/gtzan.npz`

    Example: `edgegenre bench parity gtzan/clips`
    """
    if (data is None) == (not clips):
        raise UsageError("give audio files, or a feature cache with --data; not both")
    refuse_without("--suite or --data", suite or data, out=out, emulate=emulate)
    if out is not None:
        check_output(out)
    if data is None and not suite:
        with needs("bench"):
            shares = _clips(clips or [], bundle, checkpoint)
    else:
        with needs("all"):
            shares = _suite(clips or [], data, part, emulate or [], bundle, checkpoint, out)
    if min(shares) < min_agreement:
        raise typer.Exit(1)


def _clips(clips: list[Path], bundle: Path | None, checkpoint: Path | None) -> list[float]:
    """Compare clips with the float network on librosa; returns the share of clips that agree."""
    from edgegenre.checkpoint import default_checkpoint, load_checkpoint
    from edgegenre_bench.measure.peers.librosa_path import clip_parities, format_parity
    from edgegenre_runtime import GenreClassifier
    from edgegenre_runtime.audio.files import audio_files

    files = audio_files(clips)
    loaded = load_checkpoint(checkpoint if checkpoint is not None else default_checkpoint())
    with progress_bar("clips") as show:
        done = iter(range(1, len(files) + 1))
        rows = clip_parities(GenreClassifier.load(bundle), loaded, files, lambda: show(next(done), len(files)))
    typer.echo(format_parity(rows))
    return [sum(row.agrees for row in rows) / len(rows)]


def _suite(
    clips: list[Path],
    data: Path | None,
    part: str,
    emulate: list[str],
    bundle: Path | None,
    checkpoint: Path | None,
    out: Path | None,
) -> list[float]:
    """Run the suite; returns the share of clips that agree, one per implementation."""
    from edgegenre.data.feature_cache import load_cache
    from edgegenre_bench.emulate.emulated_board import EmulationJob
    from edgegenre_bench.measure.peers.timings import matching_checkpoint
    from edgegenre_bench.measure.this_machine import result_header
    from edgegenre_bench.parity.suite import exact_differ, run_suite, windows_of_cache, windows_of_clips
    from edgegenre_bench.results.parity_table import format_table
    from edgegenre_bench.results.result import write_result
    from edgegenre_runtime import GenreClassifier
    from edgegenre_runtime.audio.files import audio_files

    classifier = GenreClassifier.load(bundle)
    loaded = matching_checkpoint(checkpoint, classifier)
    if data is None:
        windows, name = windows_of_clips(audio_files(clips), classifier), "audio"
    else:
        windows, name = (
            windows_of_cache(load_cache(data, classifier.tables), part, classifier),
            f"{printable(data.name)} {part}",
        )
    rows = run_suite(windows, classifier, loaded, [EmulationJob(device, bundle) for device in emulate], show_progress)
    typer.echo(format_table(rows, len(windows.names), len(windows.cells), name))
    if out is not None:
        figures = {"data": name, "n_windows": len(windows.cells), "n_clips": len(windows.names), "rows": rows}
        write_result(result_header(classifier, "parity", "", command_line()) | figures, out)
    for name in exact_differ(rows):
        typer.echo(f"{name} does not give the logits of TFLite int8 by XNNPACK, which it must", err=True)
        return [-1.0]
    return [row["clips_agree"] / len(windows.names) for row in rows if not row["why_not"]]
