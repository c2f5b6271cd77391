"""How two networks' answers to the same windows differ."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.network.task import ONE_LABEL, Task

__all__ = ["Agreement", "compare"]


@dataclasses.dataclass(frozen=True, slots=True)
class Agreement:
    """How an artifact's answers differ from the trained network's.

    Attributes
    ----------
    n_windows
        Windows compared.
    top1_agreement
        Share of windows with the same most probable class, 0 to 1.
    max_probability_difference
        Largest difference of any probability, 0 to 1.
    """

    n_windows: int
    top1_agreement: float
    max_probability_difference: float


def compare(expected: npt.NDArray[np.float32], got: npt.NDArray[np.float32], task: Task = ONE_LABEL) -> Agreement:
    """Compare logits float32 [N, C] of the trained network with an artifact's."""
    same = expected.argmax(axis=1) == got.argmax(axis=1)
    difference = np.abs(task.probabilities(expected) - task.probabilities(got))
    return Agreement(
        n_windows=len(expected),
        top1_agreement=float(same.mean()),
        max_probability_difference=float(difference.max()),
    )
