"""A result for people: a table for the terminal, and one HTML page with plots that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgegenre.page import Block, Image, ImageRow, Table, Text, Title, escape_marks, to_html
from edgegenre_runtime.atomic_write import written_beside

from .budget import spent_on
from .plots import growth_png, stages_png

__all__ = ["format_result", "write_page"]

_Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""Title, heads, rows."""


def _stage_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    yardstick_ms = next(row["min_ms"] for row in result["stages"] if row["stage"] == "yardstick")
    return [
        (
            row["stage"].replace("_", " "),
            str(row["threads"]),
            *(f"{row[key]:.3f}" for key in ("min_ms", "p50_ms", "p90_ms", "p99_ms")),
            f"{row['min_ms'] / yardstick_ms:.2f}",
        )
        for row in result["stages"]
    ]


def _tables(result: dict[str, Any]) -> list[_Table]:
    stream, cold = result["stream"], result["cold_start"]
    facts: list[tuple[str, ...]] = [
        ("windows per second, one thread", f"{result['windows_per_s']:.1f}"),
        ("real-time factor, listening", f"{stream['real_time_factor']:.5f} over {stream['audio_s']:.0f} s"),
        ("cold start to the first answer", f"{cold['first_answer_ms']:.0f} ms, median of {cold['processes']}"),
        ("imports, then loading the bundle", f"{cold['imports_ms']:.0f} ms, {cold['load_ms']:.0f} ms"),
        ("largest resident memory", f"{result['rss_mb']:.1f} MB"),
        ("multiply-adds per window", f"{result['bundle']['macs'] / 1e6:.1f} million"),
    ]
    files = result["bundle"]["files"]
    facts += [(name, f"{files[name] / 1e3:.1f} kB") for name in files if name.startswith("model_")]
    golden = result["golden"]
    facts.append(
        (
            "golden vectors",
            f"{golden['mel_differs']} front-end values differ, logits by {golden['network_max_lsb']} LSB",
        )
    )
    if (accuracy := result["accuracy"]) is not None:
        low, high = accuracy["track_accuracy_95"]
        words = f"{accuracy['track_accuracy']:.4f} of {accuracy['n_tracks']} tracks (95 % {low:.3f} to {high:.3f})"
        facts.append((f"accuracy on {accuracy['data']}, {accuracy['part']}", words))
    states = [(key, *(_word(result[when][key]) for when in ("before", "after"))) for key in result["before"]]
    stages: _Table = (
        f"Time per window of {result['bundle']['window_s']:.2f} s, ms; the yardstick is fixed NumPy work",
        ("stage", "threads", "fastest", "p50", "p90", "p99", "fastest in yardsticks"),
        _stage_rows(result),
    )
    return [
        stages,
        ("Cost and quality", ("what", "value"), facts),
        ("Budget", ("what", "value", "allowed", "met"), _budget_rows(result)),
        ("State of the machine", ("what", "before", "after"), states),
        *_peer_tables(result),
    ]


def _word(value: Any) -> str:
    return "not readable" if value is None else str(value)


def _budget_rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (row.what, f"{row.value:.4g}", f"{row.allowed:g}", "yes" if row.is_met else "NO") for row in spent_on(result)
    ]


def _peer_tables(result: dict[str, Any]) -> list[_Table]:
    if not result["peers_ms"]:
        return []
    ours = result["peers_ms"][0]
    rows = [
        (
            row["name"],
            *(f"{row[key]:.3f}" for key in ("mel", "network", "window")),
            f"{row['window'] / row['audio_s']:.3f}",
            f"{row['window'] / row['audio_s'] * ours['audio_s'] / ours['window']:.2f}",
        )
        for row in result["peers_ms"]
    ]
    title = "Alternatives, in turn in the same process, fastest of all rounds in ms, one thread"
    return [(title, ("pipeline", "mel", "network", "window", "per second of audio", "times edgegenre's"), rows)]


def format_result(result: dict[str, Any]) -> str:
    """Return a measured result as aligned text."""
    machine = result["machine"]
    lines = [f"{machine['model'] or machine['cpu']}, {machine['cores']} cores, {machine['architecture']}, "]
    lines[0] += f"front-end {result['versions']['frontend']}, bundle {result['bundle']['id'][:12]}"
    for title, heads, rows in _tables(result):
        widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
        lines += ["", f"{title}:"]
        lines += ["  " + _aligned(row, widths) for row in [heads, *rows]]
    return "\n".join(lines)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
    return "  ".join(cells).rstrip()


def _plots(result: dict[str, Any]) -> list[Image]:
    """Return each plot with its title."""
    times = [
        (f"{row['stage'].replace('_', ' ')}, {row['threads']} thr", row["p50_ms"], row["p99_ms"])
        for row in result["stages"]
        if row["stage"] != "yardstick"
    ]
    plots = [Image("Time per window: p50, and p99 as a mark", stages_png(times))]
    axes = {
        "length_s": ("length of the audio, s", "Growth with the length of the audio"),
        "files": ("files of 10 s", "Growth with the number of files"),
        "hop_frames": ("frames from window to window", "Growth with the window hop"),
    }
    for axis, (label, title) in axes.items():
        rows = [row for row in result["growth"] if row["axis"] == axis]
        if rows:
            series = {
                "time, s": [(row["value"], max(row["wall_s"], 1e-6)) for row in rows],
                "memory, MB": [(row["value"], row["rss_mb"]) for row in rows],
            }
            plots.append(Image(title, growth_png(series, label)))
    return plots


def write_page(result: dict[str, Any], path: Path) -> None:
    """Write a measured result as one HTML page; raises :class:`DataError` if it cannot be written."""
    title = f"edgegenre bench: {result['device'] or 'a machine without profile'}"
    facts = {**result["machine"], **result["versions"]}
    blocks: list[Block] = [
        Title(1, escape_marks(title)),
        Text(f"`{result['command']}`, {escape_marks(result['created_at'])}"),
        *(block for table in _tables(result) for block in _blocks(table)),
        Title(2, "Plots"),
        ImageRow(_plots(result)),
        *_blocks(("Machine and versions", ("what", "value"), [(key, _word(value)) for key, value in facts.items()])),
    ]
    with written_beside(path) as handle:
        handle.write(to_html(title, blocks).encode())


def _blocks(table: _Table) -> list[Block]:
    title, heads, rows = table
    cells = [[escape_marks(cell) for cell in row] for row in rows]
    return [Title(2, escape_marks(title)), Table(heads, cells, numeric=True)]
