"""The acceptance gate's findings as text: a table for the card, and the report of a rejected bundle."""

from __future__ import annotations

from edgegenre.page import Block, Items, Table, Text, Title
from edgegenre_export.accept.layer_error import Attribution
from edgegenre_export.accept.verdict import AS_TRAINED, AcceptanceReport, Verdict

__all__ = ["acceptance_blocks", "advice", "report_blocks"]

_HEAD = (
    "artifact",
    "against",
    "same answer",
    "changed",
    "lost, gained",
    "accuracy",
    "least cosine",
    "largest difference",
)
_CONVERSION = 3.0
"""An artifact that differs by so many times what the rounding explains has another fault."""


def acceptance_blocks(report: AcceptanceReport | None, command: str) -> list[Block]:
    """Return what the card says of the gate."""
    if report is None:
        return [
            Text(
                "**The gate was off** (`--gate off`): nothing holds these artifacts to the trained network. "
                f"`{command}`"
            )
        ]
    limits, n = report.limits, report.verdicts[0].n_tracks if report.verdicts else 0
    verdict = "**Rejected.**" if report.faults else "Passed."
    return [
        Text(
            f"{verdict} Both answer {report.source}; a track's answer is the mean of its windows. Allowed are "
            f"{limits.allowed_changed(n)} changed and {limits.allowed_lost(n)} net lost of {n} tracks, and "
            f"{100 * limits.accuracy_drop:.0f} points of accuracy for pruning and fine-tuning. `{command}`"
        ),
        Table(_HEAD, tuple(_row(v) for v in report.verdicts)),
        *_changed(report),
    ]


def report_blocks(report: AcceptanceReport, command: str) -> list[Block]:
    """Return the report of a rejected bundle."""
    blocks = [Title(1, "Rejected by the gate"), *acceptance_blocks(report, command), Title(2, "Broken limits")]
    blocks += [Items(report.faults), Title(2, "What to try"), Items(tuple(advice(report)))]
    if report.layers is not None:
        rows = tuple((group.name, f"{group.difference:.5f}") for group in report.layers.groups)
        blocks += [
            Title(2, "Where int8 hurts"),
            Text(
                "Rounding simulated in torch, on the tracks above: mean difference of a probability with every layer "
                f"rounded {report.layers.difference:.5f}; below, what is left when one group alone stays in float."
            ),
            Table(("group in float", "difference left"), rows),
        ]
    return blocks


def advice(report: AcceptanceReport) -> list[str]:
    """Return what to try, the likeliest first."""
    tuned = [v for v in report.verdicts if v.faults and v.against == AS_TRAINED]
    broken = [v for v in report.verdicts if v.faults and v not in tuned]
    hints = []
    if tuned:
        hints.append("fine-tune for longer (--epochs), or prune less (--recipe prune30_int8)")
    if broken and report.layers is not None and _is_conversion(broken, report.layers):
        hints.append(
            f"rounding alone explains a mean difference of {report.layers.difference:.4f}, the artifact's is larger: "
            "the conversion is at fault, not the precision; compare the versions in manifest.json with a bundle that "
            "passed, and report it"
        )
    elif broken:
        worst = ", ".join(report.layers.worst()) if report.layers is not None else ""
        hints.append("draw more calibration windows, from the training data (--windows, --data)")
        hints.append(
            f"fine-tune for int8 (--recipe qat_int8){': the rounding of ' + worst + ' costs most' if worst else ''}"
        )
        hints.append("keep activations in 16 bits (--recipe int8x16)")
    return hints


def _is_conversion(broken: list[Verdict], layers: Attribution) -> bool:
    return max(v.mean_probability_difference for v in broken) > _CONVERSION * max(layers.difference, 1e-3)


def _row(v: Verdict) -> tuple[str, ...]:
    known = v.accuracy_before is not None
    return (
        v.artifact,
        v.against,
        f"{v.agreement:.2%} of {v.n_tracks}",
        str(len(v.changed)),
        f"{v.lost}, {v.gained}" if known else "truth unknown",
        f"{v.accuracy_before:.4f} → {v.accuracy_now:.4f}" if known else "truth unknown",
        f"{v.cosine:.4f}",
        f"{v.max_probability_difference:.4f}",
    )


def _changed(report: AcceptanceReport) -> list[Block]:
    rows = tuple(
        (v.artifact, track.name, track.truth or "unknown", track.before, track.now)
        for v in report.verdicts
        if v.against != AS_TRAINED
        for track in v.changed
    )
    return [Text("Changed tracks:"), Table(("artifact", "track", "truth", "before", "now"), rows)] if rows else []
