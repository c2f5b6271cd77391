"""The shape of a TOML or JSON document, said as a value of the same shape, and a check of documents against it.

::

    str, int, float, bool     a value of this type (an int is a float too)
    None                      null
    (a, b)                    one of several
    [a]                       a list of a
    {"key": a, "more?": b}    an object with these keys and no other; one with ``?`` may be missing
    {str: a}                  an object with any keys
"""

from __future__ import annotations

import math
from typing import Any

from edgegenre_runtime.errors import DataError

__all__ = ["check"]

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", None: "null"}


def check(value: Any, shape: Any, where: str) -> None:
    """Raise :class:`DataError` naming the place, beginning with ``where``, where ``value`` has another shape."""
    if isinstance(shape, tuple):
        _check_one_of(value, shape, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise DataError(f"{where}: must be a list")
        for index, item in enumerate(value):
            check(item, shape[0], f"{where}[{index}]")
    elif isinstance(shape, dict):
        _check_object(value, shape, where)
    elif not _is(value, shape):
        raise DataError(f"{where}: must be {_NAMES[shape]}, not {value!r}")


def _is(value: Any, shape: type | None) -> bool:
    if shape is None:
        return value is None
    if shape is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is shape


def _check_one_of(value: Any, shapes: tuple[Any, ...], where: str) -> None:
    errors = []
    for shape in shapes:
        try:
            return check(value, shape, where)
        except DataError as error:
            errors.append(error)
    raise errors[0] if value is not None else errors[-1]


def _check_object(value: Any, shape: dict[Any, Any], where: str) -> None:
    if not isinstance(value, dict):
        raise DataError(f"{where}: must be an object with keys")
    if str in shape:
        for key, item in value.items():
            check(item, shape[str], f"{where}.{key}")
        return
    known = {key.removesuffix("?"): key for key in shape}
    for key in value:
        if key not in known:
            raise DataError(f"{where}: unknown key {key!r}; there are: {', '.join(sorted(known))}")
    for key, written in known.items():
        if key in value:
            check(value[key], shape[written], f"{where}.{key}")
        elif not written.endswith("?"):
            raise DataError(f"{where}: {key!r} is missing")
