"""What a head answers on the int8 network's embeddings, in NumPy and in every model file, and on the float ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edgegenre.evaluate.embeddings import embed
from edgegenre.evaluate.scoring import network_input
from edgegenre.heads.modules import build_head
from edgegenre.models import Network
from edgegenre_export.convert.head_files import HEAD_MODELS
from edgegenre_export.convert.stage import Artifacts
from edgegenre_export.inputs.reference_tracks import ReferenceTracks
from edgegenre_export.job import ExportJob
from edgegenre_runtime.errors import ExportError
from edgegenre_runtime.network.golden import embedding_key
from edgegenre_runtime.network.head_model import run_head_model
from edgegenre_runtime.network.quantization import dequantize, softmax

from .model_answers import run_embeddings

__all__ = ["HeadAnswers", "check_head"]

_INT8, _NUMPY = "model_int8.tflite", "head.npz"
_LARGEST_DIFFERENCE = 1e-3
_Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class HeadAnswers:
    """A head's answers to whole tracks.

    Attributes
    ----------
    golden
        ``head_embeddings`` float32 [G, D] of the int8 network on the golden windows, taken for one stream, and
        ``head_logits`` float32 [G, C] after each.
    tracks
        The reference tracks with one row of answers each; None if the gate is off.
    expected
        Probabilities float32 [n_tracks, C] of float network and head.
    answers
        Those of ``head.npz``, ``head.tflite`` and ``head.onnx`` on the int8 network's embeddings.
    """

    golden: Mapping[str, _Floats]
    tracks: ReferenceTracks | None
    expected: _Floats | None
    answers: Mapping[str, _Floats]


def check_head(job: ExportJob, artifacts: Artifacts, golden: Mapping[str, npt.NDArray[Any]]) -> HeadAnswers | None:
    """Run the job's head in every form; None without one.

    Raises
    ------
    ExportError
        If a model file gives other logits than NumPy.
    """
    if job.head is None:
        return None
    head, artifact = job.head.head(), artifacts.models[_INT8]
    port = artifact.report.embedding()
    assert port is not None and port.scale is not None and port.zero_point is not None  # noqa: PT018, S101  # converted
    scale, zero_point = port.scale, port.zero_point
    vectors = dequantize(golden[embedding_key(_INT8)], scale, zero_point)
    expected = head.run(vectors)
    for name in HEAD_MODELS:
        difference = float(np.abs(run_head_model(name, artifacts.head[name], head, vectors) - expected).max())
        if not difference <= _LARGEST_DIFFERENCE:
            raise ExportError(f"{name} was converted wrongly: its logits differ by {difference:.3g} from NumPy's")
    found = {"head_embeddings": vectors, "head_logits": expected}
    tracks = job.reference
    if tracks is None:
        return HeadAnswers(found, None, None, {})
    raw = run_embeddings(_INT8, artifact.content, tracks.cells)
    streams = _per_track(dequantize(raw, scale, zero_point), tracks)
    answers = {_NUMPY: _last(softmax(head.run(one)) for one in streams)}
    for name in HEAD_MODELS:
        content = artifacts.head[name]
        answers[name] = _last(softmax(run_head_model(name, content, head, one)) for one in streams)
    one_row_each = dataclasses.replace(tracks, windows=tuple(cells[:1] for cells in tracks.windows))
    return HeadAnswers(found, one_row_each, _float_answers(job, tracks), answers)


def _float_answers(job: ExportJob, tracks: ReferenceTracks) -> _Floats:
    """Return what float network and head answer, both in torch, float32 [n_tracks, C]."""
    assert job.head is not None  # noqa: S101  # checked by the caller
    assert isinstance(job.network.module, Network)  # noqa: S101  # heads are trained on networks of edgegenre
    module = build_head(job.head.config)
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in job.head.weights.items()})
    vectors = embed(job.network.module, network_input(tracks.cells, job.tables.spec.top_db)).numpy()
    with torch.inference_mode():
        return _last(
            softmax(module.eval()(torch.from_numpy(one)[None])[0].numpy()) for one in _per_track(vectors, tracks)
        )


def _per_track(rows: _Floats, tracks: ReferenceTracks) -> list[_Floats]:
    return np.split(rows, np.cumsum([len(cells) for cells in tracks.windows])[:-1])


def _last(answers: Iterable[_Floats]) -> _Floats:
    """Return the last answer of each track."""
    return np.stack([rows[-1] for rows in answers])
