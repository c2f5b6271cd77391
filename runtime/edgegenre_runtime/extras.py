"""Optional dependencies: imported where they are used, and named with the command that installs them."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import MissingExtraError

__all__ = ["import_extra"]


def import_extra(module: str, extra: str, distribution: str | None = None) -> Any:
    """Import a module of an optional dependency.

    Parameters
    ----------
    module
        Its dotted name, e.g. ``"paho.mqtt.client"``.
    extra
        The extra of this distribution that installs it.
    distribution
        The dependency's name where it is not the module's first part, e.g. ``"paho-mqtt"``.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtraError(distribution or module.partition(".")[0], extra) from error
