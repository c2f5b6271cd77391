"""Recipes side by side: the table, the front, and a rejected one among them."""

import dataclasses
import json
from pathlib import Path

import pytest
import textures
from verdicts import refused_report

from edgegenre.checkpoint import Checkpoint
from edgegenre.models import ModelConfig, build
from edgegenre_export import RECIPES, checkpoint_network
from edgegenre_export.accept.verdict import Limits
from edgegenre_export.convert.tflite.from_torch import float_tflite
from edgegenre_export.convert.tflite.int8 import int8_tflite
from edgegenre_export.package.publish import publish
from edgegenre_export.prepare.prune import prune
from edgegenre_export.sweep import SweepRow, pareto_front, plot_sweep, sweep_recipes
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.frontend import released

TABLES = released("seed3s")


def row(name: str, accuracy: float, n_macs: int, size_bytes: int, status: str = "passed") -> SweepRow:
    return SweepRow(name, "model_int8.tflite", accuracy, n_macs, size_bytes, status)


def test_the_front_is_what_no_other_beats() -> None:
    good, small, worse, bad = row("a", 0.8, 100, 10), row("b", 0.7, 50, 5), row("c", 0.7, 100, 10), row("d", 0.6, 50, 5)
    equal, rejected = row("e", 0.8, 100, 10), row("f", 0.99, 1, 1, "rejected")
    assert pareto_front([good, small, worse, bad, equal, rejected]) == [good, small, equal]


def test_where_instructions_were_counted_they_are_the_work() -> None:
    plain = dataclasses.replace(row("float", 0.7, 100, 20), instructions=10)
    slow = dataclasses.replace(row("int8x16", 0.8, 100, 10), instructions=300)
    assert pareto_front([plain, slow]) == [plain, slow]
    assert pareto_front([dataclasses.replace(plain, instructions=None), slow]) == [slow]


def test_the_plot_is_against_instructions_only_where_all_were_counted(tmp_path: Path, monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr("edgegenre_export.sweep.write_png", lambda figure, path: drawn.append(figure))
    counted = [
        dataclasses.replace(row(name, 0.7, 10**6, 10), instructions=n) for name, n in (("a", 10**7), ("b", 10**9))
    ]
    plot_sweep(counted, counted[:1], tmp_path / "x.png")
    plot_sweep([counted[0], row("c", 0.6, 10**6, 10)], [], tmp_path / "x.png")
    labels = [[axes.get_xlabel() for axes in figure.axes] for figure in drawn]
    assert labels == [
        ["million instructions a window, emulated Cortex-A76", "file, kB"],
        ["million multiply-adds a window", "file, kB"],
    ]
    assert [axes.get_xscale() for axes in drawn[0].axes] == ["log", "linear"]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["a", "b"]


def test_a_sweep_goes_on_after_a_rejected_recipe(tmp_path: Path, textures_checkpoint) -> None:
    recipes = [RECIPES["int8"], RECIPES["prune50_int8"]]

    def export(recipe, folder: Path) -> None:
        report = refused_report()
        if recipe.name == "int8":
            sound = dataclasses.replace(report.verdicts[0], faults=(), accuracy_now=0.75)
            report = dataclasses.replace(report, verdicts=(sound,), limits=Limits())
        about = {"gate": report.to_dict(), "complexity": {"n_macs": 1000}, "metrics": []}
        files = {"model_int8.tflite": bytes(500)}
        publish(textures.job(folder, textures_checkpoint), files, about, report)

    lines: list[str] = []
    rows = sweep_recipes(
        recipes, export, tmp_path / "sweep", "pytest", lines.append, lambda model: 1000 * len(model.read_bytes())
    )
    assert [(r.recipe, r.status) for r in rows] == [("int8", "passed"), ("prune50_int8", "rejected")]
    assert (rows[0].accuracy, rows[0].n_macs, rows[0].size_bytes) == (0.75, 1000, 500)
    assert [r.instructions for r in rows] == [500_000, 500_000]
    assert "the gate rejected this export" in "\n".join(lines)
    document = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert [entry["front"] for entry in document["rows"]] == [True, False]
    assert "| prune50_int8 | model_int8.tflite |" in (tmp_path / "sweep" / "sweep.md").read_text()
    assert (tmp_path / "sweep" / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot make the folder"):
        sweep_recipes([], lambda recipe, folder: None, tmp_path / "file" / "x", "pytest", print)


@pytest.mark.slow
def test_instructions_fall_with_the_work(tmp_path: Path, textures_export) -> None:
    """Counted on the emulated board, where it is set up; a count of one model repeats exactly."""
    from edgegenre_bench.emulate.network_instructions import count_network, is_ready

    if not is_ready():
        pytest.skip("needs qemu-aarch64, cc and the userland of `edgegenre bench instructions`")
    model = textures_export.path / "model_int8.tflite"
    wide = count_network(model)
    assert wide == pytest.approx(count_network(model), rel=1e-3)
    config = ModelConfig("cnn", 4)
    state = {name: tensor.numpy() for name, tensor in build(config).state_dict().items()}
    start = Checkpoint(config, textures.LABELS, TABLES.spec, TABLES.spec_hash, state, {})
    small = prune(checkpoint_network(start), 0.5).network
    windows = textures.calibration(8).windows
    path = tmp_path / "small.tflite"
    path.write_bytes(int8_tflite(float_tflite(small, TABLES.spec), windows, TABLES.spec))
    assert 0.2 * wide < count_network(path) < 0.8 * wide
