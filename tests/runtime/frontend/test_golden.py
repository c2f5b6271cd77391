"""Golden vectors: exact, per stage; and the proof that one constant changed by one is noticed."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edgegenre_runtime.frontend import (
    FrontendSpec,
    Tables,
    fft,
    log_mel,
    normalize,
    released,
)
from edgegenre_runtime.frontend import (
    numpy_reference as mel,
)
from edgegenre_runtime.frontend.fft import real_fft
from edgegenre_runtime.frontend.log2 import log2_q9
from edgegenre_runtime.frontend.melbank import mel_sums
from edgegenre_runtime.frontend.power import bin_power
from edgegenre_runtime.frontend.window import block_window
from write_golden import lcg_pcm

pytestmark = pytest.mark.usefixtures("implementation")
GOLDEN = Path(__file__).parents[2] / "golden" / "frontend_v1"


@pytest.fixture(scope="module")
def toy():
    content = json.loads((GOLDEN / "toy.json").read_text())
    return Tables.from_json(json.dumps(content.pop("tables"))), {k: np.array(v) for k, v in content.items()}


def test_lcg_is_what_its_docstring_says():
    first = 1664525 + 1013904223
    second = (1664525 * first + 1013904223) % 2**32
    assert lcg_pcm(2, seed=1).tolist() == [(first >> 16) - 32768, (second >> 16) - 32768]


def test_toy_window_stage_by_hand(toy):
    tables, golden = toy
    windowed, shift = block_window(golden["frames"].astype(np.int16), tables)
    # 16384 * 32767 has 29 bits; an 8-point FFT leaves 27: shift 2, halves rounded up
    assert shift[0] == 2
    assert windowed[0].tolist() == [0, 0, 0, 0, (16384 * 32767 + 2) >> 2, 0, 0, 0]
    assert np.array_equal(windowed, golden["windowed"])
    assert np.array_equal(shift, golden["shift"])


def test_toy_fft_of_an_impulse_alternates(toy):
    tables, golden = toy
    re, im = real_fft(golden["windowed"].astype(np.int32), tables)
    x = int(golden["windowed"][0, 4])
    assert re[:, 0].tolist() == [x, -x, x, -x, x]
    assert not im[:, 0].any()
    assert np.array_equal(re, golden["re"])
    assert np.array_equal(im, golden["im"])


def test_toy_power_mel_log_and_cells(toy):
    tables, golden = toy
    power = bin_power(golden["re"], golden["im"])
    assert int(power[0, 0]) == int(golden["re"][0, 0]) ** 2 >> 13
    assert np.array_equal(power, golden["power"])
    sums = mel_sums(power, tables)
    assert int(sums[0, 0]) == 65535 * int(power[1, 0])
    assert np.array_equal(sums, golden["sums"])
    logs = log2_q9(sums, golden["shift"].astype(np.int32), tables)
    assert np.array_equal(logs, golden["log_mel_q9"])
    cells = normalize(logs, tables).cells
    # 81 Q9 units below the maximum are 0.476 dB, 1.52 of 80/255 dB: two steps
    assert cells.tolist() == golden["cells"].tolist() == [[125, 41], [127, 38]]


def frames_of(tables, quiet=False, log_mel=log_mel):
    pcm = lcg_pcm(tables.spec.n_fft + 3 * tables.spec.hop_samples, seed=1)
    return log_mel(pcm // 1024 if quiet else pcm, tables).frames_q9


@pytest.mark.parametrize("name", ["seed3s", "wide9s"])
def test_presets_give_the_golden_frames(name):
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    tables = released(name)
    assert tables.spec_hash == golden["spec_hash"]
    assert frames_of(tables).tolist() == golden["log_mel_q9"]
    assert frames_of(tables, quiet=True).tolist() == golden["quiet_log_mel_q9"]


@pytest.mark.parametrize("name", ["band_offset_q15", "band_start", "band_weight", "log2_q15", "quarter_sine_q31"])
def test_one_table_constant_changed_changes_hash_and_frames(name):
    tables = released("seed3s")
    values = getattr(tables, name).astype(np.int64)
    at = len(values) // 2
    if name == "band_start":
        at = 40
    values[at] += {"band_offset_q15": 32, "band_weight": 4096, "log2_q15": 32, "quarter_sine_q31": 2**20}.get(name, 1)
    changed = dataclasses.replace(tables, **{name: values})
    assert changed.spec_hash != tables.spec_hash
    assert not np.array_equal(frames_of(changed), frames_of(tables))


def test_one_unit_in_any_table_changes_the_hash():
    tables = released("seed3s")
    for name in ("window_q15", "band_weight", "band_offset_q15", "log2_q15", "quarter_sine_q31", "band_start"):
        values = getattr(tables, name).astype(np.int64)
        values[1] += 1
        if name == "band_start":
            values[1] -= 2
        assert dataclasses.replace(tables, **{name: values}).spec_hash != tables.spec_hash, name
    for name in ("silence_q9", "norm_gain_q22", "norm_limit_q9"):
        assert dataclasses.replace(tables, **{name: getattr(tables, name) + 1}).spec_hash != tables.spec_hash, name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hop_samples", 513),
        ("n_mels", 127),
        ("fmin_hz", 1),
        ("fmax_hz", 11024),
        ("top_db", 81),
        ("sample_rate_hz", 22051),
    ],
)
def test_one_spec_constant_changed_by_one_changes_what_comes_out(key, value):
    from edgegenre_runtime.frontend.tables import design

    tables = released("seed3s")
    changed = design(dataclasses.replace(tables.spec, **{key: value}))
    assert changed.spec_hash != tables.spec_hash
    pcm = lcg_pcm(tables.spec.window_samples + 200, seed=2) // np.linspace(1, 300, tables.spec.window_samples + 200)
    width = tables.spec.frames_per_window
    cells = [normalize(log_mel(pcm.astype(np.int16), t).frames_q9[:, :width], t).cells for t in (tables, changed)]
    assert not np.array_equal(*cells)


@pytest.mark.parametrize("wrong", [lambda a, b: (a * b) >> 31, lambda a, b: (a * b + (1 << 29)) >> 31])
def test_another_rounding_of_the_product_is_noticed(monkeypatch, wrong):
    golden = json.loads((GOLDEN / "seed3s.json").read_text())
    toy_golden = json.loads((GOLDEN / "toy.json").read_text())
    monkeypatch.setattr(fft, "mul_q31", wrong)
    tables = Tables.from_json(json.dumps(toy_golden["tables"]))
    re, im = real_fft(np.array(toy_golden["windowed"], dtype=np.int32), tables)
    same_toy = re.tolist() == toy_golden["re"] and im.tolist() == toy_golden["im"]
    frames = frames_of(released("seed3s"), log_mel=mel.log_mel)  # C has its rounding compiled in
    assert not (same_toy and frames.tolist() == golden["log_mel_q9"])


def test_spec_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FrontendSpec().n_mels = 64
    with pytest.raises(ValueError, match="read-only"):
        released("seed3s").window_q15[0] = 1
