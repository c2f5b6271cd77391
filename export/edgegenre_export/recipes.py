"""Export recipes: a recipe's name says what it does, its record is saved in the bundle as ``recipe.json``."""

from __future__ import annotations

import dataclasses
from typing import Any

from edgegenre_runtime.errors import UsageError

__all__ = ["ENGINE_FILE", "RECIPES", "Recipe", "Tuning", "body_of", "find_recipe", "is_waveform", "require_head_recipe"]

ENGINE_FILE = "net.eg"
"""The int8 network compiled for the project's own engine; it comes with every ``model_int8.tflite``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tuning:
    """What is done to the trained network, on its training tracks, before it is converted.

    Attributes
    ----------
    removed_macs
        Minimum share of the multiply-adds to prune, in whole channels, 0 to below 1; 0 prunes nothing.
    fake_quantized
        Whether the fine-tuning rounds weights and activations as int8 will.
    epochs, crops_per_track, learning_rate
        Of the fine-tuning (:class:`edgegenre.train.TrainOptions`).
    teacher_weight
        Share of the loss that compares with the answers of the teacher.
    """

    removed_macs: float
    fake_quantized: bool
    epochs: int
    crops_per_track: int
    learning_rate: float
    teacher_weight: float


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is turned into artifacts.

    Attributes
    ----------
    name
        Key of :data:`RECIPES`.
    artifacts
        Model files, in this order. A waveform model (``model_audio.*``) has the int8 model in it.
    weight_bits, activation_bits
        8 for int8, 16 for int16, 32 for float32; biases of int8 layers are int32, with int16 activations int64.
    per_channel
        Whether each output channel of a layer has a weight scale of its own.
    activation_range
        ``"window_quantile"``: an activation's scale spans what most calibration windows stay within
        (:mod:`edgegenre_export.activation_range`), for every target alike. ``"none"``: activations are not
        quantized.
    weight_rounding
        ``"covariance"``: weights are rounded by what a layer's inputs look like
        (:mod:`edgegenre_export.quantize.weight_rounding`); ``"none"``: they are not rounded.
    tuning
        Pruning and fine-tuning before the conversion, or none.
    """

    name: str
    artifacts: tuple[str, ...]
    weight_bits: int
    activation_bits: int
    per_channel: bool
    activation_range: str
    weight_rounding: str
    tuning: Tuning | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON-ready keys and values."""
        return dataclasses.asdict(self)


_INT8 = Recipe(
    name="int8",
    artifacts=(
        "model_float.onnx",
        "model_int8.onnx",
        "model_int8.tflite",
        "model_audio.onnx",
        "model_audio.tflite",
    ),
    weight_bits=8,
    activation_bits=8,
    per_channel=True,
    activation_range="window_quantile",
    weight_rounding="covariance",
)
_PRUNE = Tuning(
    removed_macs=0.5, fake_quantized=False, epochs=30, crops_per_track=2, learning_rate=1e-3, teacher_weight=0.5
)

RECIPES: dict[str, Recipe] = {
    "float": Recipe(
        name="float",
        artifacts=("model_float.onnx", "model_float.tflite"),
        weight_bits=32,
        activation_bits=32,
        per_channel=False,
        activation_range="none",
        weight_rounding="none",
    ),
    "int8": _INT8,
    "int8x16": dataclasses.replace(
        _INT8, name="int8x16", artifacts=("model_float.onnx", "model_int8x16.tflite"), activation_bits=16
    ),
    "prune30_int8": dataclasses.replace(
        _INT8, name="prune30_int8", tuning=dataclasses.replace(_PRUNE, removed_macs=0.3, epochs=20)
    ),
    "prune50_int8": dataclasses.replace(_INT8, name="prune50_int8", tuning=_PRUNE),
    "qat_int8": dataclasses.replace(
        _INT8,
        name="qat_int8",
        tuning=dataclasses.replace(
            _PRUNE, removed_macs=0.0, fake_quantized=True, epochs=6, learning_rate=1e-4, teacher_weight=1.0
        ),
    ),
}


def find_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``; raises :class:`UsageError` naming the ones there are."""
    if name not in RECIPES:
        raise UsageError(f"recipe {name!r} is unknown; there are: {', '.join(sorted(RECIPES))}")
    return RECIPES[name]


def require_head_recipe(recipe: Recipe) -> None:
    """Raise :class:`UsageError` unless a head over windows can be exported by a recipe: it takes int8 embeddings."""
    if recipe.name != "int8":
        raise UsageError(
            f"a head over windows is exported by recipe int8 alone, not {recipe.name}: it takes the int8 network's "
            "embeddings, of the network that it was trained on; add --int8"
        )


def is_waveform(name: str) -> bool:
    """Return whether a model file takes PCM and gives probabilities."""
    return name.startswith("model_audio.")


def body_of(name: str) -> str:
    """Return the name of the int8 model that is in a waveform model."""
    return name.replace("audio", "int8")
