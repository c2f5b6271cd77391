"""``edgegenre-run --learn``, ``--forget`` and ``--list``: from examples to answers, and everything that is refused."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
import soundfile
from json_records import valid_records

from edgegenre.toy.dataset import render
from edgegenre_runtime import GenreClassifier, learn
from edgegenre_runtime.errors import DataError
from edgegenre_runtime.live.analyzer import Analyzer
from edgegenre_runtime.live.audio_queue import AudioBlock
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.network.bundle_names import default_bundle
from edgegenre_runtime.network.personal.class_statistics import STATISTICS
from edgegenre_runtime.network.personal.store import personal_path, read_personal
from edgegenre_runtime.outputs.records import result_record
from edgegenre_runtime.run import main

NAME = "toy ambient"


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Pieces of three toy styles, and what is no music."""
    folder, rng = tmp_path_factory.mktemp("music"), np.random.default_rng(0)
    for style in ("classical", "jazz", "disco"):
        for seed in range(4):
            soundfile.write(folder / f"{style}{seed}.wav", render(style, 50 + seed, 20.0), 22050, subtype="PCM_16")
    soundfile.write(folder / "silence.wav", np.zeros(22050 * 20, np.int16), 22050)
    soundfile.write(folder / "noise.wav", (rng.normal(0, 3000, 22050 * 20)).astype(np.int16), 22050)
    soundfile.write(folder / "short.wav", render("jazz", 99, 4.0), 22050, subtype="PCM_16")
    return folder


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A copy of the shipped bundle in a folder of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("EDGEGENRE_BUNDLES", raising=False)
    return shutil.copytree(default_bundle(), tmp_path / "mine.bundle")


@pytest.fixture
def run(capsys, bundle):
    def call(*arguments, bundle=bundle):
        code = main(["--bundle", str(bundle), *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def examples(music, style, seeds=(0, 1, 2)):
    return [music / f"{style}{seed}.wav" for seed in seeds]


def refused(answer, *words):
    """Check that there is one line and exit code 2."""
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
    assert all(word in err for word in words), err


def test_a_learned_genre_is_answered_and_the_others_are_not_disturbed(run, bundle, music):
    before = {name: run(music / name)[1] for name in ("jazz3.wav", "disco3.wav")}
    code, out, err = run("--learn", NAME, *examples(music, "classical"))
    assert (code, err) == (0, "")
    assert out.startswith(f"learned {NAME} from 3 tracks")
    assert f"kept in {bundle}.personal.json" in out
    assert f": {NAME}  [" in run(music / "classical3.wav")[1]
    for name, line in before.items():
        first = [text.split("  [")[-1].split()[0] for text in (run(music / name)[1], line)]  # of the top three
        assert first[0] == first[1]
    records = valid_records(run("--json", music / "classical3.wav")[1].splitlines())
    assert {record["label"] for record in records} == {NAME}
    assert all(sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-3) for record in records)
    assert all(len(record["probabilities"]) == 11 for record in records)


def test_without_it_the_answers_are_the_bundle_s(run, music):
    song = music / "classical3.wav"
    before = [record["probabilities"] for record in map(json.loads, run("--json", song)[1].splitlines())]
    run("--learn", NAME, *examples(music, "classical"))
    after = [r["probabilities"] for r in map(json.loads, run("--json", "--no-personal", song)[1].splitlines())]
    assert after == before
    assert run("--forget", NAME)[0] == 0
    assert [r["probabilities"] for r in map(json.loads, run("--json", song)[1].splitlines())] == before


def test_the_bundle_s_classes_keep_their_odds(run, bundle, music):
    run("--learn", NAME, *examples(music, "classical"))
    plain = GenreClassifier.load(bundle)
    personal = GenreClassifier.load(bundle, with_personal=True)
    assert personal.labels == (*plain.labels, NAME)
    rng = np.random.default_rng(1)
    for _ in range(5):
        cells = rng.integers(-128, 128, (128, 128)).astype(np.int8)
        old, new = plain.probabilities(cells), personal.probabilities(cells)
        assert new[:-1] / new[:-1].sum() == pytest.approx(old, abs=1e-5)
        assert np.array_equal(new, personal.answer(cells)[0])


def test_listening_and_mqtt_s_record_answer_with_the_learned_genre(run, bundle, music):
    run("--learn", NAME, *examples(music, "classical"))
    analyzer = Analyzer(GenreClassifier.load(bundle, with_personal=True))
    pcm = render("classical", 53, 20.0).astype(np.float32) / 32768
    answers = list(analyzer.process(AudioBlock(pcm[:, None], 22050, 0, 0.0)))
    assert result_record(answers[-1], "microphone")["label"] == NAME


def test_several_genres_are_learned_listed_and_forgotten(run, bundle, music):
    assert run("--list")[:2] == (0, "nothing was learned for this bundle\n")
    run("--learn", NAME, *examples(music, "classical"))
    run("--learn", "toy jazz", *examples(music, "jazz"))
    code, out, _ = run("--list")
    assert code == 0
    assert [line.split("  ")[0] for line in out.splitlines()[:2]] == [NAME, "toy jazz"]
    assert f": {NAME}  [" in run(music / "classical3.wav")[1]
    assert ": toy jazz  [" in run(music / "jazz3.wav")[1]
    assert "holds 1 more" in run("--forget", NAME)[1]
    refused(run("--forget", NAME), "was not learned here", "toy jazz")
    assert "is deleted" in run("--forget", "toy jazz")[1]
    assert not personal_path(read_bundle(bundle)).exists()
    refused(run("--forget", NAME), "nothing was learned")


def test_one_track_is_learned_from_with_a_word_of_warning(run, music):
    code, out, err = run("--learn", NAME, music / "classical0.wav")
    assert code == 0
    assert "from 1 track (" in out
    assert "one track alone" in err


def test_a_folder_is_so_many_tracks(run, music, tmp_path):
    folder = tmp_path / "examples"
    folder.mkdir()
    for path in examples(music, "jazz"):
        shutil.copy(path, folder)
    assert "from 3 tracks" in run("--learn", "toy jazz", folder)[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["silence.wav"], ["silence.wav", "nothing to learn from"]),
        (["classical0.wav", "classical1.wav", "noise.wav"], ["noise.wav", "nothing to learn from"]),
        (["short.wav"], ["at least 3"]),
        (["classical0.wav", "classical0.wav"], ["given twice"]),
        (["classical0.wav", "missing.wav"], ["missing.wav"]),
    ],
)
def test_bad_examples_leave_the_old_file_as_it_was(run, bundle, music, arguments, words):
    run("--learn", "toy jazz", *examples(music, "jazz"))
    path = personal_path(read_bundle(bundle))
    content = path.read_bytes()
    refused(run("--learn", NAME, *(music / name for name in arguments)), *words)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "name", ["blues", "Blues", "silence", "uncertain", "", " x", "a;b", "rock/punk", "x" * 61, "a\nb"]
)
def test_names_that_are_taken_or_no_names_are_refused(run, music, name):
    refused(run("--learn", name, *examples(music, "jazz")))


def test_a_learned_name_is_taken(run, music):
    run("--learn", NAME, *examples(music, "classical"))
    refused(run("--learn", NAME.upper(), *examples(music, "jazz")), "is a class already", "--forget")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--learn", "x"], "FILEs, or --mic"),
        (["--learn", "x", "a.wav", "--mic"], "FILEs, or --mic"),
        (["--learn", "x", "-"], "not standard input"),
        (["--learn", "x", "--json", "a.wav"], "--json has no effect"),
        (["--learn", "x", "--no-personal", "a.wav"], "--no-personal has no effect"),
        (["--forget", "x", "a.wav"], "takes no FILE"),
        (["--list", "a.wav"], "takes no FILE"),
        (["--list", "--forget", "x"], "--list has no effect"),
    ],
)
def test_options_that_do_not_go_together(run, arguments, words):
    refused(run(*arguments), words)


def damage(path, change):
    record = json.loads(path.read_bytes())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"{"),
        lambda path: path.write_bytes(b"[" * 100_000),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
        lambda path: damage(path, lambda record: record.update(format_version=2)),
        lambda path: damage(path, lambda record: record["classes"][0]["mean"].reverse()),
        lambda path: damage(path, lambda record: record.pop("classes")),
        lambda path: path.write_text("[]"),
    ],
)
def test_a_damaged_file_is_refused_and_can_be_left_out(run, bundle, music, change):
    run("--learn", NAME, *examples(music, "classical"))
    path = personal_path(read_bundle(bundle))
    change(path)
    content = path.read_bytes()
    refused(run(music / "jazz0.wav"), "damaged", "--no-personal")
    refused(run("--learn", "toy jazz", *examples(music, "jazz")), "damaged")
    assert run("--no-personal", music / "jazz0.wav")[0] == 0
    assert path.read_bytes() == content


def test_a_head_of_another_embedding_is_refused(run, bundle, music, tmp_path):
    run("--learn", NAME, *examples(music, "classical"))
    shipped = read_bundle(bundle)
    files = {name: shipped.read(name) for name in ("model_int8.tflite", "net.eg", STATISTICS)}
    with np.load(bundle / STATISTICS) as arrays:
        np.savez(tmp_path / "s.npz", **{name: arrays[name] * (1 + (name == "axes")) for name in arrays.files})
    files[STATISTICS] = tmp_path / "s.npz"
    other = write_bundle(tmp_path / "other.bundle", files, tables=shipped.tables, labels=shipped.labels, about={})
    shutil.copy(f"{bundle}.personal.json", f"{other}.personal.json")
    refused(run(music / "jazz0.wav", bundle=other), "another network", "--no-personal")


def test_a_bundle_without_statistics_says_what_is_missing(run, bundle, music, tmp_path):
    shipped = read_bundle(bundle)
    files = {name: shipped.read(name) for name in ("model_int8.tflite", "net.eg")}
    bare = write_bundle(tmp_path / "bare.bundle", files, tables=shipped.tables, labels=shipped.labels, about={})
    refused(run("--learn", NAME, *examples(music, "classical"), bundle=bare), STATISTICS, "--data")
    assert run(music / "jazz0.wav", bundle=bare)[0] == 0
    damaged = write_bundle(
        tmp_path / "damaged.bundle",
        {**files, STATISTICS: b"PK"},
        tables=shipped.tables,
        labels=shipped.labels,
        about={},
    )
    refused(run("--learn", NAME, *examples(music, "classical"), bundle=damaged), STATISTICS, "damaged")


def test_a_bundle_of_several_labels_at_once_learns_nothing(run, bundle, music, tmp_path):
    shipped = read_bundle(bundle)
    files = {name: shipped.read(name) for name in ("model_int8.tflite", "net.eg", STATISTICS)}
    about = {"task": "multi", "thresholds": dict.fromkeys(shipped.labels, 0.5)}
    multi = write_bundle(tmp_path / "multi.bundle", files, tables=shipped.tables, labels=shipped.labels, about=about)
    refused(run("--learn", NAME, *examples(music, "classical"), bundle=multi), "several labels")


def test_a_package_s_bundle_is_learned_for_in_the_user_s_folder(capsys, bundle, music, tmp_path):
    before = sorted(os.listdir(default_bundle().parent))
    assert main(["--learn", NAME, *map(str, examples(music, "classical"))]) == 0
    out = capsys.readouterr().out
    assert f"kept in {tmp_path / 'data' / 'edgegenre' / 'personal'}" in out
    assert sorted(os.listdir(default_bundle().parent)) == before
    assert main([str(music / "classical3.wav")]) == 0
    assert NAME in capsys.readouterr().out
    assert main(["--bundle", str(bundle), str(music / "classical3.wav")]) == 0  # the same network, the same genres
    assert NAME in capsys.readouterr().out


def test_where_nothing_can_be_written(run, bundle, music, tmp_path, monkeypatch):
    (tmp_path / "data").write_text("a file where the folder should be")
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(run("--learn", NAME, *examples(music, "classical")), "cannot write")


def test_a_full_disk_leaves_the_old_file(run, bundle, music, monkeypatch):
    run("--learn", "toy jazz", *examples(music, "jazz"))
    path = personal_path(read_bundle(bundle))
    content = path.read_bytes()

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(run("--learn", NAME, *examples(music, "classical")), "no space left")
    assert path.read_bytes() == content
    assert sorted(os.listdir(path.parent)) == sorted(["mine.bundle", path.name])


def test_the_microphone_is_listened_to_for_half_a_minute(run, bundle, music, monkeypatch):
    pcm = np.concatenate([render("classical", seed, 20.0) for seed in (50, 51)])

    class Source:
        def __init__(self, name, heard, on_event, *, retry):
            assert (name, retry) == ("USB", False)
            self.heard = heard

        def start(self):
            self.blocks = iter(np.array_split(pcm.astype(np.float32)[:, None] / 32768, 40))

        def stop(self):
            pass

    source = {}

    def make(*arguments, **options):
        source["made"] = Source(*arguments, **options)
        return source["made"]

    def read(heard, timeout_s):
        block = next(source["made"].blocks, None)
        return None if block is None else AudioBlock(block, 22050, 0, 0.0)

    monkeypatch.setattr("edgegenre_runtime.live.microphone.refresh", lambda: None)
    monkeypatch.setattr("edgegenre_runtime.live.microphone_source.MicrophoneSource", make)
    monkeypatch.setattr(learn.AudioQueue, "read", read)
    code, out, _ = run("--learn", NAME, "--mic", "USB")
    assert code == 0
    assert "from 1 track (" in out
    monkeypatch.setattr(learn.AudioQueue, "read", lambda *_: None)
    path = personal_path(read_bundle(bundle))
    content = path.read_bytes()
    refused(run("--learn", "more", "--mic", "USB"), "the microphone was gone")
    assert path.read_bytes() == content


def test_python_reads_what_was_learned(run, bundle, music):
    assert read_personal(read_bundle(bundle)) is None
    run("--learn", NAME, *examples(music, "classical"))
    head = read_personal(read_bundle(bundle))
    assert head.names == (NAME,)
    assert head.classes[0].n_tracks == 3
    personal_path(read_bundle(bundle)).chmod(0)
    if os.geteuid():
        with pytest.raises(DataError, match="cannot read"):
            read_personal(read_bundle(bundle))
