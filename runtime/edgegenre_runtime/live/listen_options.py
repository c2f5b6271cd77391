"""The options of listening to a microphone or a pipe."""

from __future__ import annotations

import argparse

from edgegenre_runtime.errors import UsageError

__all__ = ["EXIT_LOST", "add_options", "is_live"]

EXIT_LOST = 3
"""Exit code where the microphone is missing or gone and ``--no-retry`` was given."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of listening."""
    add = parser.add_argument_group("listening", "to a microphone, or to - with --every").add_argument
    add("--mic", nargs="?", const="", metavar="NAME", help="listen to the microphone with NAME in its name, or any")
    add("--list-mics", action="store_true", help="name the microphones and the rates that they have")
    add("--every", type=float, metavar="SECONDS", help="time from one answer to the next (default: 1)")
    add("--smooth", type=float, metavar="SECONDS", help="time constant of the smoothing, 0 for none (default: 5)")
    add("--no-retry", action="store_true", help=f"exit with code {EXIT_LOST} where the microphone is missing or gone")
    add("--mqtt", metavar="URL", help="publish to mqtt://[user[:password]@]host[:port][/topic], mqtts:// for TLS")
    add("--http", metavar="[HOST]:PORT", help="status page and /metrics; for this machine alone unless HOST is given")
    add("--log", metavar="FILE", help="append JSON lines to FILE, rotated at 8 MiB")
    add(
        "--save-clips", metavar="DIR", help="keep the audio at each change of genre, 100 clips at most (default: never)"
    )
    add(
        "--install-service",
        nargs="?",
        const="/etc/systemd/system/edgegenre.service",
        metavar="FILE",
        help="write a systemd unit that runs with the other options given (default: %(const)s; - prints it)",
    )


def is_live(options: argparse.Namespace) -> bool:
    """Whether the options ask for listening.

    Raises
    ------
    UsageError
        If they contradict each other.
    """
    if options.mic is not None:
        if options.inputs:
            raise UsageError("--mic listens to a microphone and takes no FILE: give one or the other")
        return True
    only_live = {
        name: getattr(options, name.replace("-", "_"))
        for name in ("every", "smooth", "no-retry", "mqtt", "http", "log", "save-clips")
    }
    given = [f"--{name}" for name, value in only_live.items() if value is not None and value is not False]
    if given and options.inputs != ["-"]:
        raise UsageError(f"{given[0]} is for listening: add --mic, or - for raw PCM on stdin")
    return bool(given)
