"""The commands of the workstation, one file per command group; each imports its stage when it runs."""

from __future__ import annotations

import typer

from . import (
    augment,
    calibrate,
    data,
    evaluate,
    explain,
    fit_head,
    library,
    library_lists,
    library_report,
    library_tags,
    models,
    probe,
    protocol,
    soft_labels,
    train,
    tune,
    verify,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add this package's commands to the root app (entry-point group ``edgegenre.commands``)."""
    app.add_typer(data.app, name="data")
    library.app.command("tag")(library_tags.tag)
    library.app.command("undo")(library_tags.undo)
    library.app.command("playlist")(library_lists.playlist)
    library.app.command("similar")(library_lists.similar)
    library.app.command("path")(library_lists.path)
    library.app.command("report")(library_report.report)
    app.add_typer(library.app, name="library")
    app.command("train")(train.train)
    app.command("fit-head")(fit_head.fit_head)
    app.command("soft-labels")(soft_labels.soft_labels)
    app.command("tune")(tune.tune)
    app.command("augment")(augment.augment)
    app.command("evaluate")(evaluate.evaluate)
    app.command("calibrate")(calibrate.calibrate)
    app.command("explain")(explain.explain)
    app.command("features")(explain.features)
    app.command("baseline")(protocol.baseline)
    app.command("probe")(probe.probe)
    app.command("verify")(verify.verify)
    app.command("models")(models.models)
