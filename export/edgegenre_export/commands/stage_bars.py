"""How the steps of an export are shown: a progress bar per stage on a terminal, elsewhere one line per step."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import typer

from edgegenre_export.steps import Progress, Step

__all__ = ["stage_bars"]


@contextlib.contextmanager
def stage_bars() -> Iterator[Progress]:
    """Yield a function that shows a step on standard error as it begins."""
    if not sys.stderr.isatty():
        yield lambda step: typer.echo(f"  {step} …", err=True)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    # the converters' prints are silenced by redirecting file descriptor 2: the bars have a copy of their own
    with os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8") as terminal:
        columns = (TextColumn("{task.description:9}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
        with Bars(*columns, TextColumn("{task.fields[step]}"), console=Console(file=terminal)) as bars:
            stages: dict[str, TaskID] = {}

            def finish(but: str = "") -> None:
                for stage, task in stages.items():
                    if stage != but and not bars.tasks[task].finished:
                        bars.update(task, completed=bars.tasks[task].total, step="")

            def show(step: Step) -> None:
                finish(but=step.stage)
                if step.stage not in stages:
                    stages[step.stage] = bars.add_task(step.stage, total=step.count, step="")
                task = stages[step.stage]
                bars.update(task, completed=step.index - 1, total=step.count, step=step.text)

            yield show
            finish()
