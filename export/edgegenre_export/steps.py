"""The steps of an export, as it reports them to whoever waits for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

__all__ = ["Progress", "Step", "Steps", "ignore_steps"]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A step that begins; as text it is one line.

    Attributes
    ----------
    stage
        Stage of the export: ``"prepare"``, ``"quantize"``, ``"convert"``, ``"check"``, ``"accept"`` or ``"package"``.
    index, count
        Number of the step in its stage, from 1, and how many the stage has.
    text
        What is done.
    """

    stage: str
    index: int
    count: int
    text: str

    def __str__(self) -> str:
        return f"{self.stage} {self.index}/{self.count}: {self.text}"


Progress = Callable[[Step], None]
"""Called with each step as it begins."""


def ignore_steps(step: Step) -> None:
    """Report nothing."""
    del step


class Steps:
    """Numbers the steps of one stage.

    Parameters
    ----------
    stage
        Name of the stage.
    count
        How many steps it will have.
    progress
        Called with each of them.
    """

    def __init__(self, stage: str, count: int, progress: Progress) -> None:
        self._stage, self._count, self._progress = stage, count, progress
        self._index = 0

    def begin(self, text: str) -> None:
        """Report that the next step begins."""
        self._index += 1
        self.note(text)

    def note(self, text: str) -> None:
        """Report something about the step that is under way."""
        self._progress(Step(self._stage, self._index, self._count, text))
