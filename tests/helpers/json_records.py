"""The published JSON schema of ``edgegenre-run``'s lines, and a check of lines against it."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterable
from typing import Any

import jsonschema

SCHEMA = json.loads((importlib.resources.files("edgegenre_runtime.outputs") / "records.schema.json").read_text("utf-8"))
_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def valid_records(lines: Iterable[str | bytes]) -> list[dict[str, Any]]:
    """Parse JSON lines, each of which must be as the schema says."""
    records = [json.loads(line) for line in lines]
    for record in records:
        _VALIDATOR.validate(record)
    return records
