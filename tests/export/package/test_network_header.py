"""network.h: what a device answers to logits is what edgegenre-run does, in integers."""

import shutil
import subprocess

import numpy as np
import pytest

from edgegenre_export.package.network_header import int8_thresholds, network_header
from edgegenre_runtime.network.blob_header import read_header
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.bundle_names import default_bundle
from edgegenre_runtime.network.quantization import dequantize
from edgegenre_runtime.network.task import make_task

BLOB = read_bundle(default_bundle()).read("net.eg")
QUANTIZATION = read_header(BLOB).output_quantization
LABELS = tuple("abcdefghij")
LEAVES = ("a/a", "b", "a/b/x", "a/b/y", "c/z", "c/y", "d/m/n", "d/m/o", "d/p", "e")
PROGRAM = """#include <stdint.h>
#include <stdio.h>
#include "network.h"
int main(void) {
    int8_t logits[EDGEGENRE_NETWORK_CLASSES];
    const char *names[EDGEGENRE_NETWORK_NAMES];
    while (fread(logits, sizeof logits, 1, stdin) == 1) {
        int n = network_answer(logits, names);
        for (int i = 0; i < n; i++) printf("%s;", names[i]);
        printf("%d\\n", network_words[0] != 0);
    }
    return 0;
}
"""
TASKS = [
    make_task("single", LABELS),
    make_task("multi", LABELS, {label: 0.1 * i for i, label in enumerate(LABELS)}),
    make_task("hierarchy", LEAVES, {"level 1": 0.4, "level 2": 0.3, "level 3": 0.6}),
    make_task("hierarchy", LEAVES, {"level 1": 0.0, "level 2": 0.0, "level 3": 0.0}),
]


def is_close_to_a_threshold(task, probabilities):
    """Powers have 24 bits and thresholds 16."""
    nodes, thresholds = list(task.named(probabilities).values()), [t for t in task.level_thresholds() if t > 0]
    return (
        len(thresholds) > 0 and task.kind == "hierarchy" and np.abs(np.subtract.outer(nodes, thresholds)).min() < 1e-4
    )


@pytest.mark.parametrize("task", TASKS, ids=["single", "multi", "path", "leaf"])
def test_the_answer_of_a_device_is_that_of_the_runtime(tmp_path, task):
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    (tmp_path / "network.h").write_text(network_header(BLOB, task))
    (tmp_path / "main.c").write_text(PROGRAM)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    subprocess.run(["gcc", *flags, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.integers(-128, 128, (1000, 10)), rng.integers(20, 90, (1000, 10))]).astype(np.int8)
    done = subprocess.run([tmp_path / "main"], input=logits.tobytes(), capture_output=True, check=True)
    found = [tuple(line.split(";")[:-1]) for line in done.stdout.decode().splitlines()]
    n_checked = 0
    for row, names in zip(logits, found, strict=True):
        probabilities = task.probabilities(dequantize(row, *QUANTIZATION))
        if is_close_to_a_threshold(task, probabilities):
            continue
        answer = task.answer(task.named(probabilities))
        assert names == ((answer.label,) if answer.labels is None else answer.labels)
        n_checked += 1
    assert n_checked > 1500
    assert len(set(found)) > 5


def test_a_threshold_is_the_lowest_step_that_reaches_it():
    task = make_task("multi", LABELS, {"a": 0.0, "b": 1.0})
    steps = int8_thresholds(task, 0.25, 3)
    assert (steps[0], steps[2]) == (-128, 3)  # 0.5 is logit 0, the zero point
    assert 60 < steps[1] < 80  # in float32 a sigmoid is 1 from 17 on
    assert int8_thresholds(task, 0.01, 0)[1] == 128


def test_labels_are_c_strings():
    assert '{"a\\"b", "c\\\\d"}' in network_header(BLOB, make_task("single", ('a"b', "c\\d")))
