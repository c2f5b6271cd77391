"""The command line, as a person types it: the whole way on toy music, and one line for what is wrong."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from edgegenre.checkpoint import default_checkpoint
from edgegenre.cli import main
from edgegenre_runtime.network.bundle import read_bundle

BIN = Path(sys.executable).parent


def edgegenre(capsys, *arguments):
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def trained(toy_folder, tmp_path_factory):
    """Return the run folder of a two-epoch training by command line."""
    out = tmp_path_factory.mktemp("cli") / "run"
    command = [BIN / "edgegenre", "train", toy_folder, "--out", out, "--epochs", "2", "--crops", "1", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.search(r"validation accuracy [01]\.\d{3} of 10 tracks", done.stdout)
    return out


def test_train_writes_features_split_and_checkpoint(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"best.json", "best.safetensors", "curves.png", "features.npz", "features.split.json"} <= names
    assert json.loads((trained / "best.json").read_text())["meta"]["command"].startswith("edgegenre train ")


def test_export_calibrates_on_the_training_split_and_runs(capsys, trained, tmp_path, toy_folder):
    command = [BIN / "edgegenre", "export", trained, "--int8", "--out", tmp_path / "b", "--windows", "40"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert "training split" in said[0]
    assert [line for line in said[1:] if not re.fullmatch(r"  \w+ \d+/\d+: .* …", line)] == []  # no converter's words
    assert len(done.stdout.splitlines()) == 13  # five files, five verdicts, where it is, two commands to go on with
    assert re.search(r"^model_int8.tflite: \d+ kB, [\d.]+ MMAC, same top class", done.stdout, re.MULTILINE)
    bundle = read_bundle(tmp_path / "b")
    calibration = json.loads(bundle.read("calibration.json"))
    assert len(calibration["indices"]) == 40
    command = [BIN / "edgegenre-run", "--bundle", tmp_path / "b", "--json", toy_folder / "jazz" / "jazz.00000.wav"]
    rows = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert set(json.loads(rows[0])["probabilities"]) == set(bundle.labels)
    assert bundle.manifest["class_statistics"]["n_tracks"] == 20
    learn = [BIN / "edgegenre-run", "--bundle", tmp_path / "b", "--learn", "mine", toy_folder / "jazz"]
    out = subprocess.run(learn, capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.startswith("learned mine from 4 tracks (4 windows)")
    rows = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert set(json.loads(rows[0])["probabilities"]) == {*bundle.labels, "mine"}
    for model in (trained, tmp_path / "b"):
        code, out, _ = edgegenre(capsys, "evaluate", model, trained / "features.npz", "--json")
        assert code == 0
        assert json.loads(out)["n_tracks"] == 10


def test_evaluate_says_accuracy_with_interval(capsys, trained):
    code, out, _ = edgegenre(capsys, "evaluate", trained, trained / "features.npz", "--part", "valid")
    assert code == 0
    assert re.match(r"valid: accuracy [01]\.\d{4} of 10 tracks \(95 % interval", out)


def test_prepare_reports_broken_files_and_strict_stops(capsys, toy_folder, tmp_path):
    (tmp_path / "music").symlink_to(toy_folder)
    for genre in ("blues", "jazz"):
        (tmp_path / "data" / genre).mkdir(parents=True)
        for i in range(4):
            (tmp_path / "data" / genre / f"{i}.wav").symlink_to(toy_folder / genre / f"{genre}.0000{i}.wav")
    (tmp_path / "data" / "blues" / "broken.wav").write_text("not audio")
    code, out, err = edgegenre(capsys, "data", "prepare", tmp_path / "data", "--out", tmp_path / "f.npz")
    assert code == 0
    assert "8 tracks, 1 skipped, 2 classes" in out
    assert "broken.wav" in err
    (tmp_path / "f.npz").unlink()
    code, out, err = edgegenre(capsys, "data", "prepare", tmp_path / "data", "--out", tmp_path / "f.npz", "--strict")
    assert (code, out) == (2, "")
    assert "broken.wav" in err
    assert not (tmp_path / "f.npz").exists()


def test_a_cache_of_another_spec_is_refused(capsys, trained, tmp_path):
    code, _, err = edgegenre(
        capsys, "train", trained / "features.npz", "--spec", "seed3s", "--out", tmp_path / "r", "--epochs", 1
    )
    assert code == 2
    assert "wide9s" in err
    assert "seed3s" in err


def test_toy_piece_and_split(capsys, tmp_path, toy_folder):
    assert edgegenre(capsys, "data", "piece", "reggae", "--out", tmp_path / "p.wav", "--seconds", 2)[0] == 0
    assert soundfile.info(tmp_path / "p.wav").frames == 44100
    code, out, _ = edgegenre(capsys, "data", "toy", tmp_path / "toy", "--clips", 1, "--seconds", 1)
    assert code == 0
    assert "10 clips" in out
    code, out, _ = edgegenre(capsys, "data", "split", toy_folder, "--out", tmp_path / "s.json")
    assert code == 0
    assert "train 20, valid 10, test 10" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "nowhere"], "nowhere"),
        (["train", "nowhere.npz"], "nowhere.npz"),
        (["data", "split", "nowhere", "--out", "x.json"], "nowhere"),
        (["data", "piece", "polka", "--out", "x.wav"], "polka"),
        (["data", "import-logmel", "nowhere", "--out", "x.npz"], "nowhere"),
        (["export", "nowhere.safetensors", "--int8"], "nowhere"),
        (["evaluate", "nowhere", "nowhere.npz"], "nowhere"),
        (["bench", "parity", "nowhere"], "nowhere"),
        (["bench", "frontend", "nowhere"], "nowhere"),
        (["data", "prepare", "nowhere", "--out", "x.npz", "--spec", "seed4s"], "seed3s, wide9s"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, _, err = edgegenre(capsys, *arguments)
    assert code == 2
    assert says in err
    assert err.strip().count("\n") == 0
    assert list(tmp_path.iterdir()) == []


def test_help_and_wrong_arguments_need_neither_torch_nor_numpy(tmp_path, trained):
    """Both take seconds to import; one process asks for everything that is refused, one after the other."""
    (tmp_path / "song.wav").write_bytes(b"")
    cache, song = trained / "features.npz", tmp_path / "song.wav"
    refused = [
        ["train", tmp_path / "none.npz", "--out", tmp_path / "r"],
        ["train", cache, "--out", tmp_path / "r", "--learning-rate", "2"],
        ["train", cache, "--out", tmp_path / "r", "--model", "cnnn"],
        ["train", cache, "--out", tmp_path / "r", "--augment", "heavy"],
        ["train", cache, "--out", tmp_path / "r", "--teacher", tmp_path / "none"],
        ["train", cache, "--out", tmp_path / "r", "--weights", tmp_path / "none.pth"],
        ["train", cache, "--out", tmp_path / "r", "--devices", "0"],
        ["train", cache, "--out", song / "r"],
        ["train", cache, "--out", trained],
        ["tune", tmp_path / "none.npz", "--storage", tmp_path / "t.db"],
        ["tune", cache, "--storage", tmp_path / "t.db", "--model", "cnnn"],
        ["tune", cache, "--storage", tmp_path / "none" / "t.db"],
        ["evaluate", tmp_path / "none", cache],
        ["evaluate", trained, tmp_path / "none.npz"],
        ["evaluate", trained, cache, "--part", "tset"],
        ["evaluate", trained, cache, "--report", tmp_path / "none" / "r.html"],
        ["explain", song, "--out", tmp_path / "x.png"],
        ["explain", song, "--out", tmp_path / "x.png", "--genre", "polka"],
        ["explain", song, "--out", tmp_path / "none" / "x.png"],
        ["export", trained, "--int8", "--data", tmp_path / "none.npz", "--out", tmp_path / "b"],
        ["export", tmp_path / "none", "--int8", "--out", tmp_path / "b"],
        ["models", "cnnn"],
    ]
    script = (
        "import json, sys; from edgegenre.cli import main\n"
        "print(main(['--help']), 'numpy' in sys.modules, file=sys.stderr)\n"
        "for arguments in json.loads(sys.argv[1]): print(main(arguments), 'torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps([[str(a) for a in arguments] for arguments in refused])],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    verdicts = [line for line in done.stderr.splitlines() if not line.startswith("edgegenre: ")]
    assert verdicts == ["0 False", *["2 False"] * len(refused)], done.stderr


def test_export_to_a_folder_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = edgegenre(capsys, "export", "--int8", "--out", tmp_path / "file" / "b")
    assert code == 2
    assert err.strip().splitlines()[-1].startswith("edgegenre: ")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ("export --int8", "export"),
        ("export FILE --int8 --sweep", "export"),
        ("train FILE", "train"),
        ("evaluate FILE FILE", "train"),
        ("evaluate FILE FILE --robustness", "train"),
        ("calibrate FILE FILE", "train"),
        ("explain FILE --out x.png", "train"),
        ("bench parity FILE", "bench"),
    ],
)
def test_a_missing_extra_names_its_install_command(tmp_path, arguments, extra):
    (tmp_path / "FILE").touch()
    hidden = (
        "import sys\n"
        "for name in ('torch', 'safetensors', 'lightning', 'sklearn', 'matplotlib', 'onnx', 'librosa'):\n"
        "    sys.modules[name] = None\n"
        "from edgegenre.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", hidden, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert f"pip install 'edgegenre[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_shipped_checkpoint_exports_on_toy_music(capsys, tmp_path):
    code, out, err = edgegenre(capsys, "export", "--int8", "--out", tmp_path / "b", "--windows", 64)
    assert code == 0, err
    assert "rendered toy music" in err
    agreement = float(re.search(r"model_int8.tflite: .* on\s+([\d.]+)%", out).group(1))
    assert agreement >= 90  # of 64 windows of toy music, which the network never heard
    assert read_bundle(tmp_path / "b").labels == read_bundle(default_bundle_path()).labels


def default_bundle_path():
    from edgegenre_runtime.network.classifier import default_bundle

    return default_bundle()


@pytest.mark.shared
def test_ten_real_clips_agree_with_the_float_network_on_librosa(capsys, shared_dir):
    code, out, _ = edgegenre(capsys, "bench", "parity", shared_dir / "data/gtzan/clips")
    assert code == 0, out
    agreeing = int(re.search(r"same top class on (\d+) of 10 clips", out).group(1))
    assert agreeing >= 9
    assert default_checkpoint().exists()
