"""Which tensor is the embedding, and which networks have none."""

import numpy as np
import pytest
import torch
from tflite_maker import Maker
from torch import nn

from edgegenre_export.convert.onnx.from_torch import float_onnx
from edgegenre_export.convert.onnx.int8 import int8_onnx
from edgegenre_export.convert.onnx.report import inspect_onnx
from edgegenre_export.convert.tflite.embedding_output import with_embedding
from edgegenre_runtime.frontend import released
from edgegenre_runtime.inspect.tflite_reader import inspect_tflite
from edgegenre_runtime.network.interpreters import OnnxModel


def maker():
    return Maker((1, 12, 10, 8), np.random.default_rng(3))


def test_the_input_of_the_last_dense_layer_is_the_embedding():
    made = maker()
    pooled = made.reduce("MEAN", made.input, (1, 2))
    model = made.finish(made.dense(made.dense(pooled, 24), 5))
    found = inspect_tflite(with_embedding(model))
    assert found.embedding().shape == (1, 24)
    assert found.only("output") == inspect_tflite(model).only("output")
    assert with_embedding(with_embedding(model)) == with_embedding(model)


def test_heads_side_by_side_share_their_input():
    made = maker()
    pooled = made.reduce("MEAN", made.input, (1, 2))
    heads = [made.dense(pooled, n) for n in (3, 4)]
    made.tensors[heads[1]].quantization = made.tensors[heads[0]].quantization
    found = inspect_tflite(with_embedding(made.finish(made.concatenate(heads, 1))))
    assert found.embedding().shape == (1, 8)


def test_a_head_that_is_no_dense_layer_leaves_the_model_as_it_is():
    made = maker()
    over_input = made.finish(made.dense(made.reduce("MEAN", made.input, (1, 2)), 5))
    assert inspect_tflite(with_embedding(over_input)).embedding() is not None
    made = maker()
    pooled = made.finish(made.reduce("MEAN", made.input, (1, 2)))
    assert with_embedding(pooled) == pooled
    made = maker()
    different = [made.dense(made.reduce(kind, made.input, (1, 2)), 3) for kind in ("MEAN", "REDUCE_MAX")]
    made.tensors[different[1]].quantization = made.tensors[different[0]].quantization
    model = made.finish(made.concatenate(different, 1))
    assert with_embedding(model) == model


class _Flat(nn.Module):
    """Mean over time and frequency, then dense layers: one, or of two whose second takes the maximum."""

    def __init__(self, *, has_two_inputs):
        super().__init__()
        self.conv, self.has_two_inputs = nn.Conv2d(1, 12, 9, stride=8), has_two_inputs
        self.logits, self.more = nn.Linear(12, 4), nn.Linear(12, 2)

    def forward(self, x):
        image = torch.relu(self.conv(x))
        logits = self.logits(image.mean(dim=(2, 3)))
        return torch.cat((logits, self.more(image.amax(dim=(2, 3)))), dim=1) if self.has_two_inputs else logits


@pytest.mark.parametrize("has_two_inputs", [True, False])
def test_onnx_models_have_the_same_second_output(has_two_inputs):
    tables, rng = released("wide9s"), np.random.default_rng(1)
    torch.manual_seed(0)
    windows = rng.integers(-128, 128, (12, 128, 128)).astype(np.int8)
    model = int8_onnx(
        float_onnx(_Flat(has_two_inputs=has_two_inputs).eval(), tables.spec, {}), windows, tables.spec, {}
    )
    report, runner = inspect_onnx(model), OnnxModel(model)
    assert report.only("output").name == "logits"
    assert report.faults == ()
    if has_two_inputs:
        assert report.embedding() is None
        assert runner.embedding is None
        return
    assert report.embedding().shape == runner.embedding.shape == (1, 12)
    assert runner.embedding.scale == pytest.approx(report.embedding().scale)
    assert runner.embedding.zero_point == report.embedding().zero_point
    logits, embedding = runner.run_both(windows[0].reshape(runner.input.shape))
    assert logits.shape == (1, 4)
    assert embedding.dtype == np.int8
    assert len(np.unique(embedding)) > 1
