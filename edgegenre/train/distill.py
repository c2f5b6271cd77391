"""Distillation: the soft targets of one or several teachers (Hinton, Vinyals & Dean 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from edgegenre.checkpoint import load_checkpoint, to_module
from edgegenre_runtime.errors import SpecError, UsageError
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.network.task import TaskKind

__all__ = ["Teachers", "distillation_loss", "load_teachers"]


class Teachers(nn.Module):
    """Trained networks that score the same windows as the student; never in training mode.

    Parameters
    ----------
    networks
        Of the student's task and classes.
    kind
        The task.
    """

    def __init__(self, networks: Sequence[nn.Module], kind: TaskKind = "single") -> None:
        super().__init__()
        self.networks, self.kind = nn.ModuleList(networks), kind
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Teachers:
        """Stay in eval mode, whatever mode the enclosing module is put into."""
        super().train(False)
        return self

    def forward(self, windows_db: torch.Tensor, temperature: float) -> torch.Tensor:
        """Map float32 [B, 1, M, T] to the mean of the teachers' probabilities at a temperature, [B, C]."""
        with torch.no_grad():
            softened = [network(windows_db).float() / temperature for network in self.networks]
            soft = [torch.sigmoid(x) if self.kind == "multi" else torch.softmax(x, dim=1) for x in softened]
            return torch.stack(soft).mean(dim=0)


def load_teachers(
    paths: Sequence[Path], tables: Tables, labels: Sequence[str], kind: TaskKind = "single"
) -> Teachers | None:
    """Load teachers; returns None where there are no paths.

    Parameters
    ----------
    paths
        Checkpoints, or folders of training runs.
    tables, labels, kind
        The student's front-end, classes and task.

    Raises
    ------
    SpecError
        If a teacher was trained with another front-end than the student's.
    UsageError
        If a teacher has another task or other classes, or the same in another order.
    """
    networks = []
    for path in paths:
        checkpoint = load_checkpoint(path)
        if checkpoint.spec_hash != tables.spec_hash:
            raise SpecError(
                f"teacher {path}: made for front-end {checkpoint.spec.name} ({checkpoint.spec_hash[:12]}), the student "
                f"for {tables.spec.name} ({tables.spec_hash[:12]}); both must have the same windows: choose one --spec"
            )
        if tuple(checkpoint.labels) != tuple(labels) or checkpoint.task.kind != kind:
            raise UsageError(
                f"teacher {path}: has the classes {', '.join(checkpoint.labels)} ({checkpoint.task.kind}); the data "
                f"set has {', '.join(labels)} ({kind})"
            )
        networks.append(to_module(checkpoint))
    return Teachers(networks, kind) if networks else None


def distillation_loss(
    logits: torch.Tensor, soft_targets: torch.Tensor, temperature: float, kind: TaskKind = "single"
) -> torch.Tensor:
    """Return ``T² · KL(teacher ‖ student at temperature T)``, the batch's mean; both [B, C].

    The factor makes the size of the gradients independent of the temperature (Hinton et al. 2015, section 2). Of
    several labels it is the mean over them of each one's cross-entropy, which differs from that by a constant.
    """
    if kind == "multi":
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float() / temperature, soft_targets)
        return loss * temperature**2
    log_student = torch.log_softmax(logits.float() / temperature, dim=1)
    return nn.functional.kl_div(log_student, soft_targets, reduction="batchmean") * temperature**2
