"""The model card: what is in a bundle, for people, in one page of Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgegenre.checkpoint import Checkpoint

from .certificate import Certificate
from .replay import Agreement

__all__ = ["format_card"]


def format_card(
    checkpoint: Checkpoint,
    models: Mapping[str, bytes],
    certificates: Mapping[str, Certificate],
    agreement: Mapping[str, Agreement],
    command: str,
) -> str:
    """Return the text of ``card.md``.

    Parameters
    ----------
    checkpoint
        What was exported.
    models
        File name to content.
    certificates, agreement
        By the same file names.
    command
        The command that made the bundle and measured the agreement.
    """
    spec = checkpoint.spec
    agreed = [
        (name, f"{100 * a.top1_agreement:.2f} %", f"{a.max_probability_difference:.4f}", a.n_windows)
        for name, a in agreement.items()
    ]
    contract = [
        (name, len(models[name]), _tensor(c, "input"), _tensor(c, "output")) for name, c in certificates.items()
    ]
    return "\n".join(
        [
            f"# {checkpoint.config.name}: music genre, {len(checkpoint.labels)} classes",
            "",
            f"Classes, in the order of the output: {', '.join(checkpoint.labels)}.",
            "",
            f"One window is {spec.window_s:.2f} s of mono audio at {spec.sample_rate_hz} Hz, {spec.n_mels} mel "
            f"bands by {spec.frames_per_window} frames, made by front-end `{spec.name}` (`frontend.json`, hash "
            f"`{checkpoint.spec_hash[:12]}`). Its int8 cells are the input of the int8 models byte for byte: "
            f"-128 is {spec.top_db} dB below the window's loudest cell, 127 is that cell.",
            "",
            "## Files",
            "",
            *_table(("file", "bytes", "input", "output"), contract),
            "",
            "## Trained network against its artefacts, on the calibration windows",
            "",
            *_table(("file", "same top-1", "largest probability difference", "windows"), agreed),
            "",
            f"Measured by `{command}`.",
            "",
            "## Accuracy of the trained network, tracks",
            "",
            *_accuracy(checkpoint.meta.get("metrics", {})),
            "",
            "## Training",
            "",
            *(
                f"- {key}: {value if isinstance(value, str) else json.dumps(value, sort_keys=True)}"
                for key, value in sorted(checkpoint.meta.items())
                if key != "metrics"
            ),
            "",
        ]
    )


def _accuracy(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not metrics:
        return ["Not measured: `edgegenre evaluate CHECKPOINT DATA --part test --record`, then export again."]
    rows = [
        (
            part,
            f"{m['track_accuracy']:.4f}",
            "{:.3f} to {:.3f}".format(*m["track_accuracy_95"]),
            m["n_tracks"],
            m["command"],
        )
        for part, m in metrics.items()
    ]
    return _table(("part", "accuracy", "95 % interval", "tracks", "measured by"), rows)


def _tensor(certificate: Certificate, role: str) -> str:
    tensor = certificate.only(role)
    text = f"{tensor.dtype} [{', '.join(map(str, tensor.shape))}]"
    if tensor.scale is None:
        return text
    return f"{text}, scale {tensor.scale:.9g}, zero point {tensor.zero_point}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    body = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell) for cell in row) + " |" for row in body]
