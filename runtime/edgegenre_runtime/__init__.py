"""What runs on the device: the front-end, bundles, the classifier and ``edgegenre-run``. No torch, no scipy.

The names are imported when they are used: a command line that asks for help needs no NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgegenre_runtime.network.classifier import FilePrediction, GenreClassifier, Prediction

__all__ = ["FilePrediction", "GenreClassifier", "Prediction"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from edgegenre_runtime.network import classifier

    return getattr(classifier, name)
