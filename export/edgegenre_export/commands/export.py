"""``edgegenre export``."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgegenre.commands.common import command_line, needs
from edgegenre.recorded_path import recorded_path
from edgegenre_export.recipes import RECIPES, Recipe, find_recipe, require_head_recipe
from edgegenre_runtime.errors import UsageError

from .sign import sign_and_report
from .stage_bars import stage_bars
from .web import write_page

if TYPE_CHECKING:
    from edgegenre.checkpoint import Checkpoint
    from edgegenre.data.feature_cache import FeatureCache
    from edgegenre.heads.checkpoint import TrainedHead
    from edgegenre_export import Calibration, ExportJob, ExportResult, ReferenceTracks, TrainedNetwork
    from edgegenre_runtime.frontend import Tables
    from edgegenre_runtime.signature import PrivateKey

__all__ = ["export"]


def export(
    checkpoint: Annotated[Path | None, typer.Argument(help="Checkpoint; the shipped one if not given.")] = None,
    out: Annotated[Path, typer.Option(help="Bundle folder to write; of a sweep, the folder of all.")] = Path("bundle"),
    int8: Annotated[bool, typer.Option("--int8", help="The same as --recipe int8 (without either: float).")] = False,
    recipe: Annotated[
        str | None, typer.Option(help="float, int8, int8x16, prune30_int8, prune50_int8 or qat_int8.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Feature cache to calibrate, fine-tune and compare on; else the training's.")
    ] = None,
    part: Annotated[
        Literal["valid", "test"], typer.Option(help="Part of the cache that artifacts are compared on.")
    ] = "test",
    gate: Annotated[
        Literal["on", "off"], typer.Option(help="Accept only artifacts that answer as the trained network does.")
    ] = "on",
    epochs: Annotated[int | None, typer.Option(help="Epochs of a recipe's fine-tuning, if not its own.", min=1)] = None,
    teacher: Annotated[
        list[Path] | None, typer.Option(help="Checkpoint that fine-tuning learns from, if not itself; repeatable.")
    ] = None,
    windows: Annotated[int, typer.Option(help="Calibration windows.", min=10)] = 256,
    seed: Annotated[int, typer.Option(help="Seed of calibration windows and fine-tuning.", min=0)] = 0,
    sweep: Annotated[bool, typer.Option("--sweep", help="Every recipe, with a table and a Pareto plot.")] = False,
    web: Annotated[
        Path | None, typer.Option("--web", metavar="DIR", help="Write the bundle's web page there too (int8 recipes).")
    ] = None,
    sign: Annotated[
        list[Path] | None, typer.Option(metavar="KEY", help="Sign the bundle with this private key; repeatable.")
    ] = None,
) -> None:
    """Export a checkpoint as a bundle for devices; exit code 3 if the result does not answer as the trained network.

    Calibration windows come from the training split that the checkpoint was trained on, else from --data; the gate's
    tracks from its test part. The shipped checkpoint, whose recordings cannot be shipped, is calibrated and compared
    on rendered toy music. A pruned or fine-tuned checkpoint is in OUT.tuned, a rejected bundle in OUT.rejected.

    Example: `edgegenre export runs/mine --recipe prune50_int8 --out mine.bundle`
    """
    if int8 and recipe not in (None, "int8"):
        raise UsageError(f"--int8 and --recipe {recipe} were given: choose one")
    chosen = _with_epochs(find_recipe(recipe or ("int8" if int8 else "float")), epochs)
    if teacher and chosen.tuning is None and not sweep:
        raise UsageError(f"recipe {chosen.name} does not fine-tune, so --teacher has no use: leave it out")
    _check_web(web, chosen, sweep=sweep)
    keys = _signing_keys(sign, sweep=sweep)
    _require_readable(checkpoint, data, *(teacher or ()))
    _require_head_recipe(checkpoint, chosen, sweep=sweep)
    from edgegenre_runtime.network.bundle import check_destination

    if not sweep:
        check_destination(out)
    with needs("export"):
        from edgegenre.checkpoint import default_checkpoint, load_checkpoint
        from edgegenre.heads.checkpoint import load_head
        from edgegenre_export.inputs.trained_network import checkpoint_network
    from edgegenre_runtime.frontend import released

    loaded = load_checkpoint(checkpoint if checkpoint is not None else default_checkpoint())
    head = None if checkpoint is None else load_head(checkpoint)
    network = checkpoint_network(loaded)
    tables = released(loaded.spec.name)
    cache, source = _cache(loaded, tables, data)
    if chosen.tuning is not None and cache is None:
        raise UsageError(f"recipe {chosen.name} fine-tunes and needs the training data: name its cache with --data")
    was_seen = part in loaded.meta.get("fitted_on", ())
    calibration, reference = _windows(tables, cache, source, windows, seed, part if gate == "on" else None, was_seen)
    typer.echo(f"calibration: {len(calibration.windows)} windows of {calibration.source}", err=True)
    inputs = _Inputs(
        network, tables, cache, source, calibration, reference, tuple(teacher or ()), seed, command_line(), head
    )
    if sweep:
        _sweep(inputs, out, epochs)
    else:
        _report(_run(inputs, chosen, out), out)
        if keys:
            sign_and_report(out, keys)
        if web is not None:
            write_page(out, web)


@dataclasses.dataclass(frozen=True, slots=True)
class _Inputs:
    """What every recipe of a command is exported from."""

    network: TrainedNetwork
    tables: Tables
    cache: FeatureCache | None
    source: str
    calibration: Calibration
    reference: ReferenceTracks | None
    teachers: tuple[Path, ...]
    seed: int
    command: str
    head: TrainedHead | None

    def job(self, recipe: Recipe, out: Path) -> ExportJob:
        """Return the job of one recipe and destination."""
        from edgegenre_export import ExportJob, FineTuning
        from edgegenre_export.inputs.golden_pcm import golden_inputs, golden_pcm
        from edgegenre_export.inputs.reference_tracks import training_tracks
        from edgegenre_export.job import tuned_path
        from edgegenre_runtime.network.bundle import check_destination

        destination, fine_tuning = check_destination(out), None
        if recipe.tuning is not None and self.cache is not None:
            fine_tuning = FineTuning(self.cache, self.teachers, tuned_path(destination), self.seed)
        return ExportJob(
            network=self.network,
            tables=self.tables,
            calibration=self.calibration,
            golden=golden_inputs(golden_pcm(self.tables), self.tables),
            recipe=recipe,
            destination=destination,
            command=self.command,
            reference=self.reference,
            fine_tuning=fine_tuning,
            training=None
            if self.cache is None or self.head is not None
            else training_tracks(self.cache, self.tables, self.source),
            head=self.head,
        )


def _run(inputs: _Inputs, recipe: Recipe, out: Path) -> ExportResult:
    from edgegenre_export import export_bundle
    from edgegenre_export.job import tuned_path

    with needs("train" if recipe.tuning is not None else "export"), stage_bars() as progress:
        result = export_bundle(inputs.job(recipe, out), progress)
    if recipe.tuning is not None:
        typer.echo(f"{tuned_path(result.path)}: the fine-tuned checkpoint")
    return result


def _sweep(inputs: _Inputs, out: Path, epochs: int | None) -> None:
    with needs("train"):
        from edgegenre_export.sweep import sweep_recipes

    recipes = [_with_epochs(r, epochs) for r in RECIPES.values() if r.tuning is None or inputs.cache is not None]
    left_out = sorted(set(RECIPES) - {recipe.name for recipe in recipes})
    if left_out:
        typer.echo(f"left out, as they need training data (--data): {', '.join(left_out)}", err=True)
    count = _instruction_counter()
    sweep_recipes(recipes, lambda recipe, folder: _run(inputs, recipe, folder), out, inputs.command, typer.echo, count)
    typer.echo(f"{out}: bundles, sweep.md, sweep.json, sweep.png")


def _instruction_counter() -> Callable[[Path], int] | None:
    """Return the first counter of instructions that an installed package offers and that is ready to run.

    An entry point of the group ``edgegenre.instruction_counters`` is a function without arguments; it returns a
    function from a .tflite to the instructions of one run of it, or None if that is not set up.
    """
    for entry in sorted(entry_points(group="edgegenre.instruction_counters"), key=lambda entry: entry.name):
        try:
            count: Callable[[Path], int] | None = entry.load()()
        except ModuleNotFoundError:  # its extra is not installed
            continue
        if count is not None:
            return count
    typer.echo("instructions are not counted: `edgegenre bench instructions` sets the emulated board up", err=True)
    return None


def _check_web(web: Path | None, recipe: Recipe, *, sweep: bool) -> None:
    """Refuse ``--web`` where no page could be made; raises :class:`UsageError`."""
    if web is None:
        return
    if sweep or recipe.activation_bits != 8:
        given = "--sweep" if sweep else f"recipe {recipe.name}"
        raise UsageError(f"--web needs an int8 network and was given with {given}: add --int8, or leave --web out")
    from edgegenre_export.package.c_sources import check_new_folder

    check_new_folder(web)


def _signing_keys(paths: list[Path] | None, *, sweep: bool) -> tuple[PrivateKey, ...]:
    """Read the keys of ``--sign`` now, not after minutes of export; raises :class:`UsageError`."""
    if not paths:
        return ()
    if sweep:
        raise UsageError("--sign is for one bundle and was given with --sweep: sign the one that you choose")
    from edgegenre_export.package.sign import read_keys

    return read_keys(paths)


def _require_readable(*paths: Path | None) -> None:
    """Refuse paths that are not there, without importing what would read them; raises :class:`UsageError`."""
    for path in filter(None, paths):
        try:
            path.stat()
        except (OSError, ValueError) as error:
            with_suffix = path.with_suffix(".safetensors") if path.name else path
            if not os.path.exists(with_suffix):
                reason = error.strerror if isinstance(error, OSError) else str(error)
                raise UsageError(f"{path}: cannot be read ({reason})") from error


def _require_head_recipe(checkpoint: Path | None, recipe: Recipe, *, sweep: bool) -> None:
    """Raise :class:`UsageError` for a run with a head and a recipe, or a sweep of them, that cannot export it."""
    from edgegenre.heads.head_path import find_head

    if checkpoint is None or find_head(checkpoint) is None:
        return
    if sweep:
        raise UsageError(
            f"{checkpoint}: has a head over windows, which is exported by recipe int8 alone: leave --sweep out"
        )
    require_head_recipe(recipe)


def _with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    if recipe.tuning is None or epochs is None:
        return recipe
    return dataclasses.replace(recipe, tuning=dataclasses.replace(recipe.tuning, epochs=epochs))


def _report(result: ExportResult, out: Path) -> None:
    costs = {name: model_report.format_cost() for name, model_report in result.model_reports.items()}
    for name, agreement in result.agreement.items():
        typer.echo(
            f"{name}: {costs[name]}, same top class as the trained network on "
            f"{agreement.top1_agreement:.1%} of the calibration windows, largest probability difference "
            f"{agreement.max_probability_difference:.3f}"
        )
    for name, agreement in result.waveform_agreement.items():
        typer.echo(
            f"{name}: {costs[name]}, same top class as the mel path on "
            f"{agreement.top1_agreement:.1%} of {agreement.n_windows} golden windows, largest probability difference "
            f"{agreement.max_probability_difference:.4f}"
        )
    if result.acceptance is None:
        typer.echo("gate: off")
    else:
        for v in result.acceptance.verdicts:
            known = "" if v.accuracy_now is None else f", accuracy {v.accuracy_before:.4f} → {v.accuracy_now:.4f}"
            typer.echo(
                f"gate: {v.artifact} answers {v.agreement:.2%} of {v.n_tracks} tracks as {v.against}{known}, least "
                f"cosine {v.cosine:.4f}"
            )
    typer.echo(f"{out}: written in {result.seconds:.1f} s")
    if "model_int8.tflite" in costs:
        typer.echo(f"run it with      edgegenre-run --bundle {shlex.quote(str(out))} FILE")
        typer.echo(f"every tensor by  edgegenre inspect {shlex.quote(str(out / 'model_int8.tflite'))}")


def _cache(checkpoint: Checkpoint, tables: Tables, data: Path | None) -> tuple[FeatureCache | None, str]:
    """Return ``data``, or the features that the checkpoint names, and their path; none for the shipped checkpoint."""
    from edgegenre.data.feature_cache import load_cache

    recorded = checkpoint.meta.get("features")
    if data is None and isinstance(recorded, str) and os.path.exists(recorded):
        data = Path(recorded)
    if data is None:
        if checkpoint.meta.get("calibration") == "toy":
            return None, ""
        raise UsageError(f"the training features {recorded} are not there any more: name a feature cache with --data")
    cache = load_cache(data, tables)
    if cache.classes != checkpoint.labels or cache.task_kind != checkpoint.task.kind:
        raise UsageError(
            f"{data} has classes {', '.join(cache.classes)}; the checkpoint has {', '.join(checkpoint.labels)}: "
            "name the data that it was trained on"
        )
    return cache, recorded_path(str(data))


def _windows(
    tables: Tables, cache: FeatureCache | None, source: str, n: int, seed: int, part: str | None, was_seen: bool
) -> tuple[Calibration, ReferenceTracks | None]:
    """Return calibration windows and reference tracks, of toy music without a cache; no tracks without a part."""
    from edgegenre_export.inputs.calibration_windows import draw_calibration, toy_calibration
    from edgegenre_export.inputs.reference_tracks import cache_tracks, toy_tracks

    if cache is not None:
        calibration = draw_calibration(cache, tables, n, seed, source)
        return calibration, None if part is None else cache_tracks(cache, tables, part, source, was_seen=was_seen)
    processes = os.cpu_count() or 1
    return toy_calibration(tables, n, seed, processes), None if part is None else toy_tracks(tables, processes)
