"""``edgegenre bench emulate``: a board under QEMU."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgegenre.commands.common import check_output, command_line, needs

from .options import BundleOption, refuse_without, show_progress

__all__ = ["emulate"]


def emulate(
    clips: Annotated[list[Path] | None, typer.Argument(help="Audio for parity; toy music by default.")] = None,
    device: Annotated[str, typer.Option(help="Profile in devices/.")] = "rpi4",
    bundle: BundleOption = None,
    windows: Annotated[int, typer.Option(help="Fewest windows for parity.", min=1)] = 200,
    repeats: Annotated[int, typer.Option(help="Counting runs, every one a separate process.", min=1)] = 2,
    peers: Annotated[
        bool, typer.Option("--peers", help="Count librosa, onnxruntime, scipy too (600 MB more).")
    ] = False,
    yamnet: Annotated[Path | None, typer.Option(help="With --peers: yamnet.tflite, or another waveform model.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="With --peers: the bundle's checkpoint; the shipped one by default.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the emulated arm64 userland.", envvar="EDGEGENRE_EMULATE_CACHE")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Result to write, JSON.")] = None,
) -> None:
    """Run a board under QEMU: are the bits the same, and how many instructions are run? Exits with 1 if bits differ.

    The first run fetches an arm64 Debian and aarch64 wheels (about 400 MB); a run that was stopped is resumed.

    Example: `edgegenre bench emulate gtzan/clips --device rpi4 --out devices/results/rpi4.json`
    """
    import tempfile

    refuse_without("--peers", peers, yamnet=yamnet, checkpoint=checkpoint)
    if out is not None:
        check_output(out)
    with needs("all"):
        from edgegenre_bench.emulate.emulated_board import EmulationJob, emulate_board, has_parity
        from edgegenre_bench.measure.peers.timings import write_files_of_bundle
    from edgegenre_bench.results.board_table import format_report
    from edgegenre_bench.results.result import write_result
    from edgegenre_runtime.audio.files import audio_files
    from edgegenre_runtime.network.bundle import read_bundle
    from edgegenre_runtime.network.classifier import default_bundle

    with tempfile.TemporaryDirectory() as name:
        if peers:
            write_files_of_bundle(Path(name), bundle, checkpoint)
        job = EmulationJob(
            device=device,
            bundle=bundle,
            clips=audio_files(clips or []),
            windows=windows,
            repeats=repeats,
            peer_files=Path(name) if peers else None,
            yamnet=yamnet,
            cache=cache,
        )
        result = emulate_board(job, command_line(), show_progress)
    if out is not None:
        write_result(result, out)
    typer.echo(format_report([result], read_bundle(default_bundle() if bundle is None else bundle), is_whole=False))
    if not has_parity(result):
        raise typer.Exit(1)
