"""Scanning: only what is new or has changed, moved files by their content, and nothing lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgegenre.cli import main
from edgegenre.toy.dataset import render
from edgegenre_runtime.library import Library, analyze, scan
from edgegenre_runtime.library.store import path_bytes
from edgegenre_runtime.library.walk import find_files
from edgegenre_runtime.network.classifier import GenreClassifier, default_bundle
from edgegenre_runtime.workers import open_workers

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Four pieces of toy music of 7 s."""
    folder = tmp_path_factory.mktemp("songs")
    for style in ("blues", "disco", "metal", "jazz"):
        soundfile.write(folder / f"{style}.flac", render(style, 0, 7.0), 22050)
    return folder


@pytest.fixture
def music(songs, tmp_path):
    return shutil.copytree(songs, tmp_path / "music")


def run(library, *roots, **options):
    """Scan in this process."""
    with open_workers() as workers:
        return scan.scan(library, scan.ScanOptions(roots, default_bundle(), **options), workers)


@pytest.fixture
def library(tmp_path):
    with Library.open(tmp_path / "l.sqlite", create=True) as opened:
        yield opened


def counts(report):
    """What happened: every count that is not 0."""
    fields = ("classified", "failed", "moved", "copied", "unchanged", "failed_before", "gone")
    return {name: getattr(report, name) for name in fields if getattr(report, name)}


def test_a_track_has_the_classifiers_answer(library, music):
    assert counts(run(library, music)) == {"classified": 4}
    track = library.track(music / "metal.flac")
    classifier = GenreClassifier.load()
    answer = classifier.predict_file(music / "metal.flac")
    found = track.analysis
    assert (found.label, found.n_windows, round(found.duration_s, 3)) == (answer.label, len(answer.windows), 7.0)
    assert dict(zip(track.bundle.task.names, found.probabilities, strict=True)) == pytest.approx(answer.probabilities)
    embedding = classifier.embed(music / "metal.flac").mean(axis=0)
    np.testing.assert_allclose(found.embedding, embedding, atol=0.01)
    assert found.confidence == pytest.approx(max(answer.probabilities.values()))
    assert found.genres == (found.label,)


def test_windows_are_spread_over_a_track_and_the_rest_is_not_classified(library, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    halves = [render(style, 0, 60.0) for style in ("metal", "classical")]
    soundfile.write(music / "long.flac", np.concatenate(halves), 22050)
    soundfile.write(music / "short.flac", halves[0][: 22050 * 10], 22050)
    run(library, music, max_windows=4)
    long, short = (library.track(music / name).analysis for name in ("long.flac", "short.flac"))
    assert (long.n_windows, round(long.duration_s), short.n_windows) == (4, 120, 5)
    run(library, music, max_windows=0)  # other windows than before: answered anew
    every = library.track(music / "long.flac").analysis
    assert every.n_windows == 79
    assert float(np.abs(every.probabilities - long.probabilities).max()) < 0.3
    assert library.track(music / "short.flac").analysis == short


def test_a_damaged_track_is_read_from_its_beginning(library, tmp_path):
    (tmp_path / "music").mkdir()
    path = tmp_path / "music" / "cut.flac"
    soundfile.write(path, render("metal", 0, 40.0), 22050)
    os.truncate(path, path.stat().st_size // 2)
    run(library, path, max_windows=4)
    found = library.track(path).analysis
    assert found.error is None
    assert found.n_windows > 4
    assert "damaged after" in found.warnings[0]


@pytest.mark.parametrize("ending", ["wav", "ogg", "aiff", "mp3", "flac"])
def test_a_track_that_is_cut_is_said_to_be(library, tmp_path, ending):
    path = tmp_path / f"cut.{ending}"
    soundfile.write(path, render("metal", 0, 40.0), 22050)
    run(library, path, max_windows=3)
    assert library.track(path).analysis.warnings == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    run(library, path, max_windows=3)
    analysis = library.track(path).analysis
    assert (analysis.error, len(analysis.warnings)) == (None, 1)
    assert analysis.warnings[0].startswith(("truncated: ", "damaged after "))


def test_only_what_is_new_or_has_changed_is_read_again(library, music, monkeypatch):
    run(library, music)
    read = []
    monkeypatch.setattr(
        scan, "analyze_file", lambda path, *rest: read.append(path) or analyze.analyze_file(path, *rest)
    )
    assert counts(run(library, music)) == {"unchanged": 4}
    assert read == []
    soundfile.write(music / "blues.flac", render("rock", 1, 8.0), 22050)
    soundfile.write(music / "new.wav", render("pop", 1, 6.0), 22050)
    assert counts(run(library, music)) == {"classified": 2, "unchanged": 3}
    assert sorted(read) == [path_bytes(music / "blues.flac"), path_bytes(music / "new.wav")]
    assert library.track(music / "blues.flac").analysis.duration_s == pytest.approx(8.0)


def test_moved_copied_and_touched_files_keep_their_answers(library, music, monkeypatch):
    run(library, music)
    before = {track.path.name: track for track in library.tracks()}
    monkeypatch.setattr(scan, "analyze_file", None)  # whoever calls it fails
    (music / "deep").mkdir()
    (music / "jazz.flac").rename(music / "deep" / "other.flac")
    shutil.copy(music / "disco.flac", music / "again.flac")
    os.utime(music / "metal.flac", ns=(1, 1))
    assert counts(run(library, music)) == {"moved": 2, "copied": 1, "unchanged": 2}
    moved = library.track(music / "deep" / "other.flac")
    assert (moved.id, moved.analysis.label) == (before["jazz.flac"].id, before["jazz.flac"].analysis.label)
    assert library.track(music / "jazz.flac") is None
    copy = library.track(music / "again.flac")
    assert copy.id not in {track.id for track in before.values()}
    np.testing.assert_array_equal(copy.analysis.embedding, before["disco.flac"].analysis.embedding)
    assert counts(run(library, music)) == {"unchanged": 5}


def test_files_that_are_gone_are_kept_for_when_they_come_back(library, music, tmp_path):
    run(library, music)
    (music / "blues.flac").rename(tmp_path / "away.flac")
    assert counts(run(library, music)) == {"unchanged": 3, "gone": 1}
    assert library.count() == 3
    assert counts(run(library, music)) == {"unchanged": 3, "gone": 1}
    (tmp_path / "away.flac").rename(music / "blues.flac")
    assert counts(run(library, music)) == {"unchanged": 4}
    assert library.count() == 4


def test_another_folder_of_the_library_is_not_gone(library, music, tmp_path):
    run(library, music)
    other = tmp_path / "music2"
    other.mkdir()
    soundfile.write(other / "x.wav", render("pop", 1, 5.0), 22050)
    assert counts(run(library, other)) == {"classified": 1}
    assert library.count() == 5


def test_what_cannot_be_read_is_listed_and_left_until_it_changes(library, music):
    (music / "empty.mp3").touch()
    (music / "text.wav").write_text("no audio at all" * 100)
    os.truncate(music / "blues.flac", 60)
    assert counts(run(library, music)) == {"classified": 3, "failed": 3}
    said = {track.path.name: track.analysis.error for track in library.tracks("error IS NOT NULL")}
    assert said["empty.mp3"] == "the file is empty"
    assert "libsndfile" in said["text.wav"]
    assert not said["text.wav"].startswith("/")
    assert counts(run(library, music)) == {"unchanged": 6, "failed_before": 3}
    assert counts(run(library, music, retry=True)) == {"unchanged": 3, "failed": 3}
    soundfile.write(music / "empty.mp3", render("pop", 1, 5.0), 22050, format="MP3")
    assert counts(run(library, music)) == {"classified": 1, "unchanged": 5, "failed_before": 2}


def test_the_folders_are_walked_once_and_all_files_are_counted(library, music, monkeypatch):
    walked, found, totals = [], [], []

    def counting(roots, on_error):
        walked.append(roots)
        return find_files(roots, on_error)

    monkeypatch.setattr(scan, "find_files", counting)
    (music / "empty.mp3").touch()
    options = scan.ScanOptions([music], default_bundle())
    with open_workers(threads=1) as workers:
        scan.scan(library, options, workers, lambda progress: totals.append(progress.n_total), found.append)
    assert len(walked) == 1
    assert found == [1, 2, 3, 4, 5]
    assert totals == [4] * 4


def test_many_empty_files_cost_no_worker(library, tmp_path):
    (tmp_path / "many").mkdir()
    for number in range(2000):
        (tmp_path / "many" / f"{number}.mp3").touch()
    with open_workers() as workers:
        workers.close()  # a task would raise
        report = scan.scan(library, scan.ScanOptions([tmp_path / "many"], default_bundle()), workers)
    assert counts(report) == {"failed": 2000}
    assert library.count("error = 'the file is empty'") == 2000


def test_a_file_that_changes_while_it_is_read_is_read_again_by_the_next_scan(library, music, monkeypatch):
    real = analyze._classified

    def classified(classifier, name, settings, begun):
        found = real(classifier, name, settings, begun)
        if name.endswith("jazz.flac"):
            with open(name, "ab") as file:
                file.write(b"more")
        return found

    monkeypatch.setattr(analyze, "_classified", classified)
    assert counts(run(library, music)) == {"classified": 3, "failed": 1}
    assert library.track(music / "jazz.flac").analysis.error == "changed while it was read: scan again"
    monkeypatch.undo()
    assert counts(run(library, music)) == {"classified": 1, "unchanged": 3}


def test_another_bundle_answers_anew(library, music, monkeypatch):
    run(library, music)
    monkeypatch.setattr(scan, "bundle_hash", lambda bundle: "0" * 64)
    monkeypatch.setattr(analyze, "bundle_hash", lambda bundle: "0" * 64)
    assert counts(run(library, music)) == {"classified": 4}
    assert library.bundle().hash == "0" * 64


def command(music, db, *options):
    return [BIN / "edgegenre", "library", "scan", music, "--db", db, *options]


def test_killed_at_any_moment_it_goes_on_where_it_was(songs, tmp_path):
    music, db = tmp_path / "music", tmp_path / "l.sqlite"
    music.mkdir()
    pcm = render("pop", 2, 20.0)
    for number in range(40):
        soundfile.write(music / f"{number:02}.wav", pcm[number * 100 :], 22050)
    seen = 0
    for _ in range(3):
        with subprocess.Popen(command(music, db, "--workers", "1"), stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 120
            n = seen
            while n == seen and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
                if db.exists():
                    with Library.open(db) as library:
                        n = library.count()
            process.send_signal(signal.SIGKILL)
        assert n >= seen
        seen = n
    assert seen > 0
    done = subprocess.run(command(music, db), capture_output=True, text=True, check=True, timeout=300)
    with Library.open(db) as library:
        assert library.count() == 40
    assert "40 tracks in the library" in done.stdout


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path):
    music, db = tmp_path / "music", tmp_path / "l.sqlite"
    music.mkdir()
    pcm = render("pop", 2, 20.0)
    for number in range(400):  # more than are done before the signal arrives
        soundfile.write(music / f"{number:03}.wav", pcm[number * 100 :], 22050)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job inherits an ignored one
    process = subprocess.Popen(command(music, db, "--workers", "1"), stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    with process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            time.sleep(0.02)
            if db.exists():
                with Library.open(db) as library:
                    if library.count():
                        break
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.count("\n") == 2, said
    first, last = said.splitlines()
    assert first.endswith("tracks are kept; run the same command to go on")
    assert last == "edgegenre: interrupted"


def test_the_command_tells_what_it_did(capsys, music, tmp_path):
    (music / "broken\n.mp3").write_bytes(b"\xff\xfb")
    db = tmp_path / "l.sqlite"
    assert main(["library", "scan", str(music), "--db", str(db), "--workers", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{db}: 4 classified, 1 unreadable; 4 tracks in the library, ")
    assert captured.err.startswith(f"unreadable: {music}/broken\\n.mp3: ")
    assert main(["library", "errors", "--db", str(db)]) == 0
    assert capsys.readouterr().out.startswith(f"{music}/broken\\n.mp3: ")


def test_damaged_files_that_have_an_answer_are_listed_on_request(library, capsys, music):
    content = (music / "metal.flac").read_bytes()
    (music / "cut.flac").write_bytes(content[: len(content) // 2])
    run(library, music)
    db = str(library.path)
    assert main(["library", "errors", "--db", db]) == 0
    assert capsys.readouterr().out == ""
    assert main(["library", "errors", "--db", db, "--warnings"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{music}/cut.flac: {library.track(music / 'cut.flac').analysis.label}, but damaged after ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["none", "--db", "l.sqlite"], "none: there is no such folder or file; is the drive mounted?"),
        ([".", "--db", "none/l.sqlite"], "none/l.sqlite: cannot write, there is no folder none"),
        ([".", "--db", "l.sqlite", "--workers", "0"], "0 workers were given; allowed are 1 to 256"),
        ([".", "--db", "l.sqlite", "--bundle", "nowhere"], "bundle nowhere does not exist"),
        ([".", "--db", "text.sqlite"], "text.sqlite: is no SQLite database: name another file with --db"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(capsys, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.sqlite").write_text("text " * 1000)
    assert main(["library", "scan", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"edgegenre: {said}")
    assert error.count("\n") == 1
    assert not (tmp_path / "l.sqlite").exists()
    assert not list(tmp_path.glob("*.lock"))


def test_a_library_in_use_is_refused(capsys, tmp_path, music):
    code = (
        "import sys, pathlib; from edgegenre_runtime.library.database import lock_for_writing\n"
        "with lock_for_writing(pathlib.Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", code, tmp_path / "l.sqlite"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        assert main(["library", "scan", str(music), "--db", str(tmp_path / "l.sqlite")]) == 2
        assert "another run of edgegenre is changing this library" in capsys.readouterr().err
        other.stdin.close()


def test_a_disk_that_fills_keeps_what_was_stored_and_the_next_scan_goes_on(tmp_path):
    music, db = tmp_path / "music", tmp_path / "l.sqlite"
    music.mkdir()
    for number in range(3000):
        (music / f"{number}.mp3").touch()
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000,) * 2)\n"
        "from edgegenre_runtime.library import scan; scan._COMMIT_S = 0\n"
        "from edgegenre.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = [str(part) for part in command(music, db, "--workers", 1)[1:]]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "free some space and run the same command again" in done.stderr
    with Library.open(db) as library:
        assert 0 < library.count("error IS NOT NULL") < 3000
        run(library, music)
        assert library.count("error = 'the file is empty'") == 3000


def test_a_name_that_is_not_utf8_goes_through_the_workers(capfd, songs, tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9\n.flac"
    shutil.copy(songs / "metal.flac", path)
    assert main(["library", "scan", str(tmp_path), "--db", str(tmp_path / "l.sqlite"), "--workers", "1"]) == 0
    with Library.open(tmp_path / "l.sqlite") as library:
        (track,) = library.tracks()
    assert os.fsencode(track.path) == path
