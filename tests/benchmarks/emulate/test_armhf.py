"""The package in an emulated 32-bit ARM userland: Debian's own NumPy and soundfile, our C, no interpreter."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgegenre.toy.dataset import render
from edgegenre_bench.emulate.arm64_userland import fetch_packages, guest_python, unpack
from edgegenre_bench.emulate.qemu import cache_folder
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import DataError

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("python3", "python3-numpy", "python3-soundfile")
TOOLS = ("arm-linux-gnueabihf-gcc", "qemu-arm", "apt-get", "dpkg-deb")
CODE = """
import json, sys
from edgegenre_runtime import GenreClassifier
classifier = GenreClassifier.load()
answer = classifier.predict_file(sys.argv[1])
print(json.dumps([classifier.backend.name, answer.label, answer.probabilities]))
"""


@pytest.fixture(scope="module")
def userland():
    """Debian's armhf packages, unpacked once into the cache of ``bench emulate``."""
    root = cache_folder().with_name("armhf") / "root"
    if not root.is_dir():
        state = root.parent / "apt"
        try:
            fetch_packages(state, "armhf", PACKAGES)
        except DataError as error:
            pytest.skip(str(error))
        unpack(sorted((state / "archives").glob("*.deb")), root)
    return root


@pytest.mark.slow
@pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}")
def test_a_32_bit_raspberry_pi_gives_this_machines_answer(userland, tmp_path):
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    site = tmp_path / "site"
    shutil.copytree(ROOT / "runtime" / "edgegenre_runtime", site / "edgegenre_runtime")
    assert hook.compile_library(ROOT, site / hook.LIBRARY, "armv7l") is None
    song = tmp_path / "song.wav"
    soundfile.write(song, render("disco", 1, 10.0), 22050)
    python = guest_python(userland)
    paths = [site, userland / "usr/lib/python3/dist-packages"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(map(str, paths)), "OPENBLAS_NUM_THREADS": "1"}
    native = userland / "usr/lib/arm-linux-gnueabihf"
    libraries = (native, native / "blas", native / "lapack")  # where alternatives would link them from
    environment["QEMU_SET_ENV"] = f"LD_LIBRARY_PATH={':'.join(map(str, libraries))}"
    command = ["qemu-arm", "-cpu", "cortex-a7", "-L", userland, python, "-c", CODE, song]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    name, label, probabilities = json.loads(done.stdout)
    here = GenreClassifier.load().predict_file(song)
    assert name == "edgegenre engine, neon"
    assert label == here.label
    # the logits are the same; exp() of another libm may differ in the last bit
    assert np.allclose(list(probabilities.values()), list(here.probabilities.values()), rtol=0, atol=1e-6)
