"""Boards emulated: what a difference looks like when there is one, and the real thing on 200 windows."""

import copy
import shutil

import numpy as np
import pytest
from documents import emulated_like

from edgegenre.cli import main
from edgegenre_bench.emulate import emulated_board as emulated
from edgegenre_bench.emulate.emulated_board import EmulationJob, emulate_board, has_parity
from edgegenre_bench.emulate.estimate import estimate, limit
from edgegenre_bench.emulate.guest import board as guest_board
from edgegenre_bench.emulate.qemu import prepare
from edgegenre_bench.measure import plan
from edgegenre_bench.measure import this_machine as board
from edgegenre_bench.results.comparison import compare_results
from edgegenre_bench.results.device_profiles import load_device
from edgegenre_bench.results.result import check_bundle, write_result
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import DataError, UsageError

TINY = plan.Plan("quick", 0, 3, (1,), 5, 1, 20, plan.Growth((), (), ()))


@pytest.fixture(scope="module")
def classifier():
    return GenreClassifier.load()


@pytest.fixture(scope="module")
def document():
    return emulated_like(board.measure_machine(TINY))


def test_boards_that_are_not_emulated_are_refused(tmp_path, capsys):
    with pytest.raises(UsageError, match="x86-64 is not emulated"):
        emulate_board(EmulationJob("x86-64"))
    assert main(["bench", "emulate", "--device", "rpi9"]) == 2
    assert "'rpi9' is unknown" in capsys.readouterr().err


def test_every_difference_of_an_emulated_board_is_counted(classifier):
    spec = classifier.tables.spec
    pcm = np.random.default_rng(3).integers(-9000, 9000, spec.window_samples + 64 * spec.hop_samples).astype(np.int16)
    frames, cells, logits = guest_board.clip_answers(classifier, pcm, 64)
    there = {"a/frames": frames, "a/cells": cells, "a/logits": logits}
    same = emulated._parity(there, {"a": pcm}, classifier, 64)
    assert (same["windows"], same["frontend_differs"], same["network_max_lsb"], same["top1_differs"]) == (2, 0, 0, 0)
    assert has_parity({"parity": same})
    for part, change in (("frames", 1), ("cells", 1), ("logits", 2)):
        other = {key: value.copy() for key, value in there.items()}
        other[f"a/{part}"].reshape(-1)[-1] += change
        assert not has_parity({"parity": emulated._parity(other, {"a": pcm}, classifier, 64)})
    turned = there | {"a/logits": np.roll(logits, 1, axis=1)}
    assert emulated._parity(turned, {"a": pcm}, classifier, 64)["top1_differs"] == 2
    with pytest.raises(DataError, match="another number"):
        emulated._parity(there | {"a/cells": cells[:1]}, {"a": pcm}, classifier, 64)


def test_windows_overlap_as_much_as_it_takes(classifier):
    spec = classifier.tables.spec
    music = {"a": np.zeros(spec.window_samples + 99 * spec.hop_samples, np.int16)}
    assert emulated._hop_for(2, music, classifier) == 64
    assert emulated._hop_for(100, music, classifier) == 1
    with pytest.raises(UsageError, match="too short for 101 windows"):
        emulated._hop_for(101, music, classifier)


def test_limit_and_estimate_are_what_they_say():
    device = load_device("rpi4")
    assert limit(device, 80, 30) == {
        "macs": 80,
        "macs_per_instruction": 8,
        "instructions": 10,
        "counted_over_limit": 3.0,
    }
    made = estimate(device, window=device.clock_mhz * 1e3 * 1.2, stream_second=device.clock_mhz * 1e6 * 1.2, note="")
    assert made["window_ms"] == pytest.approx(1)
    assert made["real_time_factor"] == pytest.approx(1)


def test_emulated_results_are_written_and_compared(document, tmp_path):
    write_result(document, tmp_path / "r.json")
    assert not any(change.is_regression for change in compare_results(document, document))

    def regressions(change):
        after = copy.deepcopy(document)
        change(after)
        return [change.what for change in compare_results(document, after) if change.is_regression]

    assert regressions(lambda r: r["counts"][1].update(instructions=10**7 + 3 * 10**5)) == ["network"]
    assert regressions(lambda r: r["parity"].update(frontend_differs=1)) == ["parity: frontend differs"]
    assert regressions(lambda r: r["parity"].update(network_max_lsb=2)) == ["parity: network max lsb"]


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cortex-m55", "esp32-s3"])
def test_firmware_gives_the_references_bits_and_is_counted(device):
    for tool in ("qemu-system-arm", "arm-none-eabi-gcc", "cc"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    result = emulate_board(EmulationJob(device))
    assert has_parity(result)
    counts = {row["stage"]: row["instructions"] for row in result["counts"]}
    assert min(counts[stage] for stage in ("mel", "music", "network")) > 10**6
    assert counts["end_to_end"] == counts["mel"] + counts["music"] + counts["network"]
    assert result["estimate"]["real_time_factor"] < load_device(device).budget.real_time_factor


@pytest.mark.slow
def test_an_emulated_pi_agrees_on_200_windows_and_is_counted(classifier, tmp_path):
    for tool in ("qemu-aarch64", "aarch64-linux-gnu-gcc", "apt-get", "dpkg-deb", "cc"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    try:
        prepare()
    except DataError as error:
        if "cannot be fetched" not in str(error):
            raise
        pytest.skip(f"needs the network: {error}")
    result = emulate_board(EmulationJob("rpi4", repeats=1))
    write_result(result, tmp_path / "r.json")
    assert result["parity"]["windows"] >= 200
    assert has_parity(result)
    check_bundle(result, classifier.bundle, "rpi4")
    counts = {row["stage"]: row["instructions"] for row in result["counts"]}
    own = counts["mel"] + counts["network"]
    assert own < counts["end_to_end"] < 1.6 * own  # the window is also told from what is no music
    assert result["limit"]["counted_over_limit"] > 1
