"""The README's table: written between its marks, stale when anything changes, and honest about what is emulated."""

import copy
import json
from pathlib import Path

import pytest

from edgegenre.cli import main
from edgegenre_bench import board, plan
from edgegenre_bench.report import format_report, is_stale, read_results, stale_results, write_report
from edgegenre_runtime.bundle import read_bundle
from edgegenre_runtime.classifier import default_bundle
from edgegenre_runtime.frontend import DataError

TINY = plan.Plan("quick", 0, 3, (1,), 5, 1, 20, plan.Growth((), (), ()))
MARKS = "# x\n<!-- edgegenre bench report: begin -->\nold\n<!-- edgegenre bench report: end -->\nafter\n"


@pytest.fixture(scope="module")
def measured():
    return board.measure_board(TINY)


@pytest.fixture(scope="module")
def emulated(measured):
    kept = ("format", "format_version", "made_at", "command", "bundle", "golden")
    peers = [
        {"name": "edgegenre, int8", "mel": 1e6, "network": 1e7, "window": 1.1e7, "audio_s": 9.0},
        {"name": "librosa", "mel": 1e7, "network": 1e8, "window": 1.1e8, "audio_s": 9.0},
    ]
    return {key: measured[key] for key in kept} | {
        "kind": "emulated",
        "device": "rpi4",
        "emulator": {"program": "qemu-aarch64 7.2", "cpu": "cortex-a72", "note": "", "host": "x86_64"},
        "parity": {
            "windows": 200,
            "clips": 10,
            "music": "shared clips",
            "frontend_differs": 0,
            "network_max_lsb": 0,
            "top1_differs": 0,
            "has_network": True,
        },
        "counts": [
            {"stage": stage, "instructions": n, "spread": 0.0, "runs": 2}
            for stage, n in (("mel", 10**6), ("network", 10**7), ("end_to_end", 11 * 10**6), ("stream_second", 10**6))
        ],
        "peers_instructions": peers,
        "limit": {"macs": 8 * 10**6, "macs_per_instruction": 8, "instructions": 10**6, "counted_over_limit": 10.0},
        "estimate": {
            "instructions_per_cycle": 1.2,
            "clock_mhz": 1800.0,
            "window_ms": 5.1,
            "real_time_factor": 0.2,
            "note": "an estimate",
        },
    }


@pytest.fixture
def folder(measured, emulated, tmp_path):
    (tmp_path / "results").mkdir()
    for name, result in (("a", measured), ("b", emulated)):
        (tmp_path / "results" / f"{name}.json").write_text(json.dumps(result))
    return tmp_path / "results"


def test_the_matrix_says_what_is_measured_emulated_missed_and_absent(folder):
    text = format_report(read_results(folder), read_bundle(default_bundle()))
    rows = text.splitlines()
    assert "measured, plan quick, p50" in rows[2]
    assert "| met |" in rows[2]
    assert "emulated cortex-a72" in rows[3]
    assert "M instr." in rows[3]
    assert " ms |" not in rows[3]
    assert "an estimate: IPC 1.2 at 1800 MHz" in rows[3]
    assert "**missed**: real-time factor: 0.2 of 0.1 (by estimate)" in rows[3]
    assert "No result yet: Android-class phone" in text
    assert "| librosa | 10.00 |" in text
    assert "| 10.00 |" in text


def test_a_page_is_written_between_its_marks_and_becomes_stale(folder, tmp_path, capsys):
    page = tmp_path / "README.md"
    page.write_text(MARKS)
    options = ["bench", "report", "--results", str(folder)]
    assert main([*options, "--check", str(page)]) == 1
    assert "stale" in capsys.readouterr().err
    assert main([*options, "--write", str(page)]) == 0
    assert main([*options, "--check", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("# x\n<!--")
    assert text.endswith("-->\nafter\n")
    assert "old" not in text
    page.write_text(text.replace("M instr.", "ms"))
    assert main([*options, "--check", str(page)]) == 1


def test_an_emulated_result_of_another_bundle_is_stale_and_a_measured_one_is_marked(
    folder, measured, emulated, tmp_path
):
    bundle, older = read_bundle(default_bundle()), []
    for result in (measured, emulated):
        older.append(copy.deepcopy(result))
        older[-1]["bundle"]["id"] = "f" * 64
    assert stale_results(older, bundle) == ["rpi4"]
    assert format_report(older, bundle).count("another bundle, ffffffff") == 2
    page = tmp_path / "README.md"
    page.write_text(MARKS)
    (folder / "b.json").write_text(json.dumps(older[1]))
    assert main(["bench", "report", "--results", str(folder), "--write", str(page)]) == 0
    assert main(["bench", "report", "--results", str(folder), "--check", str(page)]) == 1


def test_a_page_without_marks_is_refused(tmp_path):
    (tmp_path / "x.md").write_text("nothing")
    with pytest.raises(DataError, match="needs one line"):
        write_report(tmp_path / "x.md", "text")
    with pytest.raises(DataError, match="cannot be read"):
        is_stale(tmp_path / "y.md", "text")
    with pytest.raises(DataError, match="not a folder of results"):
        read_results(tmp_path / "nowhere")


def test_the_readme_holds_what_its_results_say():
    readme = Path(__file__).resolve().parents[1] / "README.md"
    text = format_report(read_results(), read_bundle(default_bundle()))
    assert not is_stale(readme, text), "run  edgegenre bench report --write README.md"
