"""``edgegenre-run``: what is playing? From files, raw PCM on stdin or a microphone, with the base install."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from edgegenre_runtime.network.bundle_names import find_bundle, previous_of
from edgegenre_runtime.network.classifier import GenreClassifier

from .command_line import PIPE, Mode, argument_parser, mode_of
from .errors import BundleError, EdgeGenreError, OutputError, UsageError
from .outputs.line_writer import stream_writer
from .outputs.text import print_message
from .system.standard_streams import flush_stdout, native_messages_dropped, open_closed_streams

__all__ = ["main"]

_FAULT, _INTERRUPTED = 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    closed = open_closed_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    with _pipe_signal_ends():
        try:
            code = _run(words, closed)
        except KeyboardInterrupt:
            code = _INTERRUPTED
        except SystemExit as leaving:  # argparse's: --help, --version, wrong use
            code = leaving.code if isinstance(leaving.code, int) else 0
        except Exception as error:
            if "--debug" in words:
                raise
            code = _print_error(error)
        full = flush_stdout()
    if isinstance(full, BrokenPipeError):
        _end_by_pipe_signal()
    elif full is not None and code == 0:
        code = _print_error(OutputError(f"standard output cannot be written ({(full.strerror or str(full)).lower()})"))
    return code


@contextlib.contextmanager
def _pipe_signal_ends() -> Iterator[None]:
    """Let ``edgegenre-run --json … | head`` end quietly, and leave the signal as it was for a caller of main."""
    if not hasattr(signal, "SIGPIPE"):
        yield
        return
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGPIPE, before)


def _end_by_pipe_signal() -> None:
    """End where the reader has left though the signal was ignored or held back: libraries for sound do that."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPIPE])
        signal.raise_signal(signal.SIGPIPE)


def _run(words: Sequence[str], closed: frozenset[str]) -> int:
    parser = argument_parser()
    options = parser.parse_args(words)
    other = options.doctor or options.list_mics or options.list or options.forget is not None
    if not (
        options.inputs or other or options.update is not None or options.mic is not None or options.learn is not None
    ):
        parser.error("nothing to classify: give a FILE, a folder, - for raw PCM on stdin, or --mic")
    mode = mode_of(options, parser)
    _check_streams(options, closed)
    with contextlib.nullcontext() if options.debug else native_messages_dropped():
        return _run_mode(mode, options, words)


def _run_mode(mode: str, options: argparse.Namespace, words: Sequence[str]) -> int:
    if mode == Mode.LIST:
        return _list_microphones()
    if options.install_service is not None:
        return _install_service(words, options)
    if mode == Mode.UPDATE:
        from .update.command import update

        return _print_lines(update(options.bundle, options.update, options.trust, options.update_ca))
    classifier, trouble = _load(options)
    if mode in (Mode.LEARN, Mode.FORGET, Mode.LEARNED):
        from .learn import forget_command, learn_command, list_command

        if mode == Mode.LEARN:
            return _print_lines(learn_command(classifier, options))
        forget = mode == Mode.FORGET
        return _print_lines(forget_command(classifier, options.forget) if forget else list_command(classifier))
    if options.embeddings:
        classifier.require_embedding()
    if options.state is not None and classifier.head is None:
        raise UsageError("--state is for a bundle with a head over windows, which this one has not: leave it out")
    if mode == Mode.DOCTOR:
        from edgegenre_runtime.system.doctor import examine

        return _print_lines(examine(classifier))
    if mode == Mode.FILES:
        from .classify_files import classify_command

        return classify_command(classifier, options)
    from .listen import listen_command

    return listen_command(classifier, options, trouble)


def _load(options: argparse.Namespace) -> tuple[GenreClassifier, str]:
    """Return the classifier, and "" or why it is that of the bundle before an update.

    A signed bundle that cannot be loaded gives way to the one before it, if a trusted key signed that.
    """
    from .signature import read_public_keys

    trust = read_public_keys(options.trust or ())

    def load(bundle: Path | None) -> GenreClassifier:
        return GenreClassifier.load(bundle, options.threads, with_personal=not options.no_personal, trust=trust)

    try:
        return load(options.bundle), ""
    except BundleError as error:
        if not trust or options.bundle is None:
            raise
        try:
            classifier = load(previous_of(_path_of(options.bundle)))
        except BundleError:
            raise error from None
        trouble = f"{error}; running the bundle before it, {classifier.bundle.root}"
        print_message(trouble, sys.stderr)
        return classifier, trouble


def _path_of(given: Path) -> Path:
    """Return the path of a bundle by path or name, even if it is not there."""
    try:
        return Path(os.path.realpath(find_bundle(given)))
    except BundleError:
        return given


def _check_streams(options: argparse.Namespace, closed: frozenset[str]) -> None:
    """Raise :class:`UsageError` where a standard stream that is needed is closed or cannot be what is asked for."""
    if PIPE in options.inputs and "stdin" in closed:
        raise UsageError("standard input is closed, so there is nothing to read from -")
    if PIPE in options.inputs and sys.stdin.isatty():
        raise UsageError("standard input is a terminal: pipe audio into  edgegenre-run -  or give a FILE")
    has_other_output = any((options.log, options.mqtt, options.http, options.save_clips))
    if "stdout" in closed and not has_other_output:
        raise UsageError("standard output is closed, so no answer can be printed: redirect it, e.g.  > answers.txt")


def _list_microphones() -> int:
    from edgegenre_runtime.live.microphone import microphones, rates_hz

    lines = []
    for info in microphones():
        rates = ", ".join(map(str, rates_hz(info))) or "none: busy, or no permission"
        lines.append(f"{info.name}  (channels: {info.channels}; rates in Hz: {rates})")
    return _print_lines(lines or ["no microphone was found"])


def _install_service(words: Sequence[str], options: argparse.Namespace) -> int:
    """Check now what would only fail when the service starts, then write the unit."""
    from edgegenre_runtime.outputs.http_page import parse_address
    from edgegenre_runtime.outputs.mqtt_address import parse_url
    from edgegenre_runtime.system.systemd_unit import install

    from .listen import analyzer_of

    if options.mqtt is not None:
        parse_url(options.mqtt)
    http_port = 0 if options.http is None else parse_address(options.http)[1]
    analyzer_of(_load(options)[0], options)
    return _print_lines(install(words, options, http_port))


def _print_lines(lines: Iterable[str]) -> int:
    writer = stream_writer(sys.stdout)
    for line in lines:
        try:
            writer.write(line + "\n")
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                _end_by_pipe_signal()
            reason = (error.strerror or str(error)).lower()
            raise OutputError(f"standard output cannot be written ({reason})") from error
    return 0


def _print_error(error: Exception) -> int:
    """Print one line; returns the exit code."""
    if isinstance(error, EdgeGenreError):
        message, code = str(error), error.exit_code
    elif isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename is not None else ""
        message, code = f"{name}{(error.strerror or str(error)).lower()}", 2
    else:
        message = f"unexpected {type(error).__name__}: {error}; run it with --debug for a traceback, and report it"
        code = _FAULT
    print_message(message, sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
