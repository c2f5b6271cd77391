"""A 1-D network from torch to ``net.eg``: what the exporter writes is what the engine takes, bit for bit."""

import numpy as np
import pytest
import textures
import torch
from torch import nn

from edgegenre_export.convert.engine_blob import engine_blob
from edgegenre_export.convert.tflite.from_torch import float_tflite
from edgegenre_export.convert.tflite.int8 import int8_tflite
from edgegenre_export.convert.tflite.tensor_names import short_names
from edgegenre_export.model_files import unpack_tflite
from edgegenre_export.prepare.op_support import unsupported_layers
from edgegenre_runtime.network.compiler import compile_network, read_network
from edgegenre_runtime.network.engine import Engine
from edgegenre_runtime.network.interpreters import TfliteModel
from edgegenre_runtime.network.reference import run_reference

LAYERS = ((128, 4, 4), (128, 4, 4), (128, 4, 4), (128, 2, 2), (256, 1, 1))  # channels, kernel, max-pool


class Convolutions(nn.Module):
    """Two rectified lines a band, 1-D convolutions with batch norm, a head on mean and maximum of every layer."""

    def __init__(self, is_amax=False):
        super().__init__()
        torch.manual_seed(0)
        self.is_amax = is_amax
        self.knees = nn.Conv2d(128, 256, 1, groups=128)
        nn.init.uniform_(self.knees.weight, 0.01, 0.06)
        inputs = (256, *(n_out for n_out, _, _ in LAYERS))
        self.convs = nn.ModuleList(
            nn.Conv2d(n_in, n_out, (1, size)) for n_in, (n_out, size, _) in zip(inputs, LAYERS, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(n_out) for n_out, _, _ in LAYERS)
        self.head = nn.Linear(2 * sum(n_out for n_out, _, _ in LAYERS), 6)

    def forward(self, x):
        x = torch.relu(self.knees(x.transpose(1, 2)))
        means, peaks = [], []
        for (_, size, pool), conv, norm in zip(LAYERS, self.convs, self.norms, strict=True):
            x = nn.functional.pad(x, ((size - 1) // 2, size // 2))
            x = nn.functional.max_pool2d(torch.relu(norm(conv(x))), (1, pool))
            means.append(x.mean(dim=(2, 3)))
            peaks.append(self._peak(x))
        return self.head(torch.cat([*means, *peaks], dim=1))

    def _peak(self, x):
        return x.amax(dim=(2, 3)) if self.is_amax else nn.functional.max_pool2d(x, tuple(x.shape[2:])).flatten(1)


@pytest.fixture(scope="module")
def windows():
    return textures.synthetic_windows(12, seed=4)[0]


@pytest.fixture(scope="module")
def quantized(windows):
    network = Convolutions()
    network(torch.from_numpy(windows[:, None].astype(np.float32) + 128) * (80 / 255))  # the batch norms' moments
    return int8_tflite(float_tflite(network.eval(), textures.SPEC), windows, textures.SPEC)


def test_a_model_whose_constants_stand_behind_it_keeps_them(quantized, windows):
    assert any(buffer.offset > 1 for buffer in unpack_tflite(quantized).buffers)
    renamed = short_names(quantized)
    assert len(renamed) > 256 * 1024
    assert np.array_equal(TfliteModel(renamed).run_all(windows), TfliteModel(quantized).run_all(windows))
    assert compile_network(quantized)[128:] == compile_network(renamed)[128:]  # but for the hash of the file


def test_the_engine_takes_a_1d_network_as_it_is_exported(quantized, windows):
    model = short_names(quantized)
    blob = engine_blob(model)
    assert blob.content is not None, blob.refusal
    compiled, graph = Engine(blob.content), read_network(model)
    answers = TfliteModel(model).run_all(windows)
    assert len(np.unique(answers, axis=0)) > 6
    for cells, logits in zip(windows, answers, strict=True):
        assert np.array_equal(compiled.run(cells), logits)
        assert np.array_equal(run_reference(graph, cells), logits)


def test_a_maximum_that_would_stay_float_is_named():
    (found,) = unsupported_layers(Convolutions(is_amax=True).eval(), textures.SPEC)
    assert "aten.amax" in found
    assert "use max_pool2d" in found
    assert unsupported_layers(Convolutions().eval(), textures.SPEC) == []
