"""Stage 1: the float network that is converted, pruned and fine-tuned where the recipe says so."""

from __future__ import annotations

import dataclasses

from edgegenre_export.inputs.trained_network import TrainedNetwork
from edgegenre_export.job import ExportJob
from edgegenre_export.steps import Progress, Steps
from edgegenre_runtime.errors import ExportError

from .op_support import require_supported

__all__ = ["PreparedNetwork", "prepare"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class PreparedNetwork:
    """The float network that is converted.

    Attributes
    ----------
    network
        The job's, or the pruned and fine-tuned one.
    is_tuned
        Whether it is not the network as trained.
    """

    network: TrainedNetwork
    is_tuned: bool


def prepare(job: ExportJob, progress: Progress) -> PreparedNetwork:
    """Prune and fine-tune the job's network if its recipe says so.

    Raises
    ------
    ExportError
        If a network of the user's own has layers that do not convert, or the network cannot be pruned that far.
    UsageError, SpecError, DataError
        If the data or a teacher does not fit the network.
    """
    network, tuning, material = job.network, job.recipe.tuning, job.fine_tuning
    if network.config is None:
        require_supported(network.module, network.spec)
    if tuning is None or material is None:
        return PreparedNetwork(network, is_tuned=False)
    from .fine_tune import fine_tune  # here: the trainer is an extra of its own
    from .prune import Pruned, prune

    if network.config is None:
        raise ExportError(f"{network.name} cannot be fine-tuned: it was not built by edgegenre")
    pruned: Pruned | None = None
    steps = Steps("prepare", 1 + bool(tuning.removed_macs) + tuning.epochs, progress)
    if tuning.removed_macs:
        steps.begin(f"pruning channels until {tuning.removed_macs:.0%} of the multiply-adds are gone")
        pruned = prune(network, tuning.removed_macs)
    steps.begin(f"fine-tuning in {material.folder}")
    return PreparedNetwork(fine_tune(network, pruned, job.tables, job.recipe, material, steps.begin), is_tuned=True)
