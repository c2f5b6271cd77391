"""Export recipes: a recipe's name says what it does, its record is saved in the bundle as ``recipe.json``."""

from __future__ import annotations

import dataclasses
from typing import Any

from edgegenre_runtime.frontend import UsageError

__all__ = ["RECIPES", "Recipe", "find_recipe"]


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is turned into artefacts.

    Attributes
    ----------
    name
        Key of :data:`RECIPES`.
    artefacts
        Model files that it makes, in this order. A waveform model (``model_audio.*``) has the int8 model in it.
    weight_bits, activation_bits
        8 for int8, 32 for float32; biases of int8 layers are int32.
    per_channel
        Whether each output channel of a layer has a weight scale of its own.
    activation_range
        ``"min_max"``: an activation's scale spans all that calibration saw, for every target alike.
        ``"none"``: activations are not quantised.
    first_convolution
        ``"covariance"``: its weights are rounded by what its input looks like
        (:mod:`edgegenre_export.rounding`); ``"none"``: they are not rounded.
    """

    name: str
    artefacts: tuple[str, ...]
    weight_bits: int
    activation_bits: int
    per_channel: bool
    activation_range: str
    first_convolution: str

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready keys and values."""
        return dataclasses.asdict(self)


RECIPES: dict[str, Recipe] = {
    "float": Recipe(
        name="float",
        artefacts=("model_float.onnx", "model_float.tflite"),
        weight_bits=32,
        activation_bits=32,
        per_channel=False,
        activation_range="none",
        first_convolution="none",
    ),
    "int8": Recipe(
        name="int8",
        artefacts=(
            "model_float.onnx",
            "model_int8.onnx",
            "model_int8.tflite",
            "model_audio.onnx",
            "model_audio.tflite",
        ),
        weight_bits=8,
        activation_bits=8,
        per_channel=True,
        activation_range="min_max",
        first_convolution="covariance",
    ),
}


def find_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``; raises :class:`UsageError` naming the ones there are."""
    if name not in RECIPES:
        raise UsageError(f"recipe {name!r} is unknown; there are: {', '.join(sorted(RECIPES))}")
    return RECIPES[name]
