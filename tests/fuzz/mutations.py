"""Seeded damage to bytes, to text and to JSON documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["mutate_bytes", "mutate_json", "mutate_text"]

Rng = np.random.Generator
_INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)
_TOKENS = (
    '"',
    ",",
    ";",
    "=",
    "\n",
    "\r",
    "\0",
    "\x1b[2J",
    "\ufeff",
    "nan",
    "-1",
    "1e999",
    "9" * 5000,
    "../..",
    "[" * 3000,
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "x", "nan", "../../etc", "/", "\0", "\n", "\ud800", "\x1b[31m", "é", "x" * 70000, b"".decode()),
    *([], {}, [[]], [0], ["x"], [1e400], {"": None}, {"x": {}}),
)


def mutate_bytes(data: bytes, rng: Rng) -> bytes:
    """Return ``data`` with one to four places changed, cut, doubled, zeroed or overwritten."""
    content = bytearray(data)
    operations: Sequence[Callable[[bytearray, int, Rng], None]] = (
        _flip,
        _overwrite_byte,
        _overwrite_integer,
        _overwrite_integer,
        _truncate,
        _delete,
        _double,
        _insert,
        _zero,
    )
    for _ in range(int(rng.integers(1, 5))):
        if content:
            at = int(rng.integers(len(content)))
            if rng.random() < 0.5:
                at = min(at, int(rng.integers(1, 200)))  # headers stand at the start
            operations[rng.integers(len(operations))](content, min(at, len(content) - 1), rng)
    return bytes(content)


def _flip(content: bytearray, at: int, rng: Rng) -> None:
    content[at] ^= 1 << int(rng.integers(8))


def _overwrite_byte(content: bytearray, at: int, rng: Rng) -> None:
    content[at] = int(rng.integers(256))


def _overwrite_integer(content: bytearray, at: int, rng: Rng) -> None:
    size = int(rng.choice((2, 4, 8)))
    value = _INTEGERS[rng.integers(len(_INTEGERS))] % 2 ** (8 * size)
    order = "little" if rng.random() < 0.5 else "big"
    content[at : at + size] = value.to_bytes(size, order)  # type: ignore[arg-type]


def _length(rng: Rng) -> int:
    return int(2 ** rng.uniform(0, 12))


def _truncate(content: bytearray, at: int, rng: Rng) -> None:
    del content[at:]


def _delete(content: bytearray, at: int, rng: Rng) -> None:
    del content[at : at + _length(rng)]


def _double(content: bytearray, at: int, rng: Rng) -> None:
    content[at:at] = content[at : at + _length(rng)]


def _insert(content: bytearray, at: int, rng: Rng) -> None:
    content[at:at] = rng.bytes(_length(rng) // 8 + 1)


def _zero(content: bytearray, at: int, rng: Rng) -> None:
    end = min(len(content), at + _length(rng))
    content[at:end] = bytes(end - at)


def mutate_text(text: str, rng: Rng) -> bytes:
    """Return a text with tokens that trip parsers put in, in UTF-8 or another encoding, or with bytes changed."""
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(text) + 1))
        text = text[:at] + _TOKENS[rng.integers(len(_TOKENS))] + text[at + int(rng.integers(0, 3)) :]
    encoding = str(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16", "latin-1")))
    content = text.encode(encoding, "replace")
    return mutate_bytes(content, rng) if rng.random() < 0.3 else content


def mutate_json(document: Any, rng: Rng) -> bytes:
    """Return a JSON document with one to three of its values, keys or items exchanged, removed or added."""
    document = copy.deepcopy(document)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(document))
        if not places:
            break
        holder, key = places[rng.integers(len(places))]
        choice = rng.random()
        value = copy.deepcopy(_VALUES[rng.integers(len(_VALUES))])
        if choice < 0.6:
            holder[key] = value
        elif choice < 0.75:
            del holder[key]
        elif choice < 0.85 and isinstance(holder, dict):
            holder[str(value)[:100]] = holder[key]
        elif isinstance(holder, list):
            holder.insert(key, value)
        else:
            other, at = places[rng.integers(len(places))]
            holder[key] = copy.deepcopy(other[at])
    text = json.dumps(document)
    return mutate_text(text, rng) if rng.random() < 0.1 else text.encode()


def _places(node: Any) -> Any:
    """Yield every (holder, key) of a document, long lists thinned."""
    keys = list(node) if isinstance(node, dict) else range(0, len(node), max(1, len(node) // 8))
    for key in keys:
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])
