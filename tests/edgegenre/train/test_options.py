"""What the trainer's options do: schedule, freezing, averaging, loggers, several processes, the command line."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tiny import TABLES, tiny_cache
from torch.optim.swa_utils import AveragedModel

from edgegenre.checkpoint import load_checkpoint
from edgegenre.cli import main
from edgegenre.data.feature_cache import save_cache
from edgegenre.models import ModelConfig, build
from edgegenre.train import Hardware, TrainOptions, train
from edgegenre.train.batches import Batches
from edgegenre.train.lightning_module import TrainModule, learning_rate_factor
from edgegenre.train.loggers import make_logger
from edgegenre_runtime.errors import MissingExtraError, UsageError

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "tiny.npz"
    save_cache(tiny_cache(), path)
    return path


def test_the_learning_rate_climbs_for_a_tenth_and_falls_to_zero():
    assert learning_rate_factor(0) == pytest.approx(0.04)
    assert learning_rate_factor(0.1) == pytest.approx(1)
    assert learning_rate_factor(0.55) == pytest.approx(0.5)
    assert learning_rate_factor(1) == pytest.approx(0)


def test_a_batch_depends_on_seed_epoch_and_number_alone():
    cache = tiny_cache()
    batches = Batches(cache, cache.tracks_of("train"), TABLES, TrainOptions(batch_size=4, crops_per_track=2))
    assert len(batches) == 3
    first, second = batches[0], batches[1]
    assert torch.equal(batches[0][0], first[0])
    assert not torch.equal(first[0], second[0])
    batches.epoch = 1
    assert not torch.equal(batches[0][0], first[0])
    assert first[1].sum(dim=1).tolist() == [1, 1, 1, 1]


def test_an_epoch_has_every_track_as_often_as_asked():
    cache = tiny_cache()
    options = TrainOptions(batch_size=4, crops_per_track=2)
    batches = Batches(cache, cache.tracks_of("train"), TABLES, options)
    assert sum(batches[i][1] for i in range(3)).sum(dim=0).tolist() == [4, 4, 4]


def test_the_head_alone_learns_while_the_rest_is_frozen(tmp_path, monkeypatch):
    def two_parts(network):
        head = list(network.head.parameters())
        body = [p for name, p in network.named_parameters() if not name.startswith("head.")]
        return [("body", body), ("head", head)]

    monkeypatch.setattr("edgegenre.models.parameter_groups", two_parts, raising=False)
    start = {}

    def initialize(network):
        start.update({name: p.detach().clone() for name, p in network.named_parameters()})

    def weights_after(epochs, out):
        options = TrainOptions(epochs=epochs, freeze_epochs=epochs - 1, crops_per_track=2, batch_size=4)
        kept = []

        def look(line):
            kept.append({k: torch.from_numpy(v) for k, v in load_checkpoint(out).state.items()})

        train(tiny_cache(), TABLES, ModelConfig("cnn", 3), options, out, about={}, initialize=initialize, report=look)
        return kept[0]

    frozen, free = weights_after(2, tmp_path / "a"), weights_after(1, tmp_path / "b")
    assert torch.equal(frozen["dense.weight"], start["dense.weight"])
    assert not torch.equal(frozen["head.weight"], start["head.weight"])
    assert not torch.equal(free["dense.weight"], start["dense.weight"])


@pytest.mark.parametrize("is_frozen", [True, False])
def test_frozen_norms_keep_their_statistics(tmp_path, is_frozen):
    options = TrainOptions(epochs=2, crops_per_track=2, batch_size=4, freeze_norms=is_frozen)
    result = train(tiny_cache(), TABLES, ModelConfig("cnn", 3), options, tmp_path, about={})
    state = load_checkpoint(result.checkpoint).state
    means = [array for name, array in state.items() if name.endswith("running_mean")]
    assert means
    assert is_frozen == all(not mean.any() for mean in means)


def test_rates_fall_with_the_distance_from_the_head(monkeypatch):
    network = build(ModelConfig("cnn", 3))
    parts = [("a", [network.blocks[0].weight]), ("b", [network.dense.weight]), ("head", [network.head.weight])]
    monkeypatch.setattr("edgegenre.models.parameter_groups", lambda _: parts, raising=False)
    module = TrainModule(
        network, torch.nn.CrossEntropyLoss(), TrainOptions(learning_rate=0.1, layer_decay=0.5), 0, None
    )
    module._trainer = type("T", (), {"estimated_stepping_batches": 60, "max_epochs": 60})()
    optimizer = module.configure_optimizers()["optimizer"]
    assert [group["initial_lr"] for group in optimizer.param_groups] == pytest.approx([0.025, 0.05, 0.1])


@pytest.mark.parametrize(
    "values",
    [{"freeze_epochs": 60}, {"label_smoothing": 1.0}, {"average": 1.0}, {"layer_decay": 0.0}, {"temperature": 0.0}],
)
def test_options_outside_what_is_allowed(values):
    with pytest.raises(UsageError):
        TrainOptions(**values)


def test_frozen_epochs_and_several_devices_are_refused(tmp_path):
    with pytest.raises(UsageError, match="one device"):
        train(
            tiny_cache(), TABLES, ModelConfig("cnn", 3), TrainOptions(freeze_epochs=1), tmp_path, about={},
            hardware=Hardware(devices=2),
        )  # fmt: skip


def test_hardware_outside_what_is_allowed():
    with pytest.raises(UsageError):
        Hardware(devices=0)


def test_answers_that_become_nan_stop_with_a_reason(tmp_path, monkeypatch):
    def spoil(self, network):
        with torch.no_grad():
            self.module.head.bias.fill_(float("nan"))

    monkeypatch.setattr(AveragedModel, "update_parameters", spoil)
    options = TrainOptions(epochs=1, crops_per_track=2, batch_size=4, average=0.9)
    with pytest.raises(UsageError, match="NaN in epoch 1"):
        train(tiny_cache(), TABLES, ModelConfig("cnn", 3), options, tmp_path, about={})


def test_wandb_is_asked_for_by_its_extra(tmp_path):
    if find_spec("wandb") is not None:
        pytest.skip("wandb is installed here")
    with pytest.raises(MissingExtraError, match="wandb"):
        make_logger("wandb", tmp_path)


def test_tensorboard_gets_the_curves(tmp_path):
    pytest.importorskip("tensorboard")
    options = TrainOptions(epochs=2, crops_per_track=2, batch_size=4)
    train(tiny_cache(), TABLES, ModelConfig("cnn", 3), options, tmp_path, about={}, logger="tensorboard")
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_the_command_line_trains_resumes_and_refuses(npz, tmp_path, capsys):
    command = ["train", str(npz), "--out", str(tmp_path), "--epochs", "2", "--crops", "2", "--batch-size", "4"]
    command += ["--augment", "light", "--average", "0.9", "--label-smoothing", "0.1", "--logger", "none"]
    assert main(command) == 0, capsys.readouterr().err
    meta = json.loads((tmp_path / "best.json").read_text())["meta"]
    assert meta["options"]["augment"]["stretch"] == 0.1
    assert main([*command, "--resume"]) == 0
    assert main([*command, "--resume", "--seed", "4"]) == 2
    assert "seed 0, now it is 4" in capsys.readouterr().err
    assert main([*command, "--augment", "heavy"]) == 2
    assert "none, light, strong" in capsys.readouterr().err
    student = ["train", str(npz), "--out", str(tmp_path / "s"), "--epochs", "1", "--teacher", str(tmp_path)]
    assert main([*student, "--teacher", str(tmp_path), "--logger", "none"]) == 0
    assert len(json.loads((tmp_path / "s" / "best.json").read_text())["meta"]["teachers"]) == 2


@pytest.mark.slow
def test_two_processes_train_one_network(npz, tmp_path):
    command = [BIN / "edgegenre", "train", npz, "--out", tmp_path, "--epochs", "2", "--crops", "4", "--batch-size", "4"]
    command += ["--devices", "2", "--strategy", "ddp", "--logger", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    history = json.loads((tmp_path / "history.json").read_text())
    assert [row["epoch"] for row in history] == [0, 1]
    assert done.stdout.count("validation accuracy") == 1


FAILS_ON_THE_FIRST = """
import sys
from edgegenre.cli import main
from edgegenre.train import callbacks
from edgegenre_runtime.errors import DataError


def fail(history, path):
    raise DataError("the disk is full")


callbacks.save_history = fail
sys.exit(main(sys.argv[1:]))
"""

DIVERGES_ON_THE_SECOND = """
import os, sys
from edgegenre.cli import main
from edgegenre.train.lightning_module import TrainModule

step = TrainModule.training_step


def diverge(self, batch, number):
    if self.global_rank == 1:
        batch = (batch[0] * float("nan"), batch[1])
    return step(self, batch, number)


TrainModule.training_step = diverge
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "says"), [(FAILS_ON_THE_FIRST, "the disk is full"), (DIVERGES_ON_THE_SECOND, "the loss became")]
)
def test_a_process_that_fails_does_not_leave_the_other_waiting(npz, tmp_path, script, says):
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, tmp_path / "script.py", "train", npz, "--out", tmp_path / "run", "--epochs", "2"]
    command += ["--crops", "4", "--batch-size", "4", "--devices", "2", "--strategy", "ddp", "--logger", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert says in done.stderr
