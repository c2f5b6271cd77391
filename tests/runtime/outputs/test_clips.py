"""Clips at changes of genre; files that are not clips of edgegenre are never touched."""

import errno

import numpy as np
import pytest
import soundfile
from live_results import answer

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.audio_queue import AudioBlock
from edgegenre_runtime.outputs.clips import ClipSaver


def save(saver, label, second=0):
    saver.add_block(AudioBlock(np.full((48000, 2), second / 10, np.float32), 48000, 0, 0.0))
    saver.result(answer(label, unix_s=1.7e9 + second))


def test_clips_are_of_changes_of_genre_and_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("edgegenre_runtime.outputs.clips._MAX_FILES", 3)
    saver = ClipSaver(tmp_path / "clips", 1.0, pytest.fail)
    for second, label in enumerate(["jazz", "jazz", "silence", "jazz", "rock", "pop/rap", "uncertain", "disco"]):
        save(saver, label, second)
    names = sorted(path.name for path in (tmp_path / "clips").iterdir())
    assert names[0] == "edgegenre_20231114T221324Z_rock.wav"
    assert [name.split("_")[2] for name in names] == ["rock.wav", "pop-rap.wav", "disco.wav"]
    samples, rate_hz = soundfile.read(tmp_path / "clips" / names[-1])
    assert (rate_hz, samples.shape) == (48000, (48000, 2))
    assert samples[0, 0] == pytest.approx(0.7, abs=1e-3)


FOREIGN = (
    "JAZZ_000.wav", "20200101T000000Z_birds.wav", "edgegenre_notes.wav", "edgegenre_20200101T000000Z_jazz.wav.bak",
    "edgegenre_20200101T000000Z_.wav", "my_edgegenre_20200101T000000Z_jazz.wav", "edgegenre_20200101T000000Z_jazz.flac",
    "edgegenre_2020-01-01T000000Z_jazz.wav", "AZ_1.wav",
)  # fmt: skip


def test_no_foreign_file_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("edgegenre_runtime.outputs.clips._MAX_FILES", 1)
    for name in FOREIGN:
        (tmp_path / name).touch()
    (tmp_path / "edgegenre_20200101T000000Z_folder.wav").mkdir()
    saver = ClipSaver(tmp_path, 1.0, pytest.fail)
    for second, label in enumerate(["jazz", "rock", "disco"]):
        save(saver, label, second)
    left = {path.name for path in tmp_path.iterdir()}
    assert set(FOREIGN) | {"edgegenre_20200101T000000Z_folder.wav"} < left
    assert len(left) == len(FOREIGN) + 2
    assert sum("disco" in name for name in left) == 1


def test_any_label_makes_a_file_name(tmp_path):
    saver = ClipSaver(tmp_path, 1.0, pytest.fail)
    for second, label in enumerate(["../../x", "Música popular", "", "---", "rock\nroll"]):
        save(saver, label, second)
    assert len(list(tmp_path.iterdir())) == 5
    assert not list(tmp_path.parent.glob("*.wav"))


def test_a_full_disk_is_reported_once_and_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    events = []
    saver = ClipSaver(tmp_path, 1.0, events.append)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        save(saver, "jazz", 1)
        save(saver, "rock", 2)
    assert [event.kind for event in events] == ["output"]
    assert "no space left on device" in events[0].message
    assert list(tmp_path.iterdir()) == []
    save(saver, "disco", 3)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--save-clips .* cannot be used"):
        ClipSaver(tmp_path / "file", 1.0, pytest.fail)
    with pytest.raises(UsageError, match=r"--save-clips /proc/x cannot be used"):
        ClipSaver(type(tmp_path)("/proc/x"), 1.0, pytest.fail)
