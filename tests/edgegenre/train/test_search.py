"""The search for training options: it goes on where it stopped, prunes, and refuses another study's file."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("optuna")

import optuna
from tiny import TABLES, tiny_cache

from edgegenre.cli import main
from edgegenre.data.feature_cache import save_cache
from edgegenre.models import ModelConfig
from edgegenre.train import TrainOptions
from edgegenre.train.search import tune
from edgegenre_runtime.errors import DataError, UsageError

OPTIONS = TrainOptions(epochs=1, crops_per_track=1, batch_size=6)


def run(storage, n_trials, lines, options=OPTIONS, model="cnn"):
    return tune(tiny_cache(), TABLES, ModelConfig(model, 3), options, storage, n_trials, lines.append)


def test_a_study_goes_on_until_it_has_its_trials(tmp_path):
    lines = []
    assert run(tmp_path / "t.db", 1, lines).n_finished == 1
    result = run(tmp_path / "t.db", 3, lines)
    assert result.n_finished == len(lines) == 3
    assert run(tmp_path / "t.db", 3, lines).number == result.number
    assert len(lines) == 3
    assert len({line.split("learning_rate")[1] for line in lines}) == 3
    assert "--learning-rate" in result.train_arguments()
    with pytest.raises(UsageError, match="epochs 1, not 2"):
        run(tmp_path / "t.db", 4, lines, TrainOptions(epochs=2, crops_per_track=1, batch_size=6))


def test_a_trial_that_is_behind_is_pruned(tmp_path, monkeypatch):
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda self: self.number == 1)
    lines = []
    assert run(tmp_path / "t.db", 2, lines).number == 0
    assert lines[1].startswith("trial 2: pruned")


def test_a_file_that_is_no_study_is_refused(tmp_path):
    (tmp_path / "t.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DataError, match="name another file"):
        run(tmp_path / "t.db", 1, [])


def test_of_several_labels_the_figure_is_named_as_what_it_is(tmp_path):
    lines, one = [], tiny_cache()
    several = dataclasses.replace(one, task_kind="multi", members=np.eye(3, dtype=bool)[one.y])
    result = tune(several, TABLES, ModelConfig("cnn", 3), OPTIONS, tmp_path / "t.db", 1, lines.append)
    assert result.figure_name == "mean average precision"
    assert f", mean average precision {result.valid_figure:.3f}" in lines[0]
    run(tmp_path / "u.db", 1, lines)
    assert ", accuracy " in lines[1]


def test_the_command_line_prints_how_to_train(tmp_path, capsys):
    save_cache(tiny_cache(), tmp_path / "tiny.npz")
    command = [
        "tune",
        tmp_path / "tiny.npz",
        "--storage",
        tmp_path / "t.db",
        "--trials",
        1,
        "--epochs",
        1,
        "--crops",
        1,
    ]
    assert main([str(part) for part in [*command, "--batch-size", 6]]) == 0
    assert "edgegenre train " in capsys.readouterr().out
