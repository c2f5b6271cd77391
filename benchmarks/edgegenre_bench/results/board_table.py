"""The boards × models matrix of docs/boards.md and its short form in README, from ``devices/results/*.json``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.inspect.markdown import markdown_table
from edgegenre_runtime.network.bundle import Bundle

from .budget import spent_on
from .device_profiles import device_names, devices_folder, load_device
from .parity_table import format_table
from .result import bundle_id, read_result, stage_of

__all__ = ["format_report", "format_sections", "read_results", "stale_results"]

_SHORT = ("rpizero2w", "rpi4", "rpi5", "android-arm64", "cortex-m55", "x86-64")


def read_results(folder: Path | None = None) -> list[dict[str, Any]]:
    """Read every result of a folder, ``devices/results`` by default, sorted by file name."""
    folder = devices_folder() / "results" if folder is None else folder
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: is not a folder of results")
    return [read_result(path) for path in sorted(folder.glob("*.json"))]


def format_report(results: Sequence[dict[str, Any]], bundle: Bundle, *, is_whole: bool = True) -> str:
    """Return the matrix, the peers, the limit and the parity as Markdown.

    Parameters
    ----------
    results
        What :func:`read_results` returned.
    bundle
        The shipped one; results of another are marked.
    is_whole
        Whether these are all results, so that devices without one are named.
    """
    boards = [result for result in results if result["kind"] != "parity"]
    suites = [_suite(result) for result in results if result["kind"] == "parity"]
    absent = _absent(boards) if is_whole else ""
    tables = [
        _matrix(boards, bundle),
        absent,
        _engine(boards),
        _peers(boards),
        _limits(boards),
        _parity(boards),
        *suites,
    ]
    return "\n\n".join(table for table in tables if table)


def format_sections(results: Sequence[dict[str, Any]], bundle: Bundle, *, is_whole: bool = True) -> dict[str, str]:
    """Return the report and its short form, six boards in four columns, by the names of their marks in a page."""
    return {
        "edgegenre bench report": format_report(results, bundle, is_whole=is_whole),
        "edgegenre bench report, short": _short(results),
    }


def _short(results: Sequence[dict[str, Any]]) -> str:
    by_device = {result["device"]: result for result in results if result["kind"] != "parity"}
    rows = []
    for result in (by_device[name] for name in _SHORT if name in by_device):
        is_measured = result["kind"] == "measured"
        how, (_, _, window, factor, _) = (_measured if is_measured else _emulated)(result)
        how = "measured, p50" if is_measured else how.split(";")[0]
        factor = factor.split(",")[0] + ("" if is_measured else ", an estimate")
        rows.append((load_device(result["device"]).title, window, factor, how))
    return markdown_table(("board", "a window, PCM to answer", "real-time factor", "how"), rows)


def _model(result: dict[str, Any], bundle: Bundle) -> str:
    about = result["bundle"]
    name = f"{about['model']} {about['recipe']}, {about['macs'] / 1e6:.0f} MMAC"
    return name if about["id"] == bundle_id(bundle) else f"{name} (another bundle, {about['id'][:8]})"


def _matrix(results: Sequence[dict[str, Any]], bundle: Bundle) -> str:
    heads = ("board", "network", "how", "mel", "network", "window", "real-time factor", "memory", "budget")
    rows = []
    for result in results:
        title = load_device(result["device"]).title if result["device"] else "a machine without profile"
        how, figures = (_measured if result["kind"] == "measured" else _emulated)(result)
        missed = [f"{row.what}: {row.value:.3g} of {row.allowed:g}" for row in spent_on(result) if not row.is_met]
        met = "met" if not missed else f"**missed**: {'; '.join(missed)}"
        if result["kind"] == "emulated":
            met += " (by estimate)"
        rows.append([title, _model(result, bundle), how, *figures, met])
    return markdown_table(heads, rows)


def _absent(results: Sequence[dict[str, Any]]) -> str:
    """Return a sentence on the devices that were never measured; an emulated one was not."""
    measured = {result["device"] for result in results if result["kind"] == "measured"}
    absent = [load_device(name).title for name in sorted(set(device_names()) - measured)]
    return f"Never run on the real thing: {', '.join(absent)}." if absent else ""


def _measured(result: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    times = [stage_of(result, stage) for stage in ("mel", "network", "end_to_end")]
    words = [f"{row['p50_ms']:.2f} ms" if row is not None else "" for row in times]
    factor = f"{result['stream']['real_time_factor']:.5f}"
    return f"measured, plan {result['plan']}, p50", (*words, factor, f"{result['rss_mb']:.0f} MB")


def _emulated(result: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    counts = {row["stage"]: row["instructions"] for row in result["counts"]}
    words = [
        f"{counts[stage] / 1e6:.1f} M instr." if stage in counts else "not run"
        for stage in ("mel", "network", "end_to_end")
    ]
    estimate, emulator = result["estimate"], result["emulator"]
    how = f"emulated {emulator['cpu']}" + (f"; {emulator['note']}" if emulator["note"] else "")
    stated = f"IPC {estimate['instructions_per_cycle']:g} at {estimate['clock_mhz']:g} MHz"
    stated += f"; {estimate['note']}" if estimate["note"] else ""
    return how, (*words, f"≈ {estimate['real_time_factor']:.4f}, an estimate: {stated}", "not known")


def _peers(results: Sequence[dict[str, Any]]) -> str:
    """Return the peers' cost as a multiple of this project's: one row per peer, one column per result."""
    columns: list[tuple[str, list[dict[str, Any]]]] = []
    for result in results:
        rows = result["peers_ms" if result["kind"] == "measured" else "peers_instructions"]
        if rows:
            unit = "time, measured" if result["kind"] == "measured" else f"instructions, {result['emulator']['cpu']}"
            columns.append((f"{result['device'] or 'here'}: {unit}", rows))
    if not columns:
        return ""
    names = list(dict.fromkeys(row["name"] for _, rows in columns for row in rows))
    heads = ["per second of audio", *(head for head, _ in columns)]
    table = markdown_table(heads, ([name, *(_times(rows, name) for _, rows in columns)] for name in names))
    return f"Alternatives, as a multiple of this project's cost in the same run, one thread:\n\n{table}"


def _engine(results: Sequence[dict[str, Any]]) -> str:
    """Return the network by engine and by LiteRT, in the same run, one row per board whose bundle has both."""
    rows = []
    for result in (one for one in results if "net.eg" in one["bundle"]["files"]):
        if result["kind"] == "measured":
            ours, theirs = (stage_of(result, stage) for stage in ("network", "network_litert"))
            pair = [row["min_ms"] for row in (ours, theirs) if row is not None]
            texts = [f"{value:.2f} ms" for value in pair]
        else:
            counts = {row["stage"]: row["instructions"] for row in result["counts"]}
            pair = [counts[stage] for stage in ("network", "network_litert") if stage in counts]
            texts = [f"{value / 1e6:.1f} M instr." for value in pair]
        if len(pair) == 2:
            title = load_device(result["device"]).title if result["device"] else "a machine without profile"
            rows.append((title, *texts, f"{pair[1] / pair[0]:.2f}"))
    return markdown_table(("network on", "C engine", "LiteRT, XNNPACK", "LiteRT over engine"), rows) if rows else ""


def _times(rows: Sequence[dict[str, Any]], name: str) -> str:
    ours = rows[0]["window"] / rows[0]["audio_s"]
    found = next((row for row in rows if row["name"] == name), None)
    return "" if found is None else f"{found['window'] / found['audio_s'] / ours:.2f}"


def _limits(results: Sequence[dict[str, Any]]) -> str:
    rows = []
    for result in results:
        if result["kind"] != "emulated" or result["limit"]["counted_over_limit"] is None:
            continue
        limit, device = result["limit"], load_device(result["device"])
        rows.append(
            (
                f"{device.title}, {result['emulator']['cpu']}",
                f"{limit['macs'] / 1e6:.1f} M",
                f"{limit['macs_per_instruction']}, {device.int8_instruction}",
                f"{limit['instructions'] / 1e6:.1f} M",
                f"{limit['counted_over_limit']:.2f}",
            )
        )
    heads = (
        "network on",
        "multiply-adds",
        "per best instruction",
        "fewest instructions",
        "counted over fewest",
    )
    return markdown_table(heads, rows) if rows else ""


def _parity(results: Sequence[dict[str, Any]]) -> str:
    heads = ("emulated", "windows", "front-end values that differ", "largest difference of a logit", "other top class")
    rows = []
    for result in results:
        if result["kind"] != "emulated":
            continue
        parity, has_network = result["parity"], result["parity"]["has_network"]
        rows.append(
            (
                f"{result['device']}, {result['emulator']['cpu']}",
                f"{parity['windows']} of {parity['music']}" if parity["windows"] else parity["music"],
                parity["frontend_differs"],
                f"{parity['network_max_lsb']} LSB" if has_network else "not run",
                parity["top1_differs"] if has_network else "not run",
            )
        )
    return markdown_table(heads, rows) if rows else ""


def _suite(result: dict[str, Any]) -> str:
    return format_table(result["rows"], result["n_clips"], result["n_windows"], result["data"])


def stale_results(results: Sequence[dict[str, Any]], bundle: Bundle) -> list[str]:
    """Return the names of emulated and parity results of another bundle: they can be measured again on any machine."""
    current = bundle_id(bundle)
    return [r["device"] or r["kind"] for r in results if r["kind"] != "measured" and r["bundle"]["id"] != current]
