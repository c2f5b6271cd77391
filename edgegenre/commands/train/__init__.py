"""The commands that fit something: a network, a head, a regression on the features of frozen networks."""

from __future__ import annotations

import typer

from . import fit_head, probe, soft_labels, train, tune

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to the root app."""
    app.command("train")(train.train)
    app.command("fit-head")(fit_head.fit_head)
    app.command("soft-labels")(soft_labels.soft_labels)
    app.command("tune")(tune.tune)
    app.command("probe")(probe.probe)
