"""The network of a job: what would fail at the end of an export is refused at its beginning."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from textures import TABLES

from edgegenre.checkpoint import Checkpoint
from edgegenre_export import checkpoint_network
from edgegenre_export.inputs.training_record import check_record
from edgegenre_runtime.errors import DataError, EdgeGenreError, ExportError, UsageError

GOOD = {"track_accuracy": 0.5, "track_accuracy_95": [0.4, 0.6], "n_tracks": 10, "command": "x"}


@pytest.mark.parametrize(
    ("label", "error", "words"),
    [
        ("silence", DataError, "what a device answers"),
        ("uncertain", DataError, "what a device answers"),
        ("two\nlines", DataError, "one line"),
        ("\udce9t\udce9", DataError, "UTF-8"),
        ("", DataError, "cannot be called"),
        ("hiss", UsageError, "must differ"),
    ],
)
def test_labels_that_a_bundle_cannot_hold(
    textures_checkpoint: Checkpoint, label: str, error: type[EdgeGenreError], words: str
) -> None:
    labels = (label, *textures_checkpoint.labels[1:])
    with pytest.raises(error, match=words) as caught:
        checkpoint_network(dataclasses.replace(textures_checkpoint, labels=labels))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"data": Path("music")}, "cannot be written as JSON"),
        ({"data": {1: "a", "b": 2}}, "cannot be written as JSON"),
        ({"metrics": 3}, "metrics is no object"),
        ({"metrics": {"test": "good"}}, r"metrics\.test is no object"),
        ({"metrics": {"test": {}}}, r"metrics\.test\.track_accuracy "),
        ({"metrics": {"test": GOOD | {"track_accuracy": "high"}}}, r"metrics\.test\.track_accuracy "),
        ({"metrics": {"test": GOOD | {"track_accuracy_95": [0.4]}}}, r"metrics\.test\.track_accuracy_95 "),
        ({"metrics": {"test": GOOD | {"track_accuracy_95": ["a", "b"]}}}, r"metrics\.test\.track_accuracy_95 "),
        ({"metrics": {"test": GOOD | {"n_tracks": None}}}, r"metrics\.test\.n_tracks "),
    ],
)
def test_a_damaged_training_record(textures_checkpoint: Checkpoint, meta: dict[str, object], words: str) -> None:
    check_record({"data": "music", "metrics": {"test": GOOD}}, "cnn")
    with pytest.raises(ExportError, match=words) as caught:
        checkpoint_network(dataclasses.replace(textures_checkpoint, meta=meta))
    assert "\n" not in str(caught.value)
    assert TABLES.spec_hash not in str(caught.value)
