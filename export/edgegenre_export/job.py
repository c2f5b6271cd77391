"""What goes into an export: one frozen record that every stage reads and none changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from edgegenre.data.feature_cache import FeatureCache
from edgegenre.heads.checkpoint import TrainedHead
from edgegenre.models import Network
from edgegenre_export.inputs.calibration import Calibration
from edgegenre_export.inputs.reference_tracks import ReferenceTracks
from edgegenre_export.inputs.trained_network import TrainedNetwork
from edgegenre_runtime.audio.sound_gate import UNCERTAIN_KEY
from edgegenre_runtime.errors import SpecError, UsageError
from edgegenre_runtime.frontend import Tables

from .recipes import Recipe, require_head_recipe

__all__ = ["ExportJob", "FineTuning", "tuned_path"]


def tuned_path(destination: Path) -> Path:
    """Return the folder of the fine-tuning run of a bundle."""
    return destination.with_name(destination.name + ".tuned")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FineTuning:
    """What a recipe's pruning and fine-tuning need beside the network.

    Attributes
    ----------
    cache
        The features that the network was trained on, with their split.
    teachers
        Checkpoints or runs whose answers it learns; the network as it was if there are none.
    folder
        Folder of the fine-tuning run.
    seed
        Seed of crops and dropout.
    """

    cache: FeatureCache
    teachers: tuple[Path, ...]
    folder: Path
    seed: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ExportJob:
    """What is exported, how, and where to.

    Attributes
    ----------
    network
        The network as trained.
    tables
        Its front-end.
    calibration
        Windows that set the scales of the activations; the artifacts are compared on them too.
    golden
        PCM to replay on a device and the front-end's features of it
        (:func:`edgegenre_export.inputs.golden_pcm.golden_inputs`).
    recipe
        How to make the artifacts.
    destination
        The bundle's directory; a bundle that is there is replaced when the new one is whole.
    command
        What the user typed, for manifest and card.
    reference
        Tracks on which every artifact is held to the network; None turns the acceptance gate off, and the card says so.
    fine_tuning
        Needed by a recipe that prunes or fine-tunes.
    training
        Training tracks with their classes, for the statistics that genres are learned with on a device; None leaves
        them out.
    head
        The head over windows that was trained on the network; None without one.

    Raises
    ------
    SpecError
        If network, tables, calibration windows, reference or training tracks are of different front-ends.
    UsageError
        If the recipe fine-tunes and there is nothing to fine-tune with, or a head cannot be exported by it.
    """

    network: TrainedNetwork
    tables: Tables
    calibration: Calibration
    golden: Mapping[str, npt.NDArray[Any]]
    recipe: Recipe
    destination: Path
    command: str
    reference: ReferenceTracks | None = None
    fine_tuning: FineTuning | None = None
    training: ReferenceTracks | None = None
    head: TrainedHead | None = None

    @property
    def fitted_meta(self) -> dict[str, Any]:
        """What was measured of the network, with the threshold for uncertain of what answers: its head, if any."""
        meta = dict(self.network.meta)
        if self.head is not None and UNCERTAIN_KEY in self.head.meta:
            meta[UNCERTAIN_KEY] = self.head.meta[UNCERTAIN_KEY]
        return meta

    def __post_init__(self) -> None:
        network, tables = self.network, self.tables
        if network.spec_hash != tables.spec_hash:
            raise SpecError(
                f"the checkpoint is of front-end {network.spec_hash[:12]} ({network.spec.name}), the tables are "
                f"{tables.spec_hash[:12]} ({tables.spec.name}): export with the front-end it was trained with"
            )
        for tracks in filter(None, (self.reference, self.training)):
            if tracks.spec_hash != tables.spec_hash:
                raise SpecError(
                    f"{tracks.source} is of front-end {tracks.spec_hash[:12]}, the model is of "
                    f"{tables.spec_hash[:12]} ({tables.spec.name}): give windows of the model's front-end"
                )
        self.calibration.require_tables(tables)
        if self.head is not None:
            require_head_recipe(self.recipe)
            _require_size(self.head, network)
        if self.recipe.tuning is not None and self.fine_tuning is None:
            raise UsageError(
                f"recipe {self.recipe.name} fine-tunes and needs the training data: name its cache with --data"
            )


def _require_size(head: TrainedHead, network: TrainedNetwork) -> None:
    """Raise :class:`UsageError` unless a head is of edgegenre's network and takes its embeddings."""
    given = network.module.stages()[-1][1] if isinstance(network.module, Network) else None
    found = getattr(given, "in_features", 0)
    if found != head.config.embedding_size:
        raise UsageError(
            f"the head takes embeddings of {head.config.embedding_size} values, {network.name} gives {found}: "
            "export the head with the network that it was trained on"
        )
