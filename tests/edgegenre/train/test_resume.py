"""A run that is killed, resumed, and ends with the same bits as one that was not."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import typer
from tiny import TABLES, tiny_cache

from edgegenre.augment.spectrogram import AUGMENT_PRESETS
from edgegenre.cli import main
from edgegenre.data.feature_cache import save_cache
from edgegenre.models import ModelConfig
from edgegenre.train import TrainOptions, train
from edgegenre_runtime.errors import CheckpointError, UsageError

OPTIONS = {"epochs": 6, "crops_per_track": 2, "batch_size": 4, "average": 0.9, "augment": AUGMENT_PRESETS["strong"]}

SCRIPT = """
import sys
import torch
from test_resume import run
torch.set_num_threads(int(sys.argv[3]))  # sums of other thread counts round differently
run(sys.argv[1], resume=sys.argv[2] == "resume")
"""


def run(out, resume=False, report=print, **changes):
    options = TrainOptions(**{**OPTIONS, **changes})
    return train(
        tiny_cache(), TABLES, ModelConfig("cnn", 3), options, Path(out), about={}, resume=resume, report=report
    )


def weights(folder):
    # Digests: pytest's difference of two long byte strings takes longer than the run.
    names = ("best.safetensors", "last.safetensors", "history.json")
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    run(out)
    return out


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4])
def test_a_run_that_stopped_after_an_epoch_ends_with_the_same_bits(whole, tmp_path, after):
    def report(line):
        if line.startswith(f"epoch {after}/"):
            raise StoppedError

    with pytest.raises(StoppedError):
        run(tmp_path, report=report)
    lines = []
    run(tmp_path, resume=True, report=lines.append)
    assert lines[0].endswith(f"resumed after epoch {after}")
    assert weights(tmp_path) == weights(whole)


def test_ctrl_c_says_how_to_go_on_and_so_it_does(tmp_path, monkeypatch, capsys):
    save_cache(tiny_cache(), tmp_path / "tiny.npz")
    command = ["train", str(tmp_path / "tiny.npz"), "--out", str(tmp_path / "run"), "--logger", "none"]
    command += ["--epochs", "2", "--crops", "2", "--batch-size", "4"]
    echo = typer.echo

    def interrupted(line, **options):
        if str(line).startswith("epoch 1/2"):
            raise KeyboardInterrupt
        echo(line, **options)

    with monkeypatch.context() as patch:
        patch.setattr(typer, "echo", interrupted)
        assert main(command) == 130
    assert "run: stopped; the same command with --resume goes on" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "resumed after epoch 1" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_is_killed_twice_at_random_ends_with_the_same_bits(whole, tmp_path):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    for start in ("new", "resume"):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path), start, str(torch.get_num_threads())], env=env
        )
        before = len(states(tmp_path)) and states(tmp_path)[0]
        while process.poll() is None and (states(tmp_path) or [before])[0] == before:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)
    run(tmp_path, resume=True)
    assert weights(tmp_path) == weights(whole)


def states(folder):
    return [path.stat().st_mtime_ns for path in folder.glob("last.safetensors")]


def test_a_finished_run_has_nothing_to_resume(whole):
    before = weights(whole)
    result = run(whole, resume=True)
    assert result.epochs_run == 6
    assert weights(whole) == before


def test_nothing_to_resume_is_a_new_run(tmp_path):
    lines = []
    run(tmp_path, resume=True, report=lines.append, epochs=1)
    assert "nothing to resume" in lines[0]


def test_other_options_are_refused_by_name(whole):
    with pytest.raises(UsageError, match=r"learning_rate 0.002, now it is 0.001"):
        run(whole, resume=True, learning_rate=0.001)


def test_a_damaged_state_is_refused(whole, tmp_path):
    whole_bytes = (whole / "last.safetensors").read_bytes()
    for content in (b"", b"{}", whole_bytes[:100], whole_bytes[:-100]):
        (tmp_path / "last.safetensors").write_bytes(content)
        with pytest.raises(CheckpointError, match="without --resume"):
            run(tmp_path, resume=True)


@pytest.mark.parametrize(
    "change", [{"identity": 3}, {"identity": []}, {"best_epoch": "0"}, {"history": {}}, {"history": [{"loss": "x"}]}]
)
def test_a_state_out_of_shape_is_refused(whole, tmp_path, change):
    content = (whole / "last.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"]["about"] = json.dumps(json.loads(header["__metadata__"]["about"]) | change)
    text = json.dumps(header).encode()
    (tmp_path / "last.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    with pytest.raises(CheckpointError, match="without --resume"):
        run(tmp_path, resume=True)


def test_the_cache_is_only_what_the_features_module_accepts(tmp_path):
    from edgegenre.data.feature_cache import load_cache

    save_cache(tiny_cache(), tmp_path / "tiny.npz")
    assert load_cache(tmp_path / "tiny.npz", TABLES).labels == ("high", "low", "middle")
