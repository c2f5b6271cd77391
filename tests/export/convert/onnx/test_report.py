"""Multiply-adds counted from model files, against those counted on the torch network."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgegenre.checkpoint import default_checkpoint, load_checkpoint, to_module
from edgegenre.evaluate.complexity import measure
from edgegenre.models import ModelConfig, build
from edgegenre_export import inspect_onnx, inspect_tflite
from edgegenre_export.convert.onnx.from_torch import float_onnx
from edgegenre_export.convert.tflite.from_torch import float_tflite
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.frontend import released
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import default_bundle

SPEC = released("wide9s").spec


def inspect(name, model):
    return (inspect_onnx if name.endswith(".onnx") else inspect_tflite)(model)


@pytest.mark.parametrize("name", ["model_int8.tflite", "model_int8.onnx"])
def test_the_shipped_networks_models_have_its_work_and_size(name, shipped_int8_onnx):
    checkpoint = load_checkpoint(default_checkpoint())
    row = measure(checkpoint.config.name, to_module(checkpoint), checkpoint.spec)
    model = shipped_int8_onnx if name.endswith(".onnx") else read_bundle(default_bundle()).read(name)
    model_report = inspect(name, model)
    assert model_report.n_macs == row.n_macs
    assert model_report.n_bytes == len(model)
    assert f"{len(model) / 1000:.0f} kB, {row.n_macs / 1e6:.1f} MMAC" in model_report.format_table()


def test_a_graph_that_contradicts_itself_is_refused(shipped_int8_onnx):
    content = onnx.load_from_string(shipped_int8_onnx)
    constant = next(item for item in content.graph.initializer if len(item.dims) == 1 and item.dims[0] > 1)
    constant.ClearField("dims")
    with pytest.raises(ExportError, match=r"not an \.onnx model"):
        inspect_onnx(content.SerializeToString())


class Odd(nn.Module):
    """Groups, strides, odd kernels, and no batch norm."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, (3, 5), stride=(2, 4), padding=(1, 2))
        self.depthwise = nn.Conv2d(8, 8, 5, padding=2, groups=8)
        self.point = nn.Conv2d(8, 6, 1, bias=False)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(torch.relu(self.point(torch.relu(self.depthwise(self.first(x))))).mean(dim=(2, 3)))


@pytest.mark.parametrize("name", ["model_float.tflite", "model_float.onnx"])
def test_strides_groups_and_odd_kernels_are_counted(name):
    network = Odd().eval()
    model = float_onnx(network, SPEC, {}) if name.endswith(".onnx") else float_tflite(network, SPEC)
    cells = 64 * 32
    assert inspect(name, model).n_macs == cells * 8 * 15 + cells * 8 * 25 + cells * 6 * 8 + 18


@pytest.mark.slow
@pytest.mark.parametrize("network", ["compact", "resnet18"])
def test_other_networks_have_their_work(network):
    module = build(ModelConfig(network, 10)).eval()
    row = measure(network, module, SPEC)
    assert inspect_tflite(float_tflite(module, SPEC)).n_macs == row.n_macs
    assert inspect_onnx(float_onnx(module, SPEC, {})).n_macs == row.n_macs


def test_matrix_products_and_transposed_convolutions_in_onnx():
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]),
        helper.make_node("MatMul", ["y", "m"], ["z"]),
    ]
    weights = {"w": np.zeros((4, 3, 2, 2), np.float32), "m": np.zeros((10, 7), np.float32)}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [1, 4, 5, 5])],
        [helper.make_tensor_value_info("z", kind, [1, 3, 10, 7])],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    assert inspect_onnx(model.SerializeToString()).n_macs == 4 * 25 * 12 + 3 * 10 * 7 * 10
