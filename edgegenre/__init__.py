"""edgegenre: music-genre classification from a folder of audio to a device that listens.

The names are imported when they are used: ``edgegenre --help`` needs no NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgegenre_runtime.errors import EdgeGenreError

if TYPE_CHECKING:
    from edgegenre_runtime import FilePrediction, GenreClassifier, Prediction

__all__ = ["EdgeGenreError", "FilePrediction", "GenreClassifier", "Prediction"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import edgegenre_runtime

    return getattr(edgegenre_runtime, name)
