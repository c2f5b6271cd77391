"""edgegenre: music-genre classification from a folder of audio to a device that listens."""

from edgegenre_runtime import FilePrediction, GenreClassifier, Prediction
from edgegenre_runtime.errors import EdgeGenreError

__all__ = ["EdgeGenreError", "FilePrediction", "GenreClassifier", "Prediction"]
