"""Training of a network on cached log-mel frames, on PyTorch Lightning.

:mod:`.options` says how, :mod:`.batches` draws windows, :mod:`.lightning_module` has loss, optimizer and schedule,
:mod:`.distill` the teachers, :mod:`.weight_average` the averaged weights, :mod:`.resume` what a killed run continues
from,
:mod:`.callbacks` what happens after each epoch, :mod:`.loggers` where curves go, and :mod:`.loop` puts them together.
"""

from .distill import load_teachers
from .loop import is_first_process, train
from .options import Hardware, TrainOptions, TrainResult

__all__ = ["Hardware", "TrainOptions", "TrainResult", "is_first_process", "load_teachers", "train"]
