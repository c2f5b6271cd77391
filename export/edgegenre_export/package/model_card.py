"""The model card: what is in a bundle, for people, as Markdown and as one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgegenre.page import Block, Code, Items, Table, Text, Title, to_html, to_markdown
from edgegenre_export.accept.stage import AcceptedArtifacts
from edgegenre_export.accept.verdict import AcceptanceReport
from edgegenre_export.check.embedding_check import EmbeddingRecord
from edgegenre_export.convert.stage import Artifact
from edgegenre_export.inputs.trained_network import TrainedNetwork
from edgegenre_export.job import ExportJob
from edgegenre_runtime.audio.music_detector import DETECTOR_KEY
from edgegenre_runtime.audio.sound_gate import UNCERTAIN_KEY
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.network.task import Task

from .acceptance_text import acceptance_blocks
from .head_text import head_blocks
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
_NOT_A_LINE = ("metrics", "limits", "license", DETECTOR_KEY)


def card_files(job: ExportJob, accepted: AcceptedArtifacts) -> dict[str, bytes]:
    """Return ``card.md`` and ``card.html``."""
    network = accepted.checked.artifacts.quantized.prepared.network
    title, blocks = f"{network.name}: music genre, {len(network.labels)} classes", card_blocks(job, accepted)
    return {"card.md": to_markdown(blocks).encode(), "card.html": to_html(title, blocks).encode()}


def card_blocks(job: ExportJob, accepted: AcceptedArtifacts) -> list[Block]:
    """Return the card of an export."""
    checked, report, command = accepted.checked, accepted.report, job.command
    network, models = checked.artifacts.quantized.prepared.network, checked.artifacts.models
    spec = network.spec
    agreed = [
        (name, f"{100 * a.top1_agreement:.2f} %", f"{a.max_probability_difference:.4f}", a.n_windows)
        for name, a in checked.agreement.items()
    ]
    contract = [
        (name, len(model.content), _tensor(model.report, "input"), _tensor(model.report, "output"))
        for name, model in models.items()
    ]
    return [
        Title(1, f"{network.name}: music genre, {len(network.labels)} classes"),
        Text(f"Classes, in the order of the output: {', '.join(network.labels)}."),
        *_task(network.task),
        Text(
            f"One window is {spec.window_s:.2f} s of mono audio at {spec.sample_rate_hz} Hz, {spec.n_mels} mel "
            f"bands by {spec.frames_per_window} frames, made by front-end `{spec.name}` (`frontend.json`, hash "
            f"`{network.spec_hash[:12]}`). Its int8 cells are the input of the int8 models byte for byte: "
            f"-128 is {spec.top_db} dB below the window's loudest cell, 127 is that cell."
        ),
        Title(2, "Files"),
        Table(("file", "bytes", "input", "output"), contract),
        Items([f"`{name}`: {use}" for name, use in _TARGETS if name in models]),
        Title(2, "Trained network against its artifacts"),
        *acceptance_blocks(report, command),
        Text("On the calibration windows, one by one:"),
        Table(("file", "same top-1", "largest probability difference", "windows"), agreed),
        Text(f"Measured by `{command}`."),
        Title(2, "Accuracy of the trained network, tracks"),
        *_accuracy(network.meta.get("metrics", {}), report),
        Title(2, "When it does not know"),
        *_unknown(job.fitted_meta),
        Title(2, "Use"),
        *_use(network, models),
        *_embedding(checked.embedding, has_statistics=checked.statistics is not None),
        *head_blocks(job.head, checked.artifacts.head, spec.window_s / 2),
        Title(2, "Training"),
        Items([f"{key}: {_value(value)}" for key, value in sorted(network.meta.items()) if key not in _NOT_A_LINE]),
        Title(2, "License and limits"),
        Items(_limits(network)),
    ]


def _task(task: Task) -> list[Block]:
    """Return what an answer is, where it is not the most probable class."""
    if task.kind == "single":
        return []
    if task.kind == "multi":
        about = (
            "Each output is a label for itself: its probability is the sigmoid of its logit, and the answer is every "
            "label that reaches its threshold, fitted on the validation tracks for the largest F1. The programs below "
            "show the most probable label; the others are compared in the same way."
        )
        logits = task.logits(np.array([task.thresholds[label] for label in task.labels], np.float32)).tolist()
        rows = [
            (label, f"{task.thresholds[label]:.4f}", f"{x:.4f}") for label, x in zip(task.labels, logits, strict=True)
        ]
        return [Text(about), Table(("label", "threshold", "as a logit"), rows)]
    about = (
        "The classes are the leaves of a tree. The probability of a node is the sum over the leaves below it, and the "
        "answer goes down from the top, to the most probable child each time, as far as its level's threshold is "
        "reached. The programs below show the most probable leaf."
    )
    return [Text(about), Table(("level", "threshold"), [(name, f"{t:.4f}") for name, t in task.thresholds.items()])]


def _embedding(record: EmbeddingRecord | None, *, has_statistics: bool) -> list[Block]:
    if record is None:
        return []
    alike = (
        ""
        if record.mean_cosine is None
        else (
            f" Over {record.n_windows} calibration windows its cosine with the float network's is "
            f"{record.mean_cosine:.4f} in the mean, {record.least_cosine:.4f} at least."
        )
    )
    learning = (
        " `edgegenre-run --learn NAME FILE…` learns further genres with it; for that `class_statistics.npz` holds "
        "averages of the training tracks' embeddings by class, and nothing of a single track."
    )
    return [
        Title(2, "Embedding"),
        Text(
            f"The second output of the int8 network, `embedding`: {record.dims} numbers a window, what the last dense "
            f"layer takes, int8 with scale {record.scale:.9g} and zero point {record.zero_point}.{alike}"
            + (learning if has_statistics else "")
        ),
    ]


def _use(network: TrainedNetwork, models: Mapping[str, Artifact]) -> list[Block]:
    blocks: list[Block] = [
        Text("Run these in the bundle's folder. Numbers and names are those of this bundle's files.")
    ]
    for title, language, code in snippets(network, {name: model.report for name, model in models.items()}):
        blocks += [Title(3, title), Code(language, code)]
    return blocks


def _limits(network: TrainedNetwork) -> list[str]:
    known = str(network.meta.get("limits", "it knows the classes above and no others; whatever it hears, it names one"))
    return [
        f"Limits: {known}.",
        "A window below the front-end's silence threshold is silence and has no genre; probabilities are not "
        "certainties, and fall with noise, speech and music unlike the training data.",
        f"Weights: {network.meta.get('license', 'as whoever trained them says')}. Front-end and code of edgegenre: "
        "Apache-2.0.",
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _accuracy(metrics: Mapping[str, Mapping[str, Any]], report: AcceptanceReport | None) -> list[Block]:
    if metrics:
        head = ("part", "accuracy", "95 % interval", "tracks", "ECE, tracks", "ECE, answers", "measured by")
        rows = [
            (
                part,
                f"{m['track_accuracy']:.4f}",
                "{:.3f} to {:.3f}".format(*m["track_accuracy_95"]),
                m["n_tracks"],
                *(f"{m[key]:.4f}" if isinstance(m.get(key), float) else "—" for key in ("ece", "answer_ece")),
                f"`{m['command']}`",
            )
            for part, m in metrics.items()
        ]
        ece = Text(
            "ECE: expected calibration error of 15 bins (Guo et al. 2017), of a track's mean and of the answers "
            "smoothed over 5 s. Parts without another name are of the data it was trained for."
        )
        return [Table(head, rows), ece]
    if report is not None and report.verdicts[0].accuracy_now is not None:
        return [Text("Measured by the gate: the table above.")]
    return [Text("Not measured: `edgegenre evaluate CHECKPOINT DATA --part test --record`, then export again.")]


def _unknown(meta: Mapping[str, Any]) -> list[Block]:
    noise = "what is no music, by statistics of the window," if DETECTOR_KEY in meta else "steady noise"
    below = f"below {meta[UNCERTAIN_KEY]:.2f}" if UNCERTAIN_KEY in meta else "below 0.35, which was not fitted,"
    lines = [f"It calls {noise} `noise`; a largest probability, smoothed over 5 s, {below} is `uncertain`."]
    if "temperature" in meta:
        lines.append(f"The weights hold a temperature of {meta['temperature']:g}. Fitted by `{meta['calibrated_by']}`.")
    for part, m in meta.get("metrics", {}).items():
        if isinstance(answers := m.get("answers"), Mapping):
            kinds = ", ".join(f"{kind} {share:.2f}" for kind, share in answers["by_kind"].items())
            lines.append(
                f"{part}: of {answers['sound_windows']} windows of sounds that are no music, "
                f"{answers['sounds_without_genre']:.3f} get no genre ({kinds}); of {answers['right_tracks']} tracks "
                f"that the network has right, {answers['right_tracks_lost']} get none "
                f"({answers['right_tracks_lost_share']:.3f})."
            )
    return [Items(lines)]


def _tensor(model_report: ModelReport, role: str) -> str:
    return model_report.only(role).format_contract()
