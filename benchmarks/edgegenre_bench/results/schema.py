"""Documents against their JSON Schema, ``schemas/*.schema.json``; the library for it comes with the extra ``bench``."""

from __future__ import annotations

import functools
import importlib.util
import json
import math
from importlib.resources import files
from typing import Any

from edgegenre_runtime.errors import DataError, MissingExtraError

__all__ = ["validate", "validate_packaged"]

_MAX_CHARACTERS = 300


def validate(document: Any, schema: str, where: str, definition: str = "") -> None:
    """Check a document.

    Parameters
    ----------
    document
        As read from JSON or TOML.
    schema
        ``result``, ``device`` or ``plan``.
    where
        What the message begins with, the name of a file for instance.
    definition
        Name in the schema's ``$defs``; the whole schema if empty.

    Raises
    ------
    DataError
        If the document does not fit; the message names the place in it.
    MissingExtraError
        If jsonschema is not installed.
    """
    try:
        import jsonschema
    except ModuleNotFoundError as error:
        raise MissingExtraError("jsonschema", "bench") from error
    content = _schema(schema)
    if definition:
        content = {"$ref": f"#/$defs/{definition}", "$defs": content["$defs"]}
    try:
        fault = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(content).iter_errors(document))
    except RecursionError:
        raise DataError(f"{where}: is nested too deeply") from None
    if fault is not None:
        raise DataError(f"{where}{_path(fault.absolute_path)}: {fault.message[:_MAX_CHARACTERS]}")
    if (path := _not_finite(document)) is not None:  # which JSON Schema's numbers let through
        raise DataError(f"{where}{_path(path)}: must be a finite number")


def validate_packaged(document: Any, schema: str, where: str) -> None:
    """Check a document that the package brings, where jsonschema is there; without it take it as CI has tested it."""
    if importlib.util.find_spec("jsonschema") is not None:
        validate(document, schema, where)


@functools.cache
def _schema(name: str) -> dict[str, Any]:
    text = files(__package__).joinpath(f"schemas/{name}.schema.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _path(keys: Any) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{str(key)[:_MAX_CHARACTERS]}" for key in keys)


def _not_finite(value: Any, path: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """Return the place of a number that is infinite or not a number, or None."""
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for key, item in items if (found := _not_finite(item, (*path, key))) is not None), None)
