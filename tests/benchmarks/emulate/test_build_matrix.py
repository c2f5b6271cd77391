"""The parity matrix: what it says of builds that agree, differ, fail or are not there."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgegenre_bench.emulate import build_matrix as matrix
from edgegenre_bench.emulate.build_matrix import TARGETS, Target, format_matrix, run_matrix
from edgegenre_runtime.errors import UsageError

MUSIC = np.random.default_rng(1).integers(-9000, 9000, 2000).astype(np.int16)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")


@pytest.fixture(autouse=True)
def less_noise(monkeypatch):
    monkeypatch.setattr(matrix, "_N_NOISE", 35000)


def test_each_outcome_has_its_row():
    targets = [
        Target("plain", ("gcc", "-O2", "-DEDGEGENRE_MEL_PORTABLE", "-DEDGEGENRE_NET_PORTABLE")),
        Target("absent", ("no-such-cc", "-O2")),
        Target("absent emulator", ("gcc",), ("no-such-qemu",)),
        Target("bad option", ("gcc", "--no-such-option")),
        Target("falls", ("gcc",), ("false",)),
    ]
    rows = run_matrix(MUSIC, targets)
    assert [row.outcome.split(":")[0] for row in rows[1:]] == [
        "same bits",  # LiteRT
        "same bits",
        "not installed",
        "not installed",
        "failed",
        "failed",
    ]
    assert rows[2].path == "portable"
    assert format_matrix(rows).count("\n") == 3 + len(rows)


def test_other_bits_are_called_so(monkeypatch, tmp_path):
    shutil.copytree(matrix._SOURCES, tmp_path / "c")
    frame = tmp_path / "c" / "src" / "mel" / "edgegenre_mel_frame.c"
    frame.write_text(frame.read_text().replace("(total_q15 + 32) >> 6", "total_q15 >> 6"))
    monkeypatch.setattr(matrix, "_SOURCES", tmp_path / "c")
    row = run_matrix(MUSIC, TARGETS[1:2])[-1]
    assert (row.frontend, row.network) == ("DIFFERENT BITS", "same bits")


HELIUM = "edgegenre_mel_lanes_helium.h"
HELIUM_MISTAKES = [
    ("vaddq_s32(vqrdmulhq_s32(r, cos)", "vaddq_s32(vqdmulhq_s32(r, cos)"),
    ("high, 1, vcmphiq_u32(one, low)", "high, 0, vcmphiq_u32(one, low)"),
    ("vmladavaq_u32(high,", "vmladavaq_u32(0,"),
]


@pytest.mark.parametrize(("right", "wrong"), [("", ""), *HELIUM_MISTAKES])
def test_helium_gives_the_same_bits_and_a_mistake_in_it_is_seen(monkeypatch, tmp_path, right, wrong):
    if not all(map(shutil.which, ("arm-none-eabi-gcc", "qemu-system-arm"))):
        pytest.skip("needs arm-none-eabi-gcc and qemu-system-arm")
    shutil.copytree(matrix._SOURCES, tmp_path / "c")
    lanes = tmp_path / "c" / "src" / "mel" / HELIUM
    assert not right or lanes.read_text().count(right) == 1
    lanes.write_text(lanes.read_text().replace(right, wrong) if right else lanes.read_text())
    monkeypatch.setattr(matrix, "_SOURCES", tmp_path / "c")
    (target,) = [target for target in TARGETS if target.name.startswith("cortex-m55")]
    row = run_matrix(MUSIC, [target])[-1]
    assert row.path == "helium"
    assert (row.frontend, row.network) == ("DIFFERENT BITS" if right else "same bits", "same bits")


ROUNDINGS = [
    ("edgegenre_net_internal.h", "x = (float)sum * scale;", "x = (float)sum * scale - 0.25f;"),
    ("edgegenre_net_lanes_avx2.h", "_mm256_cvtps_epi32(", "_mm256_cvttps_epi32("),
    ("edgegenre_net_lanes_scalar.h", "net_requantize((int32_t)b,", "net_requantize((int32_t)b - 64,"),
]


@pytest.mark.parametrize(("name", "right", "wrong"), ROUNDINGS)
def test_a_changed_rounding_in_a_kernel_is_seen(monkeypatch, tmp_path, name, right, wrong):
    shutil.copytree(matrix._SOURCES, tmp_path / "c")
    kernel = tmp_path / "c" / "src" / "net" / name
    assert right in kernel.read_text()
    kernel.write_text(kernel.read_text().replace(right, wrong))
    monkeypatch.setattr(matrix, "_SOURCES", tmp_path / "c")
    plain = [] if "avx2" in name else ["-DEDGEGENRE_NET_PORTABLE"]
    row = run_matrix(MUSIC, [Target("changed", ("gcc", "-O2", *plain))])[-1]
    assert (row.frontend, row.network) == ("same bits", "DIFFERENT BITS")


def test_it_needs_music_and_sources(monkeypatch):
    with pytest.raises(UsageError, match="some music"):
        run_matrix(MUSIC[:0])
    monkeypatch.setattr(matrix, "_SOURCES", Path("/no/such"))
    with pytest.raises(UsageError, match="checkout"):
        run_matrix(MUSIC)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_target_at_hand_gives_the_references_bits(target):
    row = run_matrix(MUSIC, [target])[-1]
    if row.outcome.startswith("not installed"):
        pytest.skip(row.outcome)
    assert row.outcome == "same bits"
    assert bool(row.memory) == target.is_firmware
