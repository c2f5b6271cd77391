"""Several recipes from one checkpoint, side by side: a table, JSON, and a plot of what accuracy costs."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgegenre.figures import write_png
from edgegenre.page import Block, Table, Text, Title, to_markdown
from edgegenre_export.package.publish import rejected_path
from edgegenre_runtime.atomic_write import written_beside
from edgegenre_runtime.errors import DataError, GateError
from edgegenre_runtime.network.bundle import Bundle, read_bundle

from .recipes import Recipe

__all__ = ["SweepRow", "pareto_front", "plot_sweep", "sweep_recipes"]


@dataclasses.dataclass(frozen=True, slots=True)
class SweepRow:
    """What a recipe's smallest artifact is worth and costs.

    Attributes
    ----------
    recipe, artifact
        Names.
    accuracy
        Share of the gate's tracks that are right; where the truth is not known, that agree with the trained network.
    n_macs
        Multiply-adds of one window.
    size_bytes
        Of the artifact.
    status
        ``"passed"``, ``"rejected"`` or ``"off"``, as the gate says.
    instructions
        Of one run on an emulated Cortex-A76, where somebody counted them.
    """

    recipe: str
    artifact: str
    accuracy: float
    n_macs: int
    size_bytes: int
    status: str
    instructions: int | None = None


def sweep_recipes(
    recipes: Sequence[Recipe],
    export: Callable[[Recipe, Path], Any],
    out: Path,
    command: str,
    report: Callable[[str], None],
    count: Callable[[Path], int] | None = None,
) -> list[SweepRow]:
    """Export every recipe into ``out/RECIPE`` and write ``sweep.json``, ``sweep.md`` and ``sweep.png`` there.

    Parameters
    ----------
    recipes
        What to export.
    export
        Called with a recipe and its folder; a :class:`GateError` counts as rejected, and the sweep goes on.
    out
        Folder; created if it is not there.
    command
        What the user typed, for the record.
    report
        Called with one line a recipe.
    count
        From a .tflite to the instructions of one run of it, if there is a counter at hand.

    Raises
    ------
    DataError
        If the folder or a file in it cannot be written.
    EdgeGenreError
        What ``export`` raises else.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot make the folder ({error.strerror})") from error
    rows = []
    for recipe in recipes:
        folder = out / recipe.name
        try:
            export(recipe, folder)
        except GateError as error:
            report(f"{recipe.name}: {error}")
            folder = rejected_path(folder)
        row = _row(recipe, read_bundle(folder))
        rows.append(row if count is None else dataclasses.replace(row, instructions=count(folder / row.artifact)))
        report(_line(rows[-1]))
    front = pareto_front(rows)
    document = {"command": command, "rows": [dataclasses.asdict(row) | {"front": row in front} for row in rows]}
    for name, content in (
        ("sweep.json", json.dumps(document, indent=1).encode()),
        ("sweep.md", to_markdown(_page(rows, front, command)).encode()),
    ):
        with written_beside(out / name) as file:
            file.write(content)
    plot_sweep(rows, front, out / "sweep.png")
    return rows


def pareto_front(rows: Sequence[SweepRow]) -> list[SweepRow]:
    """Return the rows that no other row beats: as accurate, as little work and as small, and better in one of them.

    Work is instructions where they were counted for all, else multiply-adds, which are the same in every format.
    """
    passed = [row for row in rows if row.status != "rejected"]
    is_counted = all(row.instructions is not None for row in passed)

    def beats(a: SweepRow, b: SweepRow) -> bool:
        ours, theirs = (
            (-row.accuracy, row.instructions or 0 if is_counted else row.n_macs, row.size_bytes) for row in (a, b)
        )
        return ours != theirs and all(x <= y for x, y in zip(ours, theirs, strict=True))

    return [row for row in passed if not any(beats(other, row) for other in passed)]


def _row(recipe: Recipe, bundle: Bundle) -> SweepRow:
    artifact = next(name for name in recipe.artifacts if name.endswith(".tflite") and "audio" not in name)
    gate, work = bundle.manifest["gate"], bundle.manifest["complexity"]
    verdict = next((v for v in gate.get("verdicts", []) if v["artifact"] == artifact), None)
    accuracy = None if verdict is None else verdict["accuracy_now"]
    if verdict is not None and accuracy is None:
        accuracy = verdict["agreement"]
    if accuracy is None:
        rated = [m["top1_agreement"] for m in bundle.manifest["metrics"] if m["artifact"] == artifact]
        accuracy = rated[0]
    size = bundle.manifest["files"][artifact]["bytes"]
    return SweepRow(recipe.name, artifact, float(accuracy), work["n_macs"], size, gate["status"])


def _line(row: SweepRow) -> str:
    costs = f"{row.n_macs / 1e6:8.1f} MMAC  {row.size_bytes / 1000:8.0f} kB"
    if row.instructions is not None:
        costs += f"  {row.instructions / 1e6:8.1f} M instructions"
    return f"{row.recipe:14} {row.accuracy:.4f}  {costs}  {row.status}"


def _page(rows: Sequence[SweepRow], front: Sequence[SweepRow], command: str) -> list[Block]:
    cells = [
        (
            row.recipe,
            row.artifact,
            f"{row.accuracy:.4f}",
            f"{row.n_macs / 1e6:.1f}",
            f"{row.size_bytes / 1000:.0f}",
            "not counted" if row.instructions is None else f"{row.instructions / 1e6:.1f}",
            row.status,
            "yes" if row in front else "",
        )
        for row in rows
    ]
    head = (
        "recipe",
        "artifact",
        "accuracy",
        "million multiply-adds",
        "kB",
        "million instructions",
        "gate",
        "on the front",
    )
    return [
        Title(1, "Recipes side by side"),
        Text(
            "Accuracy is the share of the gate's tracks that are right, or, where their truth is not known, that are "
            f"answered as the trained network does. Instructions are those of one run of the artifact on an emulated "
            f"Cortex-A76, one thread; they are no times. Made by `{command}`."
        ),
        Table(head, cells),
    ]


def plot_sweep(rows: Sequence[SweepRow], front: Sequence[SweepRow], path: Path) -> None:
    """Draw accuracy against work and against size, as PNG: instructions where they were counted, else multiply-adds."""
    from matplotlib.figure import Figure

    counts = [row.instructions for row in rows if row.instructions is not None]
    if len(counts) == len(rows):
        work, title = [count / 1e6 for count in counts], "million instructions a window, emulated Cortex-A76"
    else:
        work, title = [row.n_macs / 1e6 for row in rows], "million multiply-adds a window"
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    figure.suptitle("Filled: no other that passed is better in everything. Red: rejected by the gate.", fontsize=9)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, costs, label in ((left, work, title), (right, [row.size_bytes / 1000 for row in rows], "file, kB")):
        for row, cost, marker in zip(rows, costs, itertools.cycle("osD^vPX*"), strict=False):
            color = "tab:red" if row.status == "rejected" else "tab:blue"
            fill = color if row in front else "none"
            axes.scatter(cost, row.accuracy, s=60, marker=marker, edgecolors=color, facecolors=fill, label=row.recipe)
        axes.set_xlabel(label)
        axes.set_xscale("log" if max(costs) > 10 * min(costs) > 0 else "linear")
        axes.margins(0.15)
    left.set_ylabel("accuracy of tracks")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    write_png(figure, path)
