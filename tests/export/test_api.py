"""Export of a network of one's own, and the layers that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import textures
import torch
from torch import nn

from edgegenre.models import MODELS, ModelConfig, build
from edgegenre_export import export
from edgegenre_export.prepare.op_support import unsupported_layers
from edgegenre_runtime.errors import DataError, ExportError, SpecError, UsageError
from edgegenre_runtime.network.bundle import read_bundle

ROOT = Path(__file__).parents[2]


class Plain(nn.Sequential):
    def __init__(self, n_classes: int = 4) -> None:
        torch.manual_seed(0)
        super().__init__(
            nn.Conv2d(1, 8, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, n_classes)
        )


class Fourier(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft(x).abs().mean(dim=(1, 2))


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.spectrum = Fourier()
        self.head = nn.Linear(65, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.spectrum(x))


class Undecided(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(128, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean(dim=(1, 2)) if x.sum() > 0 else x[:, 0, 0])


def windows() -> np.ndarray:
    return textures.synthetic_windows(24, seed=2)[0]


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"vgg11", "vgg16", "efficientnet_lite0"}))
def test_our_own_networks_convert(name: str) -> None:
    assert unsupported_layers(build(ModelConfig(name, 4)), textures.SPEC) == []


def test_layers_that_do_not_convert_are_named_by_path_and_type() -> None:
    (found,) = unsupported_layers(Wrapped(), textures.SPEC)
    assert found.startswith("spectrum (Fourier): complex numbers in aten._fft_r2c")
    assert unsupported_layers(Plain(), textures.SPEC) == []


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"module": Wrapped()}, ExportError, r"spectrum \(Fourier\)"),
        ({"module": Undecided()}, ExportError, "must not depend on values"),
        ({"module": Plain(3)}, ExportError, r"gives \[1, 3\]"),
        ({"module": nn.Linear(7, 4)}, ExportError, "does not take a window"),
        ({"labels": ["one"]}, UsageError, "two or more"),
        ({"recipe": "prune50_int8"}, UsageError, "fine-tunes"),
        ({"recipe": "int4"}, UsageError, "int4"),
        ({"spec": "seed4s"}, (UsageError, SpecError), "seed4s"),
        ({"calibration": np.zeros((0, 128, 128), np.int8)}, DataError, "empty"),
        ({"calibration": np.full((3, 128, 128), -128, np.int8)}, DataError, "silent"),
        ({"calibration": np.zeros((3, 64, 128), np.int8)}, SpecError, "front-end"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_converted(change, error, words, tmp_path: Path) -> None:
    given = {"module": Plain(), "spec": "seed3s", "labels": textures.LABELS, "calibration": windows()} | change
    steps: list[str] = []
    with pytest.raises(error, match=words) as caught:
        export(out=tmp_path / "b", progress=steps.append, **given)
    assert "\n" not in str(caught.value)
    assert steps == []
    assert list(tmp_path.iterdir()) == []


def test_nan_weights_are_named(tmp_path: Path) -> None:
    module = Plain()
    module[0].weight.data[0] = torch.nan
    with pytest.raises(ExportError, match=r"NaN or infinite weights in 0\.weight"):
        export(module, "seed3s", textures.LABELS, windows(), tmp_path / "b")


def test_the_documented_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of docs/export.md, as it stands there."""
    text = (ROOT / "docs" / "export.md").read_text()
    (example,) = [block for block in text.split("```python\n")[1:] if "from edgegenre_export import export" in block]
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec(example.split("```")[0], scope)  # noqa: S102
    bundle = read_bundle(tmp_path / "mine.bundle")
    assert bundle.labels == ("calm", "lively")
    assert bundle.manifest["gate"]["status"] == "passed"
    assert bundle.manifest["training"]["data"] == "none: random weights"
