"""The options of ``edgegenre-run``, and which of them belong together."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from edgegenre_runtime.audio.raw_pcm import RAW_FORMATS
from edgegenre_runtime.errors import OutputError, UsageError

__all__ = ["EXIT_LOST", "PIPE", "Mode", "argument_parser", "mode_of"]

EXIT_LOST = 3
"""Exit code where the microphone is missing or gone and ``--no-retry`` was given."""

PIPE = "-"
"""The input that stands for standard input."""

_EXAMPLES = """examples:
  edgegenre-run song.mp3                     one line: the genre, the top three, the seconds analyzed, timings
  edgegenre-run --json album/ > out.jsonl    one JSON line per window
  edgegenre-run --mic                        listen; on a terminal a live picture, else one line per answer
  edgegenre-run --mic USB --json --log genre.jsonl --http :8080 --mqtt mqtt://broker.local
  edgegenre-run --learn "sludge metal" a.mp3 b.mp3 c.mp3 d.mp3 e.mp3
  arecord -t raw -f S16_LE -r 48000 -c 1 | edgegenre-run - --rate 48000 --every 1

exit codes: 0 all classified, or listening ended by SIGTERM or the end of the pipe; 1 a fault of edgegenre-run;
2 wrong use, an input that could not be read or an output that could not be written; 3 microphone missing or gone,
with --no-retry; 130 interrupted"""

_LIVE = ("every", "smooth", "no_retry", "mqtt", "mqtt_ca", "http", "log", "save_clips")
_RAW = ("rate", "channels", "format")
_NETWORK = ("bundle", "threads", "trust")
_LEARNED = ("no_personal",)


class Mode:
    """What ``edgegenre-run`` is asked to do."""

    FILES, PIPE, MICROPHONE = "files", "listening to a pipe", "listening to a microphone"
    DOCTOR, LIST = "--doctor", "--list-mics"
    LEARN, FORGET, LEARNED = "--learn", "--forget", "--list"
    UPDATE = "--update"


_OPTIONS = {
    Mode.FILES: {"json", "state", "embeddings", *_LEARNED, *_NETWORK, *_RAW},
    Mode.PIPE: {"json", "embeddings", *_LEARNED, *_NETWORK, *_RAW, *_LIVE} - {"no_retry"},
    Mode.MICROPHONE: {"mic", "json", "embeddings", *_LEARNED, *_NETWORK, *_LIVE, "install_service"},
    Mode.DOCTOR: {"doctor", *_NETWORK},
    Mode.LIST: {"list_mics"},
    Mode.LEARN: {"learn", "mic", *_NETWORK},
    Mode.FORGET: {"forget", *_NETWORK},
    Mode.LEARNED: {"list", *_NETWORK},
    Mode.UPDATE: {"update", "update_ca", "bundle", "trust"},
}


class _Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line, and does not pass over a standard output that cannot be written."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2; the usage of all options would push the reason out of sight."""
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help lists what there is\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        try:
            (file or sys.stderr).write(message)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"standard output cannot be written ({reason})") from error


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser; options are not abbreviated, so that a new one never changes what an old command means."""
    parser = _Parser(
        prog="edgegenre-run",
        description="Recognize the music genre of audio files, of raw PCM on standard input (-), or of a microphone.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="FILE", help="audio file, folder of audio files, or - for standard input")
    add("--bundle", type=Path, metavar="NAME", help="bundle by name (--doctor lists them), or its folder or .zip")
    add("--trust", type=Path, action="append", metavar="KEY.pub", help="run a bundle that KEY signed alone; repeatable")
    add("--json", action="store_true", help="one JSON line per window instead of one text line per file")
    add("--embeddings", action="store_true", help="with --json: the network's embedding of each window too")
    add("--rate", type=int, metavar="HZ", help="sample rate of raw PCM (default: 22050)")
    add("--channels", type=int, metavar="N", help="channels of raw PCM (default: 1)")
    add("--format", choices=sorted(RAW_FORMATS), help="sample format of raw PCM (default: s16le)")
    add("--threads", type=int, default=1, metavar="N", help="threads of the network (default: %(default)s)")
    add("--state", metavar="FILE", help="go on from the state in FILE and write it back (bundles with a head)")
    add("--doctor", action="store_true", help="examine this machine and report whether it keeps up")
    add("--update", metavar="URL|FOLDER", help="replace --bundle by a newer one from there that a --trust key signed")
    add("--update-ca", metavar="FILE", help="trust the authorities in FILE (PEM) for --update (default: the system's)")
    _add_live_options(parser)
    _add_learning_options(parser)
    add("--debug", action="store_true", help="show a traceback instead of one line when something fails")
    add("--version", action="version", version=f"%(prog)s {version('edgegenre')}")
    return parser


def _add_live_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("listening", "to a microphone, or to - with --every").add_argument
    add("--mic", nargs="?", const="", metavar="NAME", help="listen to the microphone with NAME in its name, or any")
    add("--list-mics", action="store_true", help="list the microphones and the rates that they have")
    add("--every", type=float, metavar="SECONDS", help="time from one answer to the next (default: 1)")
    add("--smooth", type=float, metavar="SECONDS", help="time constant of the smoothing, 0 for none (default: 5)")
    add("--no-retry", action="store_true", help=f"exit with code {EXIT_LOST} where the microphone is missing or gone")
    add("--mqtt", metavar="URL", help="publish to mqtt://[user[:password]@]host[:port][/topic], mqtts:// for TLS")
    add("--mqtt-ca", metavar="FILE", help="trust the authorities in FILE (PEM) for mqtts:// (default: the system's)")
    add("--http", metavar="[HOST]:PORT", help="status page and /metrics; for this machine alone unless HOST is given")
    add("--log", metavar="FILE", help="append JSON lines to FILE, rotated at 8 MiB")
    add("--save-clips", metavar="DIR", help="save the audio at each change of genre, 100 clips at most (default: off)")
    add(
        "--install-service",
        nargs="?",
        const="/etc/systemd/system/edgegenre.service",
        metavar="FILE",
        help="write a systemd unit that runs with the other options given (default: %(const)s; - prints it)",
    )


def _add_learning_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("learning", "genres of your own, beside the bundle's").add_argument
    add("--learn", metavar="NAME", help="learn the genre NAME from the FILEs or folders, or from 30 s of --mic")
    add("--forget", metavar="NAME", help="forget a learned genre")
    add("--list", action="store_true", help="list the learned genres")
    add("--no-personal", action="store_true", help="answer with the bundle's genres alone")


def mode_of(options: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """Return one of :class:`Mode`.

    Raises
    ------
    UsageError
        If an option would be ignored, or options contradict each other.
    """
    given = [name for name, value in vars(options).items() if value != parser.get_default(name)]
    given = [name for name in given if name not in ("inputs", "debug")]
    mode = _mode(options, given)
    if mode == Mode.LEARN and (options.mic is None) != bool(options.inputs):
        raise UsageError("--learn NAME takes FILEs, or --mic: give one of them")
    if mode == Mode.LEARN and PIPE in options.inputs:
        raise UsageError("--learn reads audio files or --mic, not standard input: save it to a file first")
    if mode in (Mode.DOCTOR, Mode.LIST, Mode.MICROPHONE, Mode.FORGET, Mode.LEARNED, Mode.UPDATE) and options.inputs:
        option = "--mic" if mode == Mode.MICROPHONE else mode
        raise UsageError(f"{option} takes no FILE, but {options.inputs[0]} was given: give one or the other")
    for name in given:
        if name not in _OPTIONS[mode]:
            raise UsageError(_why_not(name, mode))
    if mode == Mode.UPDATE and (options.bundle is None or not options.trust):
        raise UsageError("--update takes --bundle NAME, the one to replace, and --trust KEY.pub, who may release it")
    if options.embeddings and not options.json:
        raise UsageError("--embeddings are numbers for programs: add --json")
    if options.mqtt_ca is not None and options.mqtt is None:
        raise UsageError("--mqtt-ca is for --mqtt mqtts://…, which was not given")
    if mode == Mode.FILES and PIPE not in options.inputs and (raw := [name for name in _RAW if name in given]):
        raise UsageError(f"{_flag(raw[0])} is for raw PCM on standard input (-); a FILE has a header of its own")
    return mode


def _mode(options: argparse.Namespace, given: list[str]) -> str:
    if options.update is not None:
        return Mode.UPDATE
    if options.learn is not None:
        return Mode.LEARN
    if options.forget is not None:
        return Mode.FORGET
    if options.list:
        return Mode.LEARNED
    if options.list_mics:
        return Mode.LIST
    if options.doctor:
        return Mode.DOCTOR
    if options.mic is not None:
        return Mode.MICROPHONE
    return Mode.PIPE if options.inputs == [PIPE] and any(name in _LIVE for name in given) else Mode.FILES


def _why_not(name: str, mode: str) -> str:
    if name == "install_service":
        return "--install-service writes a unit that listens: add --mic, and what else it shall do"
    if mode == Mode.FILES and name in _LIVE:
        return f"{_flag(name)} is for listening: add --mic, or - alone for raw PCM on standard input"
    return f"{_flag(name)} has no effect with {mode}: leave it out"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
