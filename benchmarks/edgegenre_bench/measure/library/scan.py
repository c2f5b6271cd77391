"""What scanning a music library costs: beside bare decoding and librosa, and as the library grows."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import numpy.typing as npt
import soundfile

from edgegenre.toy.dataset import render
from edgegenre_export.convert.tflite.from_torch import float_tflite
from edgegenre_export.silence import quiet
from edgegenre_runtime.audio.files import file_excerpts, open_audio
from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.frontend import FrontendSpec
from edgegenre_runtime.inspect.markdown import markdown_table
from edgegenre_runtime.library import Library
from edgegenre_runtime.library.analyze import AnalysisSettings, analyze_file, bundle_hash
from edgegenre_runtime.library.store import path_bytes
from edgegenre_runtime.network.classifier import GenreClassifier, default_bundle
from edgegenre_runtime.network.interpreters import TfliteModel

from ..peers.timings import matching_checkpoint
from ..timing import Timing, time_in_turn

__all__ = ["Growth", "format_growth", "format_rates", "measure_growth", "time_tracks", "write_tracks"]

DECODING = "decoding alone"  # by soundfile's blocks, which is libsndfile
_OURS = "decoding as a scan does"
_SCAN, _LIBROSA = "library scan", "librosa, LiteRT float32"
_SHORT_S = 3.2
_MAIN = """
import multiprocessing, resource, sys
from edgegenre.cli import main
code = main(sys.argv[1:])
for worker in multiprocessing.active_children():
    worker.join()
own = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""  # not by wait4: there the peak begins with this process's own


@dataclasses.dataclass(frozen=True, slots=True)
class Growth:
    """A scan of a library of copies.

    Attributes
    ----------
    n_files
        Its files, each new to the library.
    seconds
        Time of the scan, start included.
    largest_mb
        Resident memory of its largest process, at its peak.
    database_bytes
        Size of the database afterwards.
    again_s
        Time of a second scan, which finds nothing new.
    """

    n_files: int
    seconds: float
    largest_mb: float
    database_bytes: int
    again_s: float


def write_tracks(folder: Path, seconds: float) -> list[Path]:
    """Write a piece of toy music as MP3 and as FLAC, stereo at 44.1 kHz; returns the files."""
    left, right = (render(style, 0, seconds, 44100).astype(np.float32) / 32768 for style in ("disco", "jazz"))
    samples = np.column_stack((left, (left + right) / 2))
    paths = [folder / "track.mp3", folder / "track.flac"]
    for path in paths:
        soundfile.write(path, samples, 44100)
    return paths


def time_tracks(
    tracks: Sequence[Path],
    n_windows: int,
    repeats: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[Path, list[Timing]]:
    """Return the processor time of decoding, scanning and librosa with LiteRT, run in turn, for each track.

    Raises
    ------
    UsageError
        A track of which ``n_windows`` are most, so that it would be read whole.
    """
    classifier = GenreClassifier.load()
    spec = classifier.tables.spec
    for track in tracks:
        excerpts = file_excerpts(track, spec.sample_rate_hz, n_windows, spec.window_samples)
        if excerpts is None:
            raise UsageError(f"{track}: {n_windows} windows are most of it; give longer tracks, or fewer windows")
        excerpts.close()
    with quiet():
        from edgegenre.checkpoint import to_module

        content = float_tflite(to_module(matching_checkpoint(None, classifier)).eval(), spec)
    network, found = TfliteModel(content), {}
    for done, track in enumerate(tracks):
        pipelines = _pipelines(track, n_windows, classifier, network.run)
        found[track] = time_in_turn(
            {(name, 1): run for name, run in pipelines.items()}, 1, repeats, now_ns=time.process_time_ns
        )
        progress(done + 1, len(tracks))
    return found


def _pipelines(
    track: Path, n_windows: int, classifier: GenreClassifier, run: Callable[[Any], object]
) -> dict[str, Callable[[], object]]:
    spec, digest = classifier.tables.spec, bundle_hash(classifier.bundle)
    every, some = (AnalysisSettings(str(default_bundle()), digest, n) for n in (0, n_windows))

    def decode_windows() -> None:
        excerpts = file_excerpts(track, spec.sample_rate_hz, n_windows, spec.window_samples)
        assert excerpts is not None  # noqa: S101  # checked before
        with contextlib.closing(excerpts):
            list(excerpts.pcm())

    def librosa_windows() -> None:
        step_s = librosa.get_duration(path=track) / n_windows
        for i in range(n_windows):
            start_s = (i + 0.5) * step_s - spec.window_s / 2
            pcm, _ = librosa.load(track, sr=spec.sample_rate_hz, offset=start_s, duration=spec.window_s + 0.1)
            _by_librosa(pcm[: spec.window_samples], spec, run)

    return {
        DECODING: lambda: _decode(track),
        _OURS: lambda: [None for _ in open_audio(track).frames()],
        f"{DECODING}, {n_windows} windows": decode_windows,
        f"{_SCAN}, {n_windows} windows": lambda: analyze_file(path_bytes(track), some),
        f"{_SCAN} --all": lambda: analyze_file(path_bytes(track), every),
        f"{_LIBROSA}, {n_windows} windows": librosa_windows,
        f"{_LIBROSA}, all": lambda: _by_librosa(librosa.load(track, sr=spec.sample_rate_hz)[0], spec, run),
    }


def _decode(track: Path) -> None:
    with soundfile.SoundFile(track) as sound:
        for _ in sound.blocks(16384, dtype="float32"):
            pass


def _by_librosa(pcm: npt.NDArray[np.float32], spec: FrontendSpec, run: Callable[[Any], object]) -> None:
    """Classify half-overlapping windows as a script with librosa does."""
    shape: dict[str, Any] = {"sr": spec.sample_rate_hz, "n_fft": spec.n_fft, "n_mels": spec.n_mels}
    power = librosa.feature.melspectrogram(y=pcm, **shape, hop_length=spec.hop_samples, center=False)
    width = spec.frames_per_window
    for start in range(0, power.shape[1] - width + 1, width // 2):
        db = librosa.power_to_db(power[:, start : start + width], ref=np.max, top_db=spec.top_db)
        run((db + np.float32(spec.top_db))[None, :, :, None])


def measure_growth(folder: Path, n_files: int, workers: int) -> Growth:
    """Scan ``n_files`` short copies of a piece, no two the same, into a new database below ``folder``."""
    music, db = folder / "music", folder / f"{n_files}.sqlite"
    pcm = render("disco", 0, _SHORT_S)
    for number in range(n_files):
        path = music / f"{number // 1000}" / f"{number}.wav"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            pcm[:2] = number % 1000, number // 1000
            soundfile.write(path, pcm, 22050)
    command = [sys.executable, "-c", _MAIN, "library", "scan", music, "--db", db, "--workers", workers]
    seconds, largest_mb = _run([str(part) for part in command])
    with Library.open(db) as library:
        n_found = library.count()
    if n_found != n_files:
        raise RuntimeError(f"{n_found} of {n_files} files were classified")
    return Growth(n_files, seconds, largest_mb, os.stat(db).st_size, _run([str(part) for part in command])[0])


def _run(command: Sequence[str]) -> tuple[float, float]:
    """Return the seconds that a command took, and the memory of the largest of its processes in MB."""
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)  # noqa: S603  # our own program
    if done.returncode:
        raise RuntimeError(f"the scan ended with exit code {done.returncode}")
    return time.perf_counter() - began, int(done.stdout.splitlines()[-1]) / 1024


def format_rates(rows: dict[Path, list[Timing]]) -> str:
    """Return one table a track: time, real-time factor, and the rates beside decoding and librosa, of the minima."""
    tables = []
    for track, timings in rows.items():
        audio_s = soundfile.info(track).duration
        least = {timing.stage: timing.min_ms for timing in timings}
        bare, (slow,) = least[DECODING], [ms for name, ms in least.items() if name == f"{_LIBROSA}, all"]
        cells = [
            (name, f"{ms:.0f}", f"{audio_s * 1e3 / ms:.0f}", f"{1e3 / ms:.2f}", f"{bare / ms:.2f}", f"{slow / ms:.1f}")
            for name, ms in least.items()
        ]
        head = (
            "pipeline, one core",
            "processor ms",
            "times real time",
            "tracks/s",
            "rate / decoding",
            "rate / librosa, all",
        )
        tables.append(f"{track.suffix[1:]}, {audio_s:.0f} s, stereo:\n\n{markdown_table(head, cells)}")
    return "\n\n".join(tables)


def format_growth(rows: Sequence[Growth]) -> str:
    """Return a table with a row for each library."""
    head = ("files", "s", "files/s", "largest process, MB", "database, bytes a file", "scan again, s")
    return markdown_table(
        head,
        [
            (
                str(row.n_files),
                f"{row.seconds:.1f}",
                f"{row.n_files / row.seconds:.1f}",
                f"{row.largest_mb:.0f}",
                f"{row.database_bytes / row.n_files:.0f}",
                f"{row.again_s:.1f}",
            )
            for row in rows
        ],
    )
