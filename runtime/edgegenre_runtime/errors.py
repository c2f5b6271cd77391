"""The one error tree of edgegenre.

::

    EdgeGenreError                 everything that this project raises on purpose; the CLI prints it and exits 2
    ├── UsageError                 an option or argument outside what is allowed
    ├── SpecError                  a front-end specification that is unknown, invalid or does not match
    ├── AudioError                 an audio file or stream that cannot be read
    ├── MicrophoneError            a microphone, or the library that opens it, that is not there, busy or gone
    ├── OutputError                standard output, where it cannot be written
    ├── DataError                  a data set, split, feature cache or music library that cannot be used
    ├── CheckpointError            a checkpoint that is missing, damaged or of another version
    ├── BundleError                a bundle that is missing, damaged, of another version or another spec
    ├── ExportError                a model that could not be exported or is not what it should be
    │   └── GateError              an export that does not answer as the trained network: exits 3
    └── MissingExtraError          an optional dependency that is not installed

A message says what was given, what is allowed and what to do, on one line.
"""

from __future__ import annotations

import os
import sys

__all__ = [
    "AudioError",
    "BundleError",
    "CheckpointError",
    "DataError",
    "EdgeGenreError",
    "ExportError",
    "GateError",
    "MicrophoneError",
    "MissingExtraError",
    "OutputError",
    "SpecError",
    "UsageError",
    "install_command",
]


class EdgeGenreError(Exception):
    """Base of every error that edgegenre raises on purpose; ``exit_code`` is the command line's."""

    exit_code = 2


class UsageError(EdgeGenreError):
    """An option or argument outside what is allowed."""


class SpecError(EdgeGenreError):
    """A front-end specification that is unknown, invalid or does not match."""


class AudioError(EdgeGenreError):
    """An audio file or stream that cannot be read."""


class MicrophoneError(EdgeGenreError):
    """A microphone, or the library that opens it, that is not there, busy or gone."""


class OutputError(EdgeGenreError):
    """Standard output, where it cannot be written."""


class DataError(EdgeGenreError):
    """A data set, manifest, split, feature cache or library's database that cannot be used."""


class CheckpointError(EdgeGenreError):
    """A checkpoint that is missing, damaged or of another version."""


class BundleError(EdgeGenreError):
    """A bundle that is missing, damaged, of another version or of another spec."""


class ExportError(EdgeGenreError):
    """A model that could not be exported, or whose export is not what it should be."""


class GateError(ExportError):
    """An export that does not answer as the trained network does, and is therefore not published."""

    exit_code = 3


class MissingExtraError(EdgeGenreError):
    """An optional dependency that is not installed.

    Parameters
    ----------
    module
        The module that could not be imported, e.g. ``"torch"``.
    extra
        The extra of this distribution that brings it, e.g. ``"train"``.
    """

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(f"this needs {module}, which is not installed: run  {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that adds an extra of this distribution: pipx's where pipx made the environment."""
    is_pipx = os.path.isfile(os.path.join(sys.prefix, "pipx_metadata.json"))
    return f"{'pipx install --force' if is_pipx else 'pip install'} 'edgegenre[{extra}]'"
