"""Whether a new bundle works on this device, tried in a process of its own: a crash or a hang is an answer too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgegenre_runtime.errors import BundleError, EdgeGenreError

__all__ = ["try_bundle"]

_LIMIT_S = 900
_FAULT = 1


def try_bundle(folder: Path, trust: Sequence[Path]) -> None:
    """Replay the golden vectors and classify the golden music, in a process of its own.

    Parameters
    ----------
    folder
        The bundle.
    trust
        Files of the trusted public keys.

    Raises
    ------
    BundleError
        If anything differs, fails, crashes or hangs; the message says what.
    """
    command = [sys.executable, "-m", __name__, str(folder), *map(str, trust)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_LIMIT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"the new bundle hangs on this device ({_LIMIT_S} s): nothing was changed") from error
    except OSError as error:
        raise BundleError(f"the new bundle could not be tried ({(error.strerror or str(error)).lower()})") from error
    if done.returncode == 0:
        return
    said = done.stdout.decode("utf-8", "replace").strip().splitlines()
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    raise BundleError(
        f"the new bundle does not work on this device ({said[-1] if said else ended}): nothing was changed"
    )


def main(arguments: Sequence[str]) -> int:
    """Try a bundle; prints why it does not work."""
    from edgegenre_runtime.network.classifier import GenreClassifier
    from edgegenre_runtime.network.golden import read_golden
    from edgegenre_runtime.network.verify import verify
    from edgegenre_runtime.signature import read_public_keys

    folder, trust = Path(arguments[0]), read_public_keys([Path(path) for path in arguments[1:]])
    try:
        different = [check for check in verify(folder, trust) if not check.is_ok]
        classifier = GenreClassifier.load(folder, trust=trust)
        for pcm in read_golden(classifier.bundle)["pcm"]:
            list(classifier.stream([pcm]))
    except EdgeGenreError as error:
        print(error)  # noqa: T201  # the parent's message
        return _FAULT
    if different:
        print("; ".join(f"{check.what}: {check.found}" for check in different))  # noqa: T201
    return _FAULT if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
