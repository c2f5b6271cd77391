"""What runs inside the emulated board to count learning from one track: features, network and the mean direction.

Run as ``python -m edgegenre_bench.emulate.guest.learning BUNDLE PCM.npy OUT.json``, with the base install.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from edgegenre_runtime.learn import usable_embeddings
from edgegenre_runtime.network.classifier import GenreClassifier
from edgegenre_runtime.network.personal.class_statistics import read_statistics
from edgegenre_runtime.network.personal.head import learn_class

from .marks import run_marked

__all__: list[str] = []


def _count(bundle: Path, pcm: Path) -> dict[str, object]:
    """Learn from the track between marks, in two regions: embeddings, and the class from them."""
    classifier, samples = GenreClassifier.load(bundle), np.load(pcm, allow_pickle=False)
    statistics = read_statistics(classifier.bundle)
    found = [usable_embeddings(classifier, [samples])]

    def embed() -> None:
        found.append(usable_embeddings(classifier, [samples]))

    def learn() -> None:
        learn_class("x", found[-1:], statistics)

    run_marked([embed, learn])
    return {"windows": len(found[-1]), "backend": classifier.backend.name}


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(json.dumps(_count(Path(sys.argv[1]), Path(sys.argv[2]))), encoding="utf-8")
