"""Training of a network on cached log-mel frames, on PyTorch Lightning.

:mod:`.options` says how, :mod:`.batches` draws windows, :mod:`.lightning_module` has loss, optimizer and schedule,
:mod:`.distill` the teachers, :mod:`.weight_average` the averaged weights, :mod:`.resume` what a killed run continues
from, :mod:`.callbacks` what happens after each epoch, :mod:`.loggers` where curves go, and :mod:`.loop` puts them
together.

The options are known without torch; the other names are imported when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .options import Hardware, TrainOptions

if TYPE_CHECKING:
    from .distill import load_teachers
    from .loop import TrainResult, is_first_process, train

__all__ = ["Hardware", "TrainOptions", "TrainResult", "is_first_process", "load_teachers", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import distill, loop

    return getattr(distill if name == "load_teachers" else loop, name)
