"""Float TFLite → int8 TFLite, input [1, n_mels, frames, 1] (NHWC), output logits [1, C].

The float model runs over the calibration windows once, and each tensor's extremes are collected window by window; the
ranges that ai-edge-quantizer gets are :func:`~edgegenre_export.activation_range.activation_range` of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from edgegenre_export.activation_range import activation_range
from edgegenre_export.silence import converter
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.frontend.decibels import cell_scale_db, cells_to_db
from edgegenre_runtime.network.interpreters import TfliteModel
from edgegenre_runtime.network.quantization import dequantize

__all__ = ["CenteredModel", "centered_int8_tflite", "int8_tflite"]

_INT16_MAX = 32767
_MAX_FLOAT = 3e38
"""Beyond it a value is padding of a maximum, not an activation: the quantizer leaves it out too."""

_Ranges = dict[str, dict[str, npt.NDArray[np.float32]]]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class CenteredModel:
    """An int8 model whose logits have no mean error.

    Attributes
    ----------
    content
        The .tflite.
    shift
        What was added to the bias of the logits, float32 [C]: the mean error of the int8 logits, to which sums,
        means and clipped activations contribute too.
    """

    content: bytes
    shift: npt.NDArray[np.float32]


def int8_tflite(
    float_model: bytes, windows: npt.NDArray[np.int8], spec: FrontendSpec, activation_bits: int = 8
) -> bytes:
    """Quantize a float TFLite model to int8 weights (one scale per channel) and int8 or int16 activations.

    The input's scale is set from the spec, so that window cells are the input tensor byte for byte, or with int16
    activations ``cell + 128``, their steps above the floor.

    Parameters
    ----------
    float_model
        From :func:`.to_tflite.float_tflite`.
    windows
        int8 [N, n_mels, frames], calibration cells.
    spec
        Front-end; ``top_db`` sets the input scale.
    activation_bits
        8 or 16.

    Raises
    ------
    ExportError
        If ai-edge-quantizer cannot quantize it.
    """
    with converter("ai-edge-quantizer could not quantize the model"):
        return _Quantizer(float_model, windows, spec.top_db, activation_bits).quantize()


def centered_int8_tflite(
    float_model: bytes,
    windows: npt.NDArray[np.int8],
    spec: FrontendSpec,
    logits: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32] | None,
) -> CenteredModel:
    """Quantize a float TFLite model, measure the mean error of its int8 logits, and take it out of their bias.

    Parameters
    ----------
    float_model, windows, spec
        As for :func:`int8_tflite`.
    logits
        The float network's logits on the windows, float32 [N, C].
    bias
        Bias of the layer that produces the logits, float32 [C]; a constant of the float model. Without one, or where
        the converter has folded it into something else, nothing is shifted.

    Raises
    ------
    ExportError
        If ai-edge-quantizer cannot quantize it.
    """
    with converter("ai-edge-quantizer could not quantize the model"):
        quantizer = _Quantizer(float_model, windows, spec.top_db, 8)
        model = quantizer.quantize()
        if bias is None or float_model.count(bias.tobytes()) != 1:
            return CenteredModel(model, np.zeros(logits.shape[1], np.float32))
        runner = TfliteModel(model)
        error = logits - dequantize(runner.run_all(windows), runner.output.scale, runner.output.zero_point)
        shift = np.asarray(error.mean(axis=0), np.float32)
        quantizer.replace_bias(bias.tobytes(), (bias + shift).tobytes())
        return CenteredModel(quantizer.quantize(), shift)


class _Quantizer:
    """A float model with the ranges of its tensors over the calibration windows."""

    def __init__(self, float_model: bytes, windows: npt.NDArray[np.int8], top_db: int, activation_bits: int) -> None:
        from ai_edge_quantizer import recipe  # here: its import is slow

        self._recipe = recipe.static_wi8_ai8() if activation_bits == 8 else recipe.static_wi8_ai16()
        self._model, self._windows, self._top_db = float_model, windows, top_db
        self._ranges = self._ranges_of_one_window()
        extremes = self._extremes(self._ranges)
        ends = _ends(float_model)
        # int16 has steps enough for outliers, and logits have their whole range
        is_ample = activation_bits == 16
        self._whole = {key for key, value in extremes.items() if is_ample or _same(value, extremes[ends.output])}
        self._set_ranges(extremes)
        scale = cell_scale_db(top_db)
        self._set_range(
            ends.input, *((0, top_db) if activation_bits == 8 else (-_INT16_MAX * scale, _INT16_MAX * scale))
        )

    def quantize(self) -> bytes:
        """Return the quantized model, as ai-edge-quantizer writes it."""
        from ai_edge_quantizer import quantizer

        return bytes(quantizer.Quantizer(self._model, self._recipe).quantize(self._ranges).quantized_model)

    def replace_bias(self, bias: bytes, other: bytes) -> None:
        """Replace the constant that is the logits' bias; only the logits' range is measured again."""
        self._model = self._model.replace(bias, other)
        self._set_ranges(self._extremes(self._whole))

    def _ranges_of_one_window(self) -> _Ranges:
        """Return a range for each tensor that the quantizer wants one of, in the shapes that it wants."""
        from ai_edge_quantizer import calibrator, recipe_manager

        manager = recipe_manager.RecipeManager()
        manager.load_quantization_recipe(self._recipe)
        calibration = calibrator.Calibrator(self._model, num_threads=1)
        sample = {_ends(self._model).signature: cells_to_db(self._windows[0], self._top_db)[None, :, :, None]}
        calibration.calibrate({"serving_default": [sample]}, manager)
        return {
            name: {end: found[end] for end in ("min", "max")} for name, found in calibration.get_model_qsvs().items()
        }

    def _extremes(self, names: Iterable[str]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the smallest and the largest value of each tensor in each window but the first, float32 [N - 1, 2].

        The first window only determines the shapes (:meth:`_ranges_of_one_window`), unless there is no other.
        """
        interpreter = Interpreter(model_content=self._model, num_threads=1, experimental_preserve_all_tensors=True)
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]["index"]
        index = {detail["name"]: detail["index"] for detail in interpreter.get_tensor_details()}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for cells in self._windows[1:] if len(self._windows) > 1 else self._windows:
            interpreter.set_tensor(source, cells_to_db(cells, self._top_db)[None, :, :, None])
            interpreter.invoke()
            for name, values in found.items():
                values.append(_min_max(interpreter.tensor(index[name])()))
        return {name: np.array(values, np.float32) for name, values in found.items()}

    def _set_ranges(self, extremes: Mapping[str, npt.NDArray[np.float32]]) -> None:
        for name, (lows, highs) in ((name, values.T) for name, values in extremes.items()):
            self._set_range(name, *activation_range(lows, highs, is_whole=name in self._whole))

    def _set_range(self, name: str, low: float, high: float) -> None:
        shapes = self._ranges[name]
        self._ranges[name] = {"min": np.full_like(shapes["min"], low), "max": np.full_like(shapes["max"], high)}


def _min_max(values: npt.NDArray[np.float32]) -> tuple[float, float]:
    low, high = values.min(), values.max()
    if not -_MAX_FLOAT < low <= high < _MAX_FLOAT:
        values = values[(values > -_MAX_FLOAT) & (values < _MAX_FLOAT)]
        low, high = values.min(initial=0), values.max(initial=0)
    return low, high


def _same(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> bool:
    """Return whether two tensors had the same extremes in every window: the logits, and what is reshaped to them."""
    return np.array_equal(a, b)


class _Ends(NamedTuple):
    """Names of the one input in the signature, of its tensor, and of the output's tensor."""

    signature: str
    input: str
    output: str


def _ends(float_model: bytes) -> _Ends:
    interpreter = Interpreter(model_content=float_model)
    (signature,) = interpreter.get_signature_list()["serving_default"]["inputs"]
    return _Ends(signature, interpreter.get_input_details()[0]["name"], interpreter.get_output_details()[0]["name"])
