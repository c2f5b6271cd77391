"""A head as files of a bundle: its step in TFLite and ONNX, with the state as tensors, and its weights for NumPy."""

from __future__ import annotations

import math

import onnx
import torch
from torch import nn

from edgegenre.heads.checkpoint import TrainedHead
from edgegenre.heads.modules import HeadModule, build_head
from edgegenre_export.model_files import pack_onnx, pack_tflite, unpack_tflite
from edgegenre_export.silence import converter
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.network.head.bundle_head import pack_head

__all__ = ["HEAD_MODELS", "head_files", "require_embedding"]

HEAD_MODELS = ("head.tflite", "head.onnx")
_OPSET = 20


def head_files(trained: TrainedHead, spec: FrontendSpec, labels: tuple[str, ...]) -> dict[str, bytes]:
    """Return ``head.json``, ``head.npz``, ``head.tflite`` and ``head.onnx``, all in float32.

    Raises
    ------
    ExportError
        If a converter fails.
    """
    module = build_head(trained.config)
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in trained.weights.items()})
    step = _Step(module).eval()
    files = pack_head(trained.config, trained.weights, max(spec.frames_per_window // 2, 1), {"training": trained.meta})
    return {**files, "head.tflite": _tflite(step), "head.onnx": _onnx(step, labels)}


def require_embedding(report: ModelReport, size: int) -> None:
    """Raise :class:`ExportError` unless an int8 network gives embeddings of the size that a head takes."""
    port = report.embedding()
    found = 0 if port is None else math.prod(port.shape)
    if found != size:
        given = f"embeddings of {found} values" if found else "no embedding"
        raise ExportError(f"the head takes embeddings of {size} values, the int8 network gives {given}")


class _Step(nn.Module):
    """The step of a head: embedding and state to logits and state."""

    def __init__(self, head: HeadModule) -> None:
        super().__init__()
        self.head = head
        names = list(head.config.state)
        self.inputs, self.outputs = ["embedding", *names], ["logits", *(f"next_{name}" for name in names)]

    def example(self) -> tuple[torch.Tensor, ...]:
        """Return inputs of the right shapes."""
        return torch.zeros(1, self.head.config.embedding_size), *self.head.initial_state(1)

    def forward(self, embedding: torch.Tensor, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Map [1, D] and the state to logits [1, C] and the state after."""
        logits, after = self.head.step(embedding, *state)
        return logits, *after


def _tflite(step: _Step) -> bytes:
    with converter("litert-torch could not convert the head"):
        import litert_torch  # here: its import logs and warns

        tree = unpack_tflite(bytes(litert_torch.convert(step, step.example()).model_content()))
        graph, (signature,) = tree.subgraphs[0], tree.signatureDefs
        for maps, names, order in (
            (signature.inputs, step.inputs, "inputs"),
            (signature.outputs, step.outputs, "outputs"),
        ):
            maps.sort(key=lambda one: int(one.name.decode().rsplit("_", 1)[1]))  # args_0, args_1 …
            for one, name in zip(maps, names, strict=True):
                one.name = graph.tensors[one.tensorIndex].name = name.encode()
            setattr(graph, order, [one.tensorIndex for one in maps])
        return pack_tflite(tree)


def _onnx(step: _Step, labels: tuple[str, ...]) -> bytes:
    with converter("torch could not convert the head to ONNX"):
        program = torch.onnx.export(
            step,
            step.example(),
            dynamo=True,
            input_names=step.inputs,
            output_names=step.outputs,
            opset_version=_OPSET,
            verbose=False,
        )
        if program is None:
            raise ExportError("torch gave no ONNX program for the head")
        return pack_onnx(onnx.load_from_string(program.model_proto.SerializeToString()), {"labels": "\n".join(labels)})
