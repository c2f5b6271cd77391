"""Two results of one board: which figures became worse by more than is allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.inspect.markdown import markdown_table

from .budget import spent_on
from .result import MODEL, stage_of

__all__ = ["Allowed", "Change", "compare_results", "format_changes"]


@dataclasses.dataclass(frozen=True, slots=True)
class Allowed:
    """How much worse a figure may be.

    Attributes
    ----------
    slower
        Share by which the time of a stage's fastest run may grow. Times are divided by the yardstick's, fixed work
        timed in the same run.
    more_instructions
        Share by which counted instructions may grow.
    larger
        Share by which memory and the model's file may grow.
    accuracy_drop
        Points of track accuracy, 0 to 1, that may be lost.
    """

    slower: float = 0.25
    more_instructions: float = 0.02
    larger: float = 0.1
    accuracy_drop: float = 0.01


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A figure of two results: what it is, its value in each as text, and whether it is a regression."""

    what: str
    before: str
    after: str
    is_regression: bool


def compare_results(base: dict[str, Any], other: dict[str, Any], allowed: Allowed = Allowed()) -> list[Change]:
    """Compare two results of the same kind and device.

    Raises
    ------
    UsageError
        If they are of another kind or device, which says nothing of a regression, or hold no figures of a board.
    """
    for key in ("kind", "device"):
        if base[key] != other[key]:
            raise UsageError(f"one result has {key} {base[key]!r}, the other {other[key]!r}: they cannot be compared")
    if base["kind"] == "parity":
        raise UsageError("these are results of  bench parity;  bench run  and  bench emulate  make those to compare")
    changes = [*_bits(base, other), *_sizes(base, other, allowed)]
    if base["kind"] == "measured":
        changes += [*_times(base, other, allowed), *_accuracy(base, other, allowed)]
    else:
        changes += [*_counts(base, other, allowed), *_parity(base, other)]
    return [*changes, *_budgets(base, other)]


def _bits(base: dict[str, Any], other: dict[str, Any]) -> Iterator[Change]:
    a, b = base["golden"], other["golden"]
    yield Change(
        "golden front-end values that differ", str(a["mel_differs"]), str(b["mel_differs"]), b["mel_differs"] > 0
    )
    yield Change(
        "golden logits, largest difference",
        f"{a['network_max_lsb']} LSB",
        f"{b['network_max_lsb']} LSB",
        b["network_max_lsb"] > 1,
    )
    if base["bundle"]["id"] == other["bundle"]["id"]:
        is_other = a["mel_digest"] != b["mel_digest"]
        yield Change("front-end bits", a["mel_digest"][:12], b["mel_digest"][:12], is_other)
        outputs = [np.array(golden["outputs"], int) for golden in (a, b)]
        same_shape = outputs[0].shape == outputs[1].shape
        largest = int(np.abs(outputs[0] - outputs[1]).max()) if same_shape else 255
        yield Change("network's answers between the two", "", f"{largest} LSB", largest > 1)


def _grown(what: str, before: float, after: float, share: float, unit: str) -> Change:
    words = [f"{value:.4g} {unit}".rstrip() for value in (before, after)]
    return Change(what, words[0], f"{words[1]} ({after / before - 1:+.1%})", after > before * (1 + share))


def _sizes(base: dict[str, Any], other: dict[str, Any], allowed: Allowed) -> Iterator[Change]:
    before, after = (result["bundle"]["files"][MODEL] / 1e3 for result in (base, other))
    yield _grown(MODEL, before, after, allowed.larger, "kB")
    if base["kind"] == "measured":
        yield _grown("largest resident memory", base["rss_mb"], other["rss_mb"], allowed.larger, "MB")


def _times(base: dict[str, Any], other: dict[str, Any], allowed: Allowed) -> Iterator[Change]:
    yards = [stage_of(result, "yardstick") for result in (base, other)]
    if None in yards:
        raise UsageError("a result has no yardstick among its stages: measure again")
    yard_a, yard_b = (yard["min_ms"] for yard in yards if yard is not None)
    for a in base["stages"]:
        b = stage_of(other, a["stage"], a["threads"])
        if a["stage"] != "yardstick" and b is not None:
            what = f"{a['stage'].replace('_', ' ')}, {a['threads']} threads"
            yield _grown(what, a["min_ms"] / yard_a, b["min_ms"] / yard_b, allowed.slower, "yardsticks")


def _accuracy(base: dict[str, Any], other: dict[str, Any], allowed: Allowed) -> Iterator[Change]:
    a, b = base["accuracy"], other["accuracy"]
    if a is None or b is None or a["data_id"] != b["data_id"]:
        return
    before, after = a["track_accuracy"], b["track_accuracy"]
    is_worse = after < before - allowed.accuracy_drop
    yield Change(f"accuracy on {a['data']}, {a['part']}", f"{before:.4f}", f"{after:.4f}", is_worse)


def _counts(base: dict[str, Any], other: dict[str, Any], allowed: Allowed) -> Iterator[Change]:
    later = {row["stage"]: row["instructions"] for row in other["counts"]}
    for row in base["counts"]:
        if row["stage"] in later:
            share, after = allowed.more_instructions, later[row["stage"]] / 1e6
            yield _grown(f"{row['stage'].replace('_', ' ')}", row["instructions"] / 1e6, after, share, "million instr.")


def _parity(base: dict[str, Any], other: dict[str, Any]) -> Iterator[Change]:
    for key, most in (("frontend_differs", 0), ("network_max_lsb", 1), ("top1_differs", 0)):
        before, after = base["parity"][key], other["parity"][key]
        yield Change(f"parity: {key.replace('_', ' ')}", str(before), str(after), after > most)


def _budgets(base: dict[str, Any], other: dict[str, Any]) -> Iterator[Change]:
    before = {row.what: row for row in spent_on(base)}
    for row in spent_on(other):
        is_lost = before[row.what].is_met and not row.is_met
        was, now = (f"{one.value:.4g} of {one.allowed:g}" for one in (before[row.what], row))
        yield Change(f"budget: {row.what}", was, now, is_lost)


def format_changes(name: str, changes: Sequence[Change]) -> str:
    """Return the changes as a Markdown table, regressions marked."""
    rows = ((row.what, row.before, row.after, "**regression**" if row.is_regression else "") for row in changes)
    n = sum(row.is_regression for row in changes)
    return f"{markdown_table((name, 'before', 'after', ''), rows)}\n\n{n} regression{'' if n == 1 else 's'}"
