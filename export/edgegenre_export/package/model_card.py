"""The model card: what is in a bundle, for people, as Markdown and as one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from edgegenre.page import Block, Code, Items, Table, Text, Title, to_html, to_markdown
from edgegenre_export.accept.report import gate_blocks
from edgegenre_export.accept.verdict import GateReport
from edgegenre_export.check.run_models import Agreement
from edgegenre_export.job import Subject
from edgegenre_runtime.inspect.model_report import ModelReport

from .snippets import snippets

__all__ = ["card_blocks", "card_files"]

_TARGETS = (
    ("model_int8.tflite", "Raspberry Pi, Android and iOS through LiteRT; takes the front-end's int8 cells"),
    ("model_int8x16.tflite", "LiteRT with int16 activations: `cell + 128`; slower, for networks that int8 hurts"),
    ("model_int8.onnx", "onnxruntime; takes the same int8 cells"),
    ("model_audio.tflite", "MediaPipe Tasks and phone apps; takes PCM, gives probabilities"),
    ("model_audio.onnx", "onnxruntime; takes PCM, gives probabilities"),
    ("model_float.onnx", "onnxruntime; the trained network, takes dB above the floor"),
    ("model_float.tflite", "LiteRT; the trained network, takes dB above the floor"),
)
_NOT_A_LINE = ("metrics", "limits", "licence")


def card_files(blocks: Sequence[Block], subject: Subject) -> dict[str, bytes]:
    """Return ``card.md`` and ``card.html``."""
    title = f"{subject.name}: music genre, {len(subject.labels)} classes"
    return {"card.md": to_markdown(blocks).encode(), "card.html": to_html(title, blocks).encode()}


def card_blocks(
    subject: Subject,
    models: Mapping[str, bytes],
    model_reports: Mapping[str, ModelReport],
    agreement: Mapping[str, Agreement],
    report: GateReport | None,
    command: str,
) -> list[Block]:
    """Return the card.

    Parameters
    ----------
    subject
        What was exported.
    models
        File name to content.
    model_reports, agreement
        By the same file names.
    report
        What the gate found; None if it was off.
    command
        The command that made the bundle and measured the agreement.
    """
    spec = subject.spec
    agreed = [
        (name, f"{100 * a.top1_agreement:.2f} %", f"{a.max_probability_difference:.4f}", a.n_windows)
        for name, a in agreement.items()
    ]
    contract = [
        (name, len(models[name]), _tensor(c, "input"), _tensor(c, "output")) for name, c in model_reports.items()
    ]
    return [
        Title(1, f"{subject.name}: music genre, {len(subject.labels)} classes"),
        Text(f"Classes, in the order of the output: {', '.join(subject.labels)}."),
        Text(
            f"One window is {spec.window_s:.2f} s of mono audio at {spec.sample_rate_hz} Hz, {spec.n_mels} mel "
            f"bands by {spec.frames_per_window} frames, made by front-end `{spec.name}` (`frontend.json`, hash "
            f"`{subject.spec_hash[:12]}`). Its int8 cells are the input of the int8 models byte for byte: "
            f"-128 is {spec.top_db} dB below the window's loudest cell, 127 is that cell."
        ),
        Title(2, "Files"),
        Table(("file", "bytes", "input", "output"), contract),
        Items([f"`{name}`: {use}" for name, use in _TARGETS if name in models]),
        Title(2, "Trained network against its artifacts"),
        *gate_blocks(report, command),
        Text("On the calibration windows, one by one:"),
        Table(("file", "same top-1", "largest probability difference", "windows"), agreed),
        Text(f"Measured by `{command}`."),
        Title(2, "Accuracy of the trained network, tracks"),
        *_accuracy(subject.meta.get("metrics", {}), report),
        Title(2, "Embedding"),
        *_embedding(subject, model_reports),
        Title(2, "Training"),
        Items([f"{key}: {_value(value)}" for key, value in sorted(subject.meta.items()) if key not in _NOT_A_LINE]),
        Title(2, "Licence and limits"),
        Items(_limits(subject)),
    ]


def _embedding(subject: Subject, model_reports: Mapping[str, ModelReport]) -> list[Block]:
    blocks: list[Block] = [
        Text("Run these in the bundle's folder. Numbers and names are those of this bundle's files.")
    ]
    for title, language, code in snippets(subject, model_reports):
        blocks += [Title(3, title), Code(language, code)]
    return blocks


def _limits(subject: Subject) -> list[str]:
    known = str(subject.meta.get("limits", "it knows the classes above and no others; whatever it hears, it names one"))
    return [
        f"Limits: {known}.",
        "A window below the front-end's silence threshold is silence and has no genre; probabilities are not "
        "certainties, and fall with noise, speech and music unlike the training data.",
        f"Weights: {subject.meta.get('licence', 'as whoever trained them says')}. Front-end and code of edgegenre: "
        "Apache-2.0.",
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _accuracy(metrics: Mapping[str, Mapping[str, Any]], report: GateReport | None) -> list[Block]:
    if metrics:
        head = ("part", "accuracy", "95 % interval", "tracks", "measured by")
        rows = [
            (
                part,
                f"{m['track_accuracy']:.4f}",
                "{:.3f} to {:.3f}".format(*m["track_accuracy_95"]),
                m["n_tracks"],
                f"`{m['command']}`",
            )
            for part, m in metrics.items()
        ]
        return [Table(head, rows)]
    if report is not None and report.verdicts[0].accuracy_now is not None:
        return [Text("Measured by the gate: the table above.")]
    return [Text("Not measured: `edgegenre evaluate CHECKPOINT DATA --part test --record`, then export again.")]


def _tensor(model_report: ModelReport, role: str) -> str:
    tensor = model_report.only(role)
    text = f"{tensor.dtype} [{', '.join(map(str, tensor.shape))}]"
    if tensor.scale is None:
        return text
    return f"{text}, scale {tensor.scale:.9g}, zero point {tensor.zero_point}"
