"""Stage 3: every model file of the recipe, with its model report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from torch import nn

from edgegenre_export.job import ExportJob
from edgegenre_export.quantize.stage import QuantizedNetwork
from edgegenre_export.steps import Progress, Steps
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.inspect.tflite_reader import inspect_tflite

from .engine_blob import EngineBlob, engine_blob
from .float_frontend import FloatFrontend
from .head_files import head_files, require_embedding
from .logit_shift import shift_logits
from .onnx.from_torch import float_onnx, frontend_onnx
from .onnx.int8 import int8_onnx
from .onnx.join import join_onnx
from .onnx.report import inspect_onnx
from .tflite.embedding_output import with_embedding
from .tflite.from_torch import float_tflite, frontend_tflite
from .tflite.int8 import centered_int8_tflite, int8_tflite
from .tflite.join import join_tflite
from .tflite.tensor_names import short_names

__all__ = ["Artifact", "Artifacts", "convert"]


@dataclasses.dataclass(frozen=True, slots=True)
class Artifact:
    """A model file: its content and what is in it."""

    content: bytes
    report: ModelReport


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Artifacts:
    """The model files, by name in the recipe's order, the head's files, and the network that they were converted from.

    ``engine`` is the int8 network compiled for the project's own engine; None without a ``model_int8.tflite``.
    """

    quantized: QuantizedNetwork
    models: Mapping[str, Artifact]
    engine: EngineBlob | None
    head: Mapping[str, bytes]


def convert(job: ExportJob, quantized: QuantizedNetwork, progress: Progress) -> Artifacts:
    """Convert the network for every target of the recipe.

    Raises
    ------
    ExportError
        If a converter fails.
    """
    names, spec = job.recipe.artifacts, job.tables.spec
    M, T = spec.n_mels, spec.frames_per_window
    shapes = {"model_audio.tflite": (1, M, T, 1), "model_audio.onnx": (1, 1, M, T)}
    fronts = {name: FloatFrontend(job.tables, shape) for name, shape in shapes.items() if name in names}
    n_steps = 2 * len(names) - sum("float" in name for name in names)
    steps = Steps("convert", n_steps + (job.head is not None), progress)
    tflite, shift, engine = _tflite_files(job, quantized, fronts.get("model_audio.tflite"), steps)
    files = tflite | _onnx_files(job, quantized, shift, fronts.get("model_audio.onnx"), steps)
    models = {name: Artifact(files[name], _report(name, files[name])) for name in names}
    head = {}
    if job.head is not None:
        steps.begin("converting the head")
        require_embedding(models["model_int8.tflite"].report, job.head.config.embedding_size)
        head = head_files(job.head, spec, job.network.labels)
    return Artifacts(quantized, models, engine, head)


def _tflite_files(
    job: ExportJob, quantized: QuantizedNetwork, front: nn.Module | None, steps: Steps
) -> tuple[dict[str, bytes], npt.NDArray[np.float32], EngineBlob | None]:
    """Return the .tflite files, what the int8 one's logits were shifted by, float32 [C], and it for the engine."""
    names, spec, windows = job.recipe.artifacts, job.tables.spec, job.calibration.windows
    rounded, labels = quantized.module, job.network.labels
    bits = {"model_int8.tflite": 8, "model_int8x16.tflite": 16}
    files, shift, engine = {}, np.zeros(len(labels), np.float32), None
    if "model_float.tflite" in names:
        steps.begin("making model_float.tflite")
        files["model_float.tflite"] = float_tflite(quantized.prepared.network.module, spec)
    floats, frontend = {}, b""
    for name in filter(bits.__contains__, names):
        steps.begin(f"converting the network for {name}")
        floats[name] = float_tflite(rounded, spec)
    if front is not None:
        steps.begin("converting the front-end for model_audio.tflite")
        frontend = frontend_tflite(front, spec)
    for name, model in floats.items():
        steps.begin(f"making {name}")
        if bits[name] == 8:
            centered = centered_int8_tflite(model, windows, spec, quantized.logits, _logit_bias(quantized))
            content, shift = centered.content, centered.shift
        else:
            content = int8_tflite(model, windows, spec, activation_bits=bits[name])
        files[name] = short_names(content)
        if bits[name] == 8:
            files[name], engine = _with_embedding(files[name])
    if front is not None:
        steps.begin("making model_audio.tflite")
        body, kind = files["model_int8.tflite"], job.network.task.kind
        files["model_audio.tflite"] = join_tflite(frontend, body, spec.sample_rate_hz, labels, kind)
    return files, shift, engine


def _onnx_files(
    job: ExportJob,
    quantized: QuantizedNetwork,
    shift: npt.NDArray[np.float32],
    front: nn.Module | None,
    steps: Steps,
) -> dict[str, bytes]:
    """Return the .onnx files; the int8 one's logits are shifted as TFLite's are."""
    names, spec, labels = job.recipe.artifacts, job.tables.spec, job.network.labels
    metadata = {"labels": "\n".join(labels), "spec_hash": job.tables.spec_hash}
    files, rounded, frontend = {}, b"", b""
    if "model_int8.onnx" in names:
        steps.begin("converting the network for model_int8.onnx")
        layer, module = quantized.logit_layer, quantized.module
        rounded = float_onnx(module if layer is None else shift_logits(module, layer, shift), spec, metadata)
    if "model_float.onnx" in names:
        steps.begin("making model_float.onnx")
        files["model_float.onnx"] = float_onnx(quantized.prepared.network.module, spec, metadata)
    if front is not None:
        steps.begin("converting the front-end for model_audio.onnx")
        frontend = frontend_onnx(front, spec)
    if "model_int8.onnx" in names:
        steps.begin("making model_int8.onnx")
        files["model_int8.onnx"] = int8_onnx(rounded, job.calibration.windows, spec, metadata)
    if front is not None:
        steps.begin("making model_audio.onnx")
        files["model_audio.onnx"] = join_onnx(frontend, files["model_int8.onnx"], job.network.task.kind)
    return files


def _with_embedding(model: bytes) -> tuple[bytes, EngineBlob]:
    """Give an int8 .tflite its embedding for a second output, unless the engine would refuse it for that alone."""
    given = with_embedding(model)
    wanted = engine_blob(given)
    if wanted.content is None and given != model and (plain := engine_blob(model)).content is not None:
        return model, plain
    return given, wanted


def _logit_bias(quantized: QuantizedNetwork) -> npt.NDArray[np.float32] | None:
    """Return the bias that the logits get last, float32 [C]."""
    if quantized.logit_layer is None:
        return None
    layer = quantized.module.get_submodule(quantized.logit_layer)
    return np.asarray(layer.get_parameter("bias").detach().numpy())


def _report(name: str, model: bytes) -> ModelReport:
    return inspect_onnx(model) if name.endswith(".onnx") else inspect_tflite(model)
