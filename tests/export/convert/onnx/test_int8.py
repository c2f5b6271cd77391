"""int8 ONNX of networks that onnxruntime has trouble with."""

import numpy as np
import torch
from torch import nn

from edgegenre_export.convert.onnx.from_torch import float_onnx
from edgegenre_export.convert.onnx.int8 import int8_onnx
from edgegenre_runtime.frontend import preset
from edgegenre_runtime.network.interpreters import OnnxModel

SPEC = preset("seed3s")


class Twins(nn.Module):
    """Two layers of equal weights, which torch writes into the file once."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv2d(1, 4, 128, bias=False) for _ in range(2))
        self.second.weight.data = self.first.weight.data.clone()
        self.last = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        return self.last(torch.cat([self.first(x), self.second(-1.0 * x)], dim=1)).flatten(1)


def test_layers_of_equal_weights_run_and_answer():
    torch.manual_seed(0)
    network = Twins().eval()
    cells = np.random.default_rng(0).integers(-128, 128, (12, 128, 128)).astype(np.int8)
    model = OnnxModel(int8_onnx(float_onnx(network, SPEC, {}), cells, SPEC, {}))
    steps = model.run_all(cells)
    with torch.inference_mode():
        wanted = network((torch.from_numpy(cells).float()[:, None] + 128) * (80 / 255)).numpy()
    made = (steps.astype(float) - model.output.zero_point) * model.output.scale
    assert np.median(np.abs(made - wanted)) < 0.02 * np.abs(wanted).max()  # outliers of few windows are clipped
