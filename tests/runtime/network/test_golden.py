import dataclasses
import io

import numpy as np
import pytest

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.network.golden import GOLDEN, golden_key, pack_golden, read_golden


def test_names_of_the_outputs():
    assert golden_key("model_int8.tflite") == "output_model_int8_tflite"
    assert golden_key("model_int8.tflite", reference_kernels=True) == "output_model_int8_tflite_reference"


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("cells"),
        lambda arrays: arrays.update(pcm=arrays["pcm"][:, 1:]),
        lambda arrays: arrays.update(cells=arrays["cells"].astype(np.int16)),
        lambda arrays: arrays.update({name: array[:0] for name, array in arrays.items()}),
        lambda arrays: arrays.update(pcm=np.array(0)),
    ],
    ids=["missing", "short", "dtype", "none", "scalar"],
)
def test_vectors_that_do_not_fit_are_refused(monkeypatch, change):
    bundle = read_bundle(default_bundle())
    arrays = read_golden(bundle)
    change(arrays)
    content = pack_golden(arrays)
    monkeypatch.setattr(type(bundle), "read", lambda self, name: content)
    with pytest.raises(BundleError, match="holds no golden vectors"):
        read_golden(bundle)


def test_python_objects_are_refused(monkeypatch):
    bundle = read_bundle(default_bundle())
    file = io.BytesIO()
    np.savez(file, **(read_golden(bundle) | {"pcm": np.array([{}], dtype=object)}))
    monkeypatch.setattr(type(bundle), "read", lambda self, name: file.getvalue())
    with pytest.raises(BundleError, match=GOLDEN):
        read_golden(dataclasses.replace(bundle))
