"""Every module's __all__ names what is there, and importing the packages has no side effects on the device side."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import edgegenre
import edgegenre_bench
import edgegenre_export
import edgegenre_runtime

MODULES = sorted(
    module.name
    for package in (edgegenre, edgegenre_bench, edgegenre_export, edgegenre_runtime)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
)


@pytest.mark.parametrize("name", MODULES)
def test_public_names_exist(name):
    module = importlib.import_module(name)
    assert module.__doc__
    public = getattr(module, "__all__", [])
    assert len(set(public)) == len(public)
    for item in public:
        assert hasattr(module, item), item


def test_top_level_api():
    assert edgegenre.__all__ == ["EdgeGenreError", "FilePrediction", "GenreClassifier", "Prediction"]


def test_importing_edgegenre_is_light():
    code = "import sys, edgegenre; print(sorted({'torch', 'librosa', 'scipy', 'typer', 'onnx'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
