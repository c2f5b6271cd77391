"""Records that are published name no folder of the machine that made them."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest
from documentation import ROOT

from edgegenre.checkpoint import default_checkpoint, load_checkpoint
from edgegenre.commands.common import command_line
from edgegenre.recorded_path import recorded_path, recorded_paths
from edgegenre_export.inputs.trained_network import checkpoint_network


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory and another home."""
    for name in ("here", "home/alice"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "alice"))
    return tmp_path / "here"


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        ("work/gtzan.npz", "work/gtzan.npz"),
        ("../gtzan.npz", "../gtzan.npz"),
        ("/media/disk/gtzan/clips", "gtzan/clips"),
        ("/clips", "clips"),
        ("/", "."),
    ],
)
def test_a_path_without_the_folders_of_this_machine(given, recorded):
    assert recorded_path(given) == recorded


def test_below_the_working_directory_and_without_the_name_of_the_user(here):
    assert recorded_path(str(here / "runs" / "a" / "best.safetensors")) == "runs/a/best.safetensors"
    assert recorded_path(str(Path.home() / "music.npz")) == "music.npz"
    assert recorded_path(str(Path.home())) == "."


def test_a_command_line(here, monkeypatch):
    words = ["train", "/data/gtzan.npz", "--weights", "artist=/data/weights/a.npz", "--out", str(here / "run"), "1/2"]
    monkeypatch.setattr(sys, "argv", ["edgegenre", *words])
    assert command_line() == "edgegenre train data/gtzan.npz --weights artist=weights/a.npz --out run 1/2"


def test_what_a_checkpoint_records_as_a_bundle_publishes_it():
    meta = {
        "features": "/x/y/z.npz",
        "n": 3,
        "url": "https://example.org/a/b",
        "teachers": ["/q/r/s"],
        "share": "1 / 2",
    }
    published = {**meta, "features": "y/z.npz", "teachers": ["r/s"]}
    assert recorded_paths(meta) == published


def test_an_exported_network_names_no_folder_of_the_trainer():
    checkpoint = load_checkpoint(default_checkpoint())
    trained = dataclasses.replace(checkpoint, meta={**checkpoint.meta, "features": "/media/disk/music/features.npz"})
    assert checkpoint_network(trained).meta["features"] == "music/features.npz"


def strings(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_no_stored_record_names_a_folder_of_one_machine():
    stored = [*ROOT.glob("devices/results/*.json"), ROOT / "edgegenre" / "default" / "temporal.json"]
    stored += [ROOT / "runtime" / "edgegenre_runtime" / "default" / "manifest.json"]
    assert len(stored) > 8
    for path in stored:
        texts = strings(json.loads(path.read_text("utf-8")))
        assert [text for text in texts if recorded_paths(text) != text] == [], path.name
    card = (ROOT / "runtime" / "edgegenre_runtime" / "default" / "card.md").read_text("utf-8")
    assert re.findall(r"(?<=[ `])/(?:work|home|root|media|mnt|tmp)/\S+", card) == []
