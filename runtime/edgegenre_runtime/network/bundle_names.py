"""Bundles by name: the ones that ship inside the package, and the user's own in one folder."""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path

from edgegenre_runtime.errors import BundleError

__all__ = ["default_bundle", "find_bundle", "installed_bundles", "previous_of", "user_folder"]

_MANIFEST = "manifest.json"
_FOLDER = "EDGEGENRE_BUNDLES"


def default_bundle() -> Path:
    """Return the folder of the bundle that ships with the package and is used where none is given."""
    return _package() / "default"


def user_folder() -> Path:
    """Return the folder of the user's bundles: ``$EDGEGENRE_BUNDLES``, else ``edgegenre/bundles`` in their data folder.

    The data folder is ``$XDG_DATA_HOME``, else ``~/.local/share`` (XDG Base Directory Specification).
    """
    if named := os.environ.get(_FOLDER):
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME", "")
    return Path(data if os.path.isabs(data) else os.path.expanduser("~/.local/share")) / "edgegenre" / "bundles"


def installed_bundles() -> dict[str, Path]:
    """Return every bundle that has a name, by name: folders with a manifest, and ``.zip`` files of the user's folder.

    A name that ships with the package stands for that bundle, whatever the user's folder holds.
    """
    found: dict[str, Path] = {}
    for folder in (user_folder(), _package()):
        try:
            entries = sorted(os.listdir(folder))
        except (OSError, ValueError):
            continue
        for entry in entries:
            if os.path.exists(folder / entry / _MANIFEST):
                found[entry] = folder / entry
            elif entry.endswith(".zip") and folder != _package():
                found.setdefault(entry.removesuffix(".zip"), folder / entry)
    return dict(sorted(found.items()))


def find_bundle(given: Path | str | None) -> Path:
    """Return the path of a bundle that is given by path or by name; none given is the default.

    A path that exists is taken, so that ``./accurate`` and a bundle ``accurate`` of the current folder are what they
    seem; a folder without a manifest is no reason not to look for the name.

    Raises
    ------
    BundleError
        If it is a plain name, and neither a path nor one of :func:`installed_bundles`.
    """
    if given is None:
        return default_bundle()
    path, name = Path(given), str(given)
    if name != path.name or path.suffix == ".zip" or os.path.exists(path / _MANIFEST) or os.path.isfile(path):
        return path
    names = installed_bundles()
    if name in names:
        return names[name]
    if os.path.isdir(path):
        return path  # what it lacks is said by who reads it
    raise BundleError(
        f"bundle {name} does not exist, and none of that name is installed; there are: {', '.join(names)}. Give one of "
        f"these or a path, or put it into {user_folder()}"
    )


def previous_of(root: Path) -> Path:
    """Return where the bundle before an update is kept: ``NAME.previous`` beside it."""
    return root.with_name(root.name + ".previous")


def _package() -> Path:
    return Path(str(importlib.resources.files("edgegenre_runtime")))
