"""``edgegenre-run``: what is playing? From files, raw PCM on stdin or a microphone, with the base install."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from edgegenre_runtime.audio.files import RAW_FORMATS, PcmBlocks, audio_files, file_blocks, raw_blocks
from edgegenre_runtime.live.listen_options import add_options, is_live
from edgegenre_runtime.network.classifier import FilePrediction, GenreClassifier, Prediction

from .errors import EdgeGenreError
from .outputs.records import json_line, prediction_record
from .printable import printable

__all__ = ["main"]

_EXAMPLES = """examples:
  edgegenre-run song.mp3                     one line: the genre, the top three, timings
  edgegenre-run --json album/ > out.jsonl    one JSON line a window
  edgegenre-run --mic                        listen; on a terminal a live picture, else a line an answer
  edgegenre-run --mic USB --json --log genre.jsonl --http :8080 --mqtt mqtt://broker.local
  arecord -t raw -f S16_LE -r 48000 -c 1 | edgegenre-run - --rate 48000 --every 1

exit codes: 0 all classified, or listening ended by SIGTERM or the end of the pipe; 2 wrong use or a file that could
not be read; 3 microphone missing or gone, with --no-retry; 130 interrupted"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgegenre-run",
        description="Tell the music genre of audio files, of raw PCM on stdin (-), or of what a microphone hears.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="FILE", help="audio file, folder of audio files, or - for raw PCM on stdin")
    add("--bundle", type=Path, metavar="DIR", help="bundle folder or .zip (default: the one that ships)")
    add("--json", action="store_true", help="one JSON line a window instead of one text line a file")
    add("--rate", type=int, default=22050, metavar="HZ", help="sample rate of raw PCM (default: %(default)s)")
    add("--channels", type=int, default=1, metavar="N", help="channels of raw PCM (default: %(default)s)")
    add("--format", choices=sorted(RAW_FORMATS), default="s16le", help="of raw PCM (default: %(default)s)")
    add("--threads", type=int, default=1, metavar="N", help="threads of the network (default: %(default)s)")
    add("--doctor", action="store_true", help="examine this machine and say whether it keeps up")
    add_options(parser)
    add("--debug", action="store_true", help="show a traceback instead of one line when something fails")
    add("--version", action="version", version=f"%(prog)s {version('edgegenre')}")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `edgegenre-run --json … | head` ends quietly
    parser = _parser()
    options = parser.parse_args(argv)
    if not (options.inputs or options.doctor or options.list_mics or options.mic is not None):
        parser.error("nothing to classify: give a FILE, a folder, - for raw PCM on stdin, or --mic")
    try:
        if options.list_mics:
            return _list_microphones()
        listens = is_live(options)
        if options.install_service is not None:
            return _install_service(sys.argv[1:] if argv is None else argv, options)
        classifier = GenreClassifier.load(options.bundle, options.threads)
        if options.doctor:
            return _doctor(classifier)
        if listens:
            from .listen import listen_command

            return listen_command(classifier, options)
        names = list(_inputs(options.inputs))
    except EdgeGenreError as error:
        if options.debug:
            raise
        return _print_error(error)
    except KeyboardInterrupt:
        return 130
    exit_code = 0
    for name in names:
        try:
            _run_one(classifier, name, options)
        except EdgeGenreError as error:
            if options.debug:
                raise
            exit_code = _print_error(error)
        except KeyboardInterrupt:
            return 130
    return exit_code


def _doctor(classifier: GenreClassifier) -> int:
    from edgegenre_runtime.system.doctor import examine

    for line in examine(classifier):
        print(line)
    return 0


def _list_microphones() -> int:
    from edgegenre_runtime.live.microphone import microphones, rates_hz

    found = microphones()
    if not found:
        print("no microphone is there")
    for info in found:
        rates = ", ".join(map(str, rates_hz(info))) or "none: busy, or no permission"
        print(f"{info.name}  (channels: {info.channels}; rates in Hz: {rates})")
    return 0


def _install_service(argv: Sequence[str], options: argparse.Namespace) -> int:
    from edgegenre_runtime.system.systemd_unit import install

    for line in install(argv, options):
        print(line)
    return 0


def _print_error(error: EdgeGenreError) -> int:
    print(f"edgegenre-run: {printable(str(error))}", file=sys.stderr)
    return 2


def _inputs(inputs: Sequence[str]) -> Iterator[str]:
    """Expand folders; a name that is not there stays, so that it is reported in its turn."""
    for name in inputs:
        yield from map(str, audio_files([name])) if os.path.isdir(name) else [name]


def _run_one(classifier: GenreClassifier, name: str, options: argparse.Namespace) -> None:
    blocks: PcmBlocks
    if name == "-":
        stdin = sys.stdin.buffer
        blocks = raw_blocks(stdin, options.rate, options.channels, options.format, classifier.rate_hz)
    else:
        blocks = file_blocks(Path(name), classifier.rate_hz)
    predictions = _with_progress(name, classifier.stream(blocks))
    if options.json:
        n_windows = 0
        for prediction in predictions:
            sys.stdout.write(json_line(prediction_record(prediction, name)))
            sys.stdout.flush()
            n_windows += 1
        if not n_windows:
            classifier.summarize((), name)  # raises: too short
    else:
        print(_text_line(name, classifier.summarize(predictions, name)), flush=True)
    for warning in blocks.warnings:
        print(f"edgegenre-run: {name}: {warning}", file=sys.stderr)


def _with_progress(name: str, predictions: Iterator[Prediction]) -> Iterator[Prediction]:
    """Show on a terminal how far a long source has come; pass everything on."""
    is_watched = sys.stderr.isatty()
    for prediction in predictions:
        if is_watched:
            minutes, seconds = divmod(int(prediction.end_s), 60)
            print(f"\r\x1b[K{name}  {minutes}:{seconds:02d}  {prediction.label}", end="", file=sys.stderr, flush=True)
        yield prediction
    if is_watched:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _text_line(name: str, answer: FilePrediction) -> str:
    n = len(answer.windows)
    mel_ms = sum(window.mel_ms for window in answer.windows) / n
    network_ms = sum(window.network_ms for window in answer.windows) / n
    ranked = "  ".join(f"{label} {probability:.2f}" for label, probability in answer.top3)
    note = ", repeated to fill a window" if answer.windows[0].is_repeated else ""
    cost = f"{n} window{'s' * (n > 1)}{note}, mel {mel_ms:.1f} ms + network {network_ms:.1f} ms each"
    return f"{name}: {answer.label}" + (f"  [{ranked}]" if ranked else "") + f"  ({cost})"


if __name__ == "__main__":
    sys.exit(main())
