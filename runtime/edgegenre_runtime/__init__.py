"""What runs on the device: the front-end, bundles, the classifier and ``edgegenre-run``. No torch, no scipy."""

from edgegenre_runtime.network.classifier import FilePrediction, GenreClassifier, Prediction

__all__ = ["FilePrediction", "GenreClassifier", "Prediction"]
