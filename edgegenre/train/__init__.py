"""Training of a network on cached log-mel frames, on PyTorch Lightning.

:mod:`.options` says how, :mod:`.batches` draws windows, :mod:`.module` has loss, optimiser and schedule,
:mod:`.distill` the teachers, :mod:`.average` the averaged weights, :mod:`.state` what a killed run continues from,
:mod:`.keep` what happens after each epoch, :mod:`.logs` where curves go, and :mod:`.fit` puts them together.
"""

from .distill import load_teachers
from .fit import is_first_process, train
from .options import Hardware, TrainOptions, TrainResult

__all__ = ["Hardware", "TrainOptions", "TrainResult", "is_first_process", "load_teachers", "train"]
