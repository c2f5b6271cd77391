"""A bundle is published, or kept as rejected beside where it would have been."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgegenre.page import to_markdown
from edgegenre_export.accept.report import advice, report_blocks
from edgegenre_export.accept.verdict import GateReport
from edgegenre_runtime.errors import GateError
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.network.bundle import write_bundle

__all__ = ["publish", "rejected_path"]


def rejected_path(out: Path) -> Path:
    """Return where a rejected bundle is kept."""
    return out.with_name(out.name + ".rejected")


def publish(
    out: Path,
    files: Mapping[str, bytes | Path],
    *,
    tables: Tables,
    labels: Sequence[str],
    about: Mapping[str, Any],
    report: GateReport | None,
    command: str,
) -> Path:
    """Write the bundle to ``out`` if the gate lets it pass; see :func:`edgegenre_runtime.network.bundle.write_bundle`.

    Raises
    ------
    GateError
        If the gate refused it. The bundle is then in ``OUT.rejected`` with ``report.md`` and ``report.json``; what
        is at ``out`` is as it was.
    BundleError
        If it cannot be written.
    """
    if report is None or not report.faults:
        return write_bundle(out, files, tables=tables, labels=labels, about=about)
    text = json.dumps({**report.to_dict(), "advice": advice(report), "command": command}, indent=1, sort_keys=True)
    reports = {
        "report.md": to_markdown(report_blocks(report, command)).encode(),
        "report.json": (text + "\n").encode(),
    }
    kept = write_bundle(rejected_path(out), {**files, **reports}, tables=tables, labels=labels, about=about)
    worst = ", ".join(report.layers.worst()) if report.layers is not None else ""
    more = f" (and {len(report.faults) - 1} more)" if len(report.faults) > 1 else ""
    raise GateError(
        f"the gate rejected this export: {report.faults[0]}{more}; "
        + (f"int8 hurts most in {worst}; " if worst else "")
        + f"try: {'; or '.join(advice(report))}. It is kept as {kept} with report.md, {out} is unchanged"
    )
