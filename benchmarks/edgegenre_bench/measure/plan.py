"""Plans, ``plans/*.toml``: how much ``bench run`` measures."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from edgegenre_bench.results.json_schema import check
from edgegenre_bench.results.toml_reader import read_toml
from edgegenre_runtime.errors import DataError, UsageError

__all__ = ["Growth", "Plan", "load_plan", "plan_names"]

_FOLDER = Path(__file__).parents[1] / "plans"
_SHAPE: dict[str, Any] = {
    "warm_up": int,
    "repeats": int,
    "threads": [int],
    "stream_s": int,
    "cold_starts": int,
    "max_tracks": int,
    "growth": {"lengths_s": [int], "files": [int], "hops_frames": [int]},
}


@dataclasses.dataclass(frozen=True, slots=True)
class Growth:
    """What is varied: lengths of audio in s, numbers of files, and frames from window to window."""

    lengths_s: tuple[int, ...]
    files: tuple[int, ...]
    hops_frames: tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """One plan.

    Attributes
    ----------
    name
        Stem of its file.
    warm_up, repeats
        Runs of each stage that are thrown away, and that are kept.
    threads
        Threads of the network, one measurement each.
    stream_s
        Seconds of audio that are listened to for the real-time factor.
    cold_starts
        Fresh processes for the cold start and the memory.
    max_tracks
        Tracks of the evaluation set that are classified, taken evenly.
    growth
        What is varied to see how time and memory grow.
    """

    name: str
    warm_up: int
    repeats: int
    threads: tuple[int, ...]
    stream_s: int
    cold_starts: int
    max_tracks: int
    growth: Growth


def plan_names() -> list[str]:
    """Return the names of all plans, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_plan(name: str) -> Plan:
    """Read a plan; raises :class:`UsageError` for an unknown name, :class:`DataError` for a file that is wrong."""
    if name not in plan_names():
        raise UsageError(f"plan {name!r} is unknown; there are: {', '.join(plan_names())}")
    content = read_toml(_FOLDER / f"{name}.toml")
    check(content, _SHAPE, f"{name}.toml")
    growth = Growth(**{key: tuple(values) for key, values in content.pop("growth").items()})
    plan = Plan(name, **(content | {"threads": tuple(content["threads"])}), growth=growth)
    if min(plan.repeats, plan.cold_starts, plan.stream_s, plan.max_tracks, *plan.threads) < 1 or plan.warm_up < 0:
        raise DataError(f"{name}.toml: repeats, cold_starts, stream_s, max_tracks and threads must be at least 1")
    return plan
