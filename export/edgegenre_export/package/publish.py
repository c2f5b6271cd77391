"""A bundle is published, or put beside where it would have been as rejected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgegenre.page import to_markdown
from edgegenre_export.accept.verdict import AcceptanceReport
from edgegenre_export.job import ExportJob
from edgegenre_runtime.errors import GateError
from edgegenre_runtime.network.bundle import write_bundle

from .acceptance_text import advice, report_blocks

__all__ = ["publish", "rejected_path"]


def rejected_path(out: Path) -> Path:
    """Return where a rejected bundle is put."""
    return out.with_name(out.name + ".rejected")


def publish(
    job: ExportJob,
    files: Mapping[str, bytes],
    keys: Mapping[str, Any],
    report: AcceptanceReport | None,
) -> Path:
    """Write the bundle to the job's destination if the acceptance gate lets it pass; returns its directory.

    Parameters
    ----------
    job
        What was exported.
    files, keys
        As for :func:`edgegenre_runtime.network.bundle.write_bundle`.
    report
        What the gate found; None if it was off.

    Raises
    ------
    GateError
        If the gate refused it. The bundle is then in ``OUT.rejected`` with ``report.md`` and ``report.json``; what
        is at ``OUT`` is as it was.
    BundleError
        If it cannot be written.
    """
    out, tables, labels, command = job.destination, job.tables, job.network.labels, job.command
    if report is None or not report.faults:
        return write_bundle(out, files, tables=tables, labels=labels, about=keys)
    text = json.dumps({**report.to_dict(), "advice": advice(report), "command": command}, indent=1, sort_keys=True)
    reports = {
        "report.md": to_markdown(report_blocks(report, command)).encode(),
        "report.json": (text + "\n").encode(),
    }
    rejected = write_bundle(rejected_path(out), {**files, **reports}, tables=tables, labels=labels, about=keys)
    worst = ", ".join(report.layers.worst()) if report.layers is not None else ""
    more = f" (and {len(report.faults) - 1} more)" if len(report.faults) > 1 else ""
    raise GateError(
        f"the gate rejected this export: {report.faults[0]}{more}; "
        + (f"int8 hurts most in {worst}; " if worst else "")
        + f"try: {'; or '.join(advice(report))}. It is in {rejected} with report.md, {out} is unchanged"
    )
