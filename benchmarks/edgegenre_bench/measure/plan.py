"""Plans, ``plans/*.toml``: how much ``bench run`` measures."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from edgegenre_bench.results.schema import validate_packaged
from edgegenre_bench.results.toml_reader import read_toml
from edgegenre_runtime.errors import UsageError

__all__ = ["Growth", "Plan", "load_plan", "plan_names"]

_FOLDER = Path(__file__).parents[1] / "plans"


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
        Runs of each stage that are discarded, and that are measured.
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
    """Read a plan; raises :class:`UsageError` for an unknown name, :class:`DataError` for a file out of shape."""
    if name not in plan_names():
        raise UsageError(f"plan {name!r} is unknown; there are: {', '.join(plan_names())}")
    content = read_toml(_FOLDER / f"{name}.toml")
    validate_packaged(content, "plan", f"{name}.toml")
    growth = Growth(**{key: tuple(values) for key, values in content.pop("growth").items()})
    return Plan(name, **(content | {"threads": tuple(content["threads"])}), growth=growth)
