"""The tables of docs/boards.md: written between their marks, stale when anything changes, honest about emulation."""

import copy
import json
from pathlib import Path

import pytest
from documents import emulated_like

from edgegenre.cli import main
from edgegenre_bench.measure import plan
from edgegenre_bench.measure import this_machine as board
from edgegenre_bench.results.board_table import format_report, format_sections, read_results, stale_results
from edgegenre_bench.results.marked_page import is_stale, write_sections
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.network.bundle import read_bundle
from edgegenre_runtime.network.classifier import default_bundle

TINY = plan.Plan("quick", 0, 3, (1,), 5, 1, 20, plan.Growth((), (), ()))
MARKS = "# x\n<!-- edgegenre bench report: begin -->\nold\n<!-- edgegenre bench report: end -->\nafter\n"


@pytest.fixture(scope="module")
def measured():
    result = board.measure_machine(TINY)
    for row in result["stages"]:  # of a machine that nothing disturbs
        row |= {"min_ms": 1.0, "p50_ms": 1.5, "p90_ms": 2.0, "p99_ms": 2.5}
    result["stream"]["real_time_factor"] = 0.001
    return result


@pytest.fixture(scope="module")
def emulated(measured):
    return emulated_like(measured)


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
    assert "Never run on the real thing: Android-class phone" in text
    assert "| librosa | 10.00 |" in text
    assert "| Raspberry Pi 4 Model B | 10.0 M instr. | 20.0 M instr. | 2.00 |" in text
    assert "| 1.00 ms | 1.00 ms | 1.00 |" in text
    assert "| 10.00 |" in text


def test_a_network_that_the_engine_does_not_take_is_not_compared_with_itself(folder, emulated):
    large = copy.deepcopy(emulated)
    del large["bundle"]["files"]["net.eg"]
    (folder / "b.json").write_text(json.dumps(large))
    text = format_report(read_results(folder), read_bundle(default_bundle()))
    assert "| Raspberry Pi 4 Model B | 10.0 M instr. | 20.0 M instr." not in text
    assert "| 1.00 ms | 1.00 ms | 1.00 |" in text


def test_a_page_is_written_between_its_marks_and_becomes_stale(folder, tmp_path, capsys):
    page = tmp_path / "page.md"
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
    page = tmp_path / "page.md"
    page.write_text(MARKS)
    (folder / "b.json").write_text(json.dumps(older[1]))
    assert main(["bench", "report", "--results", str(folder), "--write", str(page)]) == 0
    assert main(["bench", "report", "--results", str(folder), "--check", str(page)]) == 1


@pytest.mark.parametrize("command", ["run", "emulate", "compare", "report", "check", "parity"])
def test_help_has_an_example(command, capsys):
    assert main(["bench", command, "--help"]) == 0
    assert "Example" in capsys.readouterr().out


def test_a_page_without_marks_is_refused(tmp_path):
    (tmp_path / "x.md").write_text("nothing")
    with pytest.raises(DataError, match="needs one line"):
        write_sections(tmp_path / "x.md", {"a": "text"})
    (tmp_path / "x.md").write_text("<!-- a: end --><!-- a: begin -->")
    with pytest.raises(DataError, match="needs one line <!-- a: begin --> and below it"):
        write_sections(tmp_path / "x.md", {"a": "text"})
    with pytest.raises(DataError, match="cannot be read"):
        is_stale(tmp_path / "y.md", {"a": "text"})
    with pytest.raises(DataError, match="not a folder of results"):
        read_results(tmp_path / "nowhere")


def test_a_page_may_hold_the_short_form_alone(folder, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- edgegenre bench report, short: begin --><!-- edgegenre bench report, short: end -->")
    options = ["bench", "report", "--results", str(folder)]
    assert main([*options, "--check", str(page)]) == 1
    assert main([*options, "--write", str(page), "--check", str(page)]) == 0
    text = page.read_text()
    assert "| Raspberry Pi 4 Model B | 11.0 M instr. | ≈ 0.2000, an estimate | emulated cortex-a72 |" in text
    assert "another bundle" not in text
    assert "multiply-adds" not in text


@pytest.mark.parametrize("name", ["docs/boards.md", "README.md"])
def test_the_pages_hold_what_the_results_say(name):
    texts = format_sections(read_results(), read_bundle(default_bundle()))
    assert not is_stale(Path(__file__).resolve().parents[3] / name, texts), (
        f"run  edgegenre bench report --write {name}"
    )
