"""``edgegenre bench run``: this machine, measured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edgegenre.commands.common import check_output, command_line, needs
from edgegenre_runtime.errors import UsageError

from .options import BundleOption, refuse_without, show_progress

__all__ = ["run"]


def run(
    device: Annotated[str, typer.Option(help="Profile in devices/; detected by default.")] = "",
    plan: Annotated[str, typer.Option(help="How much is measured: quick or full.")] = "quick",
    bundle: BundleOption = None,
    data: Annotated[
        Path | None, typer.Option(help="Evaluation set: a cache (.npz), a folder of folders, or a CSV of path,label.")
    ] = None,
    part: Annotated[str, typer.Option(help="Part of the cache.")] = "test",
    peers: Annotated[bool, typer.Option("--peers", help="Also librosa, torch, onnxruntime, scipy (extra).")] = False,
    yamnet: Annotated[Path | None, typer.Option(help="With --peers: yamnet.tflite, or another waveform model.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="With --peers: the bundle's checkpoint; the shipped one by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Result to write, JSON.")] = None,
    page: Annotated[Path | None, typer.Option(help="HTML page with plots to write.")] = None,
) -> None:
    """Measure this machine: front-end, network, both, cold start, memory, growth and accuracy.

    Example: `edgegenre bench run --plan quick --out rpi4.json --page rpi4.html`
    """
    from edgegenre_bench.measure.plan import load_plan
    from edgegenre_bench.measure.this_machine import measure_machine
    from edgegenre_bench.results.result import write_result
    from edgegenre_bench.results.result_page import format_result, write_page

    refuse_without("--peers", peers, yamnet=yamnet, checkpoint=checkpoint)
    for path in filter(None, (out, page)):  # before minutes of measuring, not after
        check_output(path)
    if page is not None:
        with needs("bench"):
            import jinja2  # noqa: F401
            import matplotlib  # noqa: F401
    if data is not None and not os.path.exists(data):
        raise UsageError(f"{data}: there is no such evaluation set")
    timer = None
    if peers:
        with needs("all"):
            from edgegenre_bench.measure.peers.timings import peer_timer
        timer = peer_timer(checkpoint, yamnet)
    result = measure_machine(
        load_plan(plan),
        bundle=bundle,
        device=device,
        data=data,
        part=part,
        command=command_line(),
        peers=timer,
        progress=show_progress,
    )
    if out is not None:
        write_result(result, out)
    if page is not None:
        write_page(result, page)
    typer.echo(format_result(result))
