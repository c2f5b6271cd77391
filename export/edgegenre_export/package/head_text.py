"""What a card says of a head over windows."""

from __future__ import annotations

from collections.abc import Mapping

from edgegenre.heads.checkpoint import TrainedHead
from edgegenre.page import Block, Items, Table, Text, Title
from edgegenre.recorded_path import recorded_paths

__all__ = ["head_blocks"]


def head_blocks(trained: TrainedHead | None, files: Mapping[str, bytes], hop_s: float) -> list[Block]:
    """Return the section about a head: what it takes, gives and keeps, its files and its training."""
    if trained is None:
        return []
    config, meta = trained.config, recorded_paths(trained.meta)
    state = [(name, list(part.shape), f"{part.initial:g}") for name, part in config.state.items()]
    blocks: list[Block] = [
        Title(2, "Head over windows"),
        Text(
            f"A head of kind {config.kind} takes the embeddings of a track's windows, {hop_s:.2f} s apart, and answers "
            f"after each; the last answer is the track's. It takes `embedding`, float32 [1, {config.embedding_size}] "
            f"(what the int8 one stands for), and the state, and gives `logits` [1, {config.n_classes}] and each "
            "tensor of the state as `next_NAME`, float32. Before the first window the state is:"
        ),
        Table(("state", "shape behind the batch of 1", "every value"), state),
        Items(
            [
                f"`head.npz`: the weights, for edgegenre-run, {len(files['head.npz'])} bytes",
                f"`head.tflite`: one step in LiteRT, float32, {len(files['head.tflite'])} bytes",
                f"`head.onnx`: one step in onnxruntime, float32, {len(files['head.onnx'])} bytes",
            ]
        ),
    ]
    metrics = meta.get("metrics", {})
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
    if rows:
        blocks.append(Table(("part", "accuracy with the head", "95 % interval", "tracks", "measured by"), rows))
    return [*blocks, Text(f"Trained by `{meta.get('command', 'an unknown command')}`.")]
