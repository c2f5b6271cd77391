"""``edgegenre evaluate``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgegenre_runtime.errors import UsageError

from ..common import SchedulerOption, WorkersOption, check_output, chosen_workers, command_line, model_path, needs

if TYPE_CHECKING:
    from edgegenre_runtime.workers import Workers

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[Path, typer.Argument(help="Checkpoint, or bundle folder or .zip (its int8 network is run).")],
    features: Annotated[Path, typer.Argument(help="Feature cache (.npz) with a split.")],
    part: Annotated[str, typer.Option(help="train, valid, test, or all.")] = "test",
    report: Annotated[Path | None, typer.Option(help="HTML report to write, with plots, in one file.")] = None,
    together: Annotated[
        list[Path] | None,
        typer.Option("--with", help="Further model of an ensemble (mean probabilities); repeat."),
    ] = None,
    against: Annotated[Path | None, typer.Option(help="Second model: McNemar's test and the changed clips.")] = None,
    label_map: Annotated[
        Path | None, typer.Option("--map", help="JSON object from the data's labels to the model's, for other data.")
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also the same tracks with noise and other levels and colors.")
    ] = False,
    audio: Annotated[
        Path | None, typer.Option(help="Folder of recordings for --robustness: `GENRE/*.wav` or `GENRE.*.wav`.")
    ] = None,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            help='JSON object of thresholds in place of the model\'s, such as {"rock": 0.4} or {"level 1": 0.6}.'
        ),
    ] = None,
    taxonomy: Annotated[
        Path | None, typer.Option(help="CSV `label,parent`: judge a model of plain labels as a hierarchy.")
    ] = None,
    sounds: Annotated[
        Path | None, typer.Option(help="Cache of `data sounds`: how often what is no music gets a genre.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Write the scores into the checkpoint's JSON.")] = False,
    name: Annotated[
        str, typer.Option(help="With --record: what data from elsewhere is called in the card, such as outside.")
    ] = "",
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
) -> None:
    """Score a checkpoint, or a bundle's int8 network, on one part of a data set.

    Example: `edgegenre evaluate runs/mine music.npz --part test --report mine.html --robustness --audio clips/`
    """
    model, against = model_path(model), against if against is None else model_path(against)
    together = [model_path(one) for one in together or ()]
    if report is not None:
        check_output(report)
    if name and not record:
        raise UsageError("--name is for --record, which was not given")
    if sounds is not None and together:
        raise UsageError("--sounds asks one model, not an ensemble: leave out --with")
    if record and together:
        raise UsageError("--record writes the scores of one checkpoint, not of an ensemble: leave it out")
    if robustness or audio is not None:
        _refuse_head([model, *(together or ())])
    with needs("train"):
        from edgegenre.evaluate.task_run import model_task

    task = model_task(model, taxonomy)
    if task.kind != "single":
        others = {
            "--with": together,
            "--against": against,
            "--map": label_map,
            "--robustness": robustness or audio,
            "--sounds": sounds,
        }
        with chosen_workers(workers, scheduler) as opened:
            _evaluate_task(model, features, part, report, thresholds, taxonomy, record, as_json, others, opened)
        return
    if thresholds is not None:
        raise UsageError(f"{model}: answers one label, the most probable one, so that --thresholds has no use")
    with needs("train"), chosen_workers(workers, scheduler) as opened:
        from edgegenre.evaluate.answers import format_rejections, measure_rejections
        from edgegenre.evaluate.report.evaluation_report import (
            format_comparison,
            format_evaluation,
            format_robustness,
            write_report,
        )
        from edgegenre.evaluate.robustness import RobustnessRow, measure_robustness
        from edgegenre.evaluate.run import compare, read_label_map, record_metrics
        from edgegenre.evaluate.run import evaluate as run

        labels = read_label_map(label_map) if label_map is not None else None
        result = run(model, features, part, labels, together or (), opened)
        other = run(against, features, part, labels, workers=opened) if against is not None else None
        pair = (other, compare(result, other)) if other is not None else None
        tables: dict[str, list[RobustnessRow]] = {}
        if robustness or audio is not None:
            models = [model, *(together or ())]
            tables = measure_robustness(models, features if robustness else None, part, audio, opened)
        rejections = measure_rejections(model, result, features, sounds) if sounds is not None else None
        if record:
            figures = result.summary() | ({"answers": rejections.summary()} if rejections is not None else {})
            record_metrics(model, f"{name} {part}".strip(), figures, command_line())
        if report is not None:
            write_report(report, result, command_line(), pair, tables)
    if as_json:
        document = result.details()
        if rejections is not None:
            document["answers"] = rejections.summary()
        if tables:
            document["robustness"] = {what: [dataclasses.asdict(row) for row in rows] for what, rows in tables.items()}
        if pair is not None:
            document["against"] = pair[0].summary() | {
                "model": pair[0].model,
                "changed": [[c.name, c.truth, c.answer_a, c.answer_b] for c in pair[1].changed],
                "only_here_right": pair[1].only_a_right,
                "only_there_right": pair[1].only_b_right,
                "mcnemar_p": pair[1].p_value,
            }
        typer.echo(json.dumps(document))
        return
    typer.echo(format_evaluation(result))
    if pair is not None:
        typer.echo("\n" + format_comparison(result, *pair))
    if rejections is not None:
        typer.echo("\n" + format_rejections(rejections))
    for what, rows in tables.items():
        typer.echo("\n" + format_robustness(what, rows))
    if report is not None:
        typer.echo(f"\n{report}: report")


def _refuse_head(models: list[Path]) -> None:
    """Raise :class:`UsageError` for a run with a head: robustness is measured window by window."""
    from edgegenre.heads.head_path import find_head

    for model in models:
        if find_head(model) is not None:
            raise UsageError(
                f"{model}: has a head over windows; --robustness and --audio measure a network without one"
            )


def _evaluate_task(
    model: Path,
    features: Path,
    part: str,
    report: Path | None,
    thresholds: Path | None,
    taxonomy: Path | None,
    record: bool,
    as_json: bool,
    others: Mapping[str, object],
    workers: Workers | None,
) -> None:
    """Score a multi-label or hierarchical model."""
    unused = [option for option, value in others.items() if value]
    if unused:
        raise UsageError(f"{unused[0]} is for networks that answer one label of several: leave it out")
    if record and taxonomy is not None:
        raise UsageError("--record with --taxonomy would write the scores of another network: leave one out")
    with needs("train"):
        from edgegenre.evaluate.report.task_report import format_task_evaluation, write_task_report
        from edgegenre.evaluate.run import record_metrics
        from edgegenre.evaluate.task_run import evaluate_task

        result = evaluate_task(model, features, part, thresholds, taxonomy, workers)
        if record:
            record_metrics(model, part, result.summary(), command_line(), result.task)
        if report is not None:
            write_task_report(report, result, command_line())
    typer.echo(json.dumps(result.details()) if as_json else format_task_evaluation(result))
    if report is not None and not as_json:
        typer.echo(f"\n{report}: report")
