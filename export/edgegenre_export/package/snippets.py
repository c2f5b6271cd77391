"""Short programs that embed a bundle; every number and name in them is read from the artifacts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import Template

from edgegenre_export.inputs.trained_network import TrainedNetwork
from edgegenre_runtime.inspect.model_report import ModelReport
from edgegenre_runtime.network.task import Task

from .network_header import int8_thresholds

__all__ = ["snippets"]

_MODEL, _AUDIO = "model_int8.tflite", "model_audio.tflite"

_PYTHON = """\
# pip install edgegenre; pcm: int16 [$samples], mono at $rate Hz, one window of $seconds s
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter
from edgegenre_runtime.frontend import Tables, log_mel, normalize

LABELS = $labels

tables = Tables.from_json(Path("frontend.json").read_bytes())
window = normalize(log_mel(pcm, tables).frames_q9, tables)  # window.is_silence: no music, no genre
interpreter = Interpreter("$model")
interpreter.allocate_tensors()
source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
interpreter.set_tensor(source["index"], window.cells.reshape($input_shape))  # int8, as it is
interpreter.invoke()
logits = (interpreter.get_tensor(target["index"])[0].astype("float32") - ($zero)) * $scale
$python_answer"""
_ONE_PYTHON = "genre = LABELS[int(logits.argmax())]\n"
_TASK_PYTHON = """\
# beside the imports: from edgegenre_runtime.network.bundle import read_bundle
task = read_bundle(Path(".")).task
genres = task.answer(task.named(task.probabilities(logits))).labels  # $meaning; empty: uncertain
"""

_C = """\
/* with c/edgegenre_mel*.c; `network` runs $model: int8 [$input] in, int8 [$classes] out;
 * `edgegenre codegen c` writes genre.c, a program of the whole chain on our own engine */
#include "edgegenre_mel.h"
#include "tables.h"

static const char *const labels[$classes] = $c_labels;
${c_thresholds}static uint64_t arena[EDGEGENRE_MEL_ARENA_BYTES(${n_fft}u, ${mels}u, ${frames}u) / 8u];
static int8_t cells[$mels * $frames];

/* pcm: $samples samples, mono at $rate Hz. $c_returns */
$c_signature
{
    edgegenre_mel *mel;
    int8_t logits[$classes];
    int is_silence, $c_variable = 0;
    if (edgegenre_mel_init(&mel, arena, sizeof arena, &edgegenre_mel_bundle)) return $c_none;
    if (edgegenre_mel_push(mel, pcm, $samples, NULL, 0, NULL)) return $c_none;
    if (edgegenre_mel_window(mel, cells, sizeof cells, &is_silence) || is_silence) return $c_none;
    network(cells, logits); /* a logit is (step - ($zero)) * ${scale}f$c_note */
$c_answer}
"""
_ONE_C = {
    "c_thresholds": "",
    "c_returns": "NULL: an error, or silence.",
    "c_signature": (
        "const char *genre(const int16_t pcm[$samples], void (*network)(const int8_t *cells, int8_t *logits))"
    ),
    "c_variable": "best",
    "c_none": "NULL",
    "c_note": "; the largest step is the answer",
    "c_answer": """\
    for (int i = 1; i < $classes; i++)
        if (logits[i] > logits[best]) best = i;
    return labels[best];
""",
}
_PATH_C = {
    **_ONE_C,
    "c_note": "; network_answer() of network.h, `codegen c --board`, stops at the level that is sure",
}
_LABELS_C = {
    "c_thresholds": "static const int16_t thresholds[$classes] = {$steps}; /* steps of logits */\n",
    "c_returns": "Returns how many names there are: 0 for uncertain, -1 for an error or silence.",
    "c_signature": (
        "int genres(const int16_t pcm[$samples], const char *names[$classes],\n"
        "           void (*network)(const int8_t *cells, int8_t *logits))"
    ),
    "c_variable": "n",
    "c_none": "-1",
    "c_note": "",
    "c_answer": """\
    for (int i = 0; i < $classes; i++)
        if (logits[i] >= thresholds[i]) names[n++] = labels[i];
    return n;
""",
}

_KOTLIN = """\
// implementation("com.google.ai.edge.litert:litert:1.0.1"); assets: $model
// cells: ByteArray($cells) from c/edgegenre_mel.c through JNI, as it is (int8 [$input])
val labels = listOf($quoted)
val interpreter = org.tensorflow.lite.Interpreter(model) // MappedByteBuffer of the asset
val input = java.nio.ByteBuffer.allocateDirect($cells).put(cells).rewind()
val output = Array(1) { ByteArray($classes) }
interpreter.run(input, output)
$kotlin_answer"""
_ONE_KOTLIN = """\
val logits = output[0].map { (it - ($zero)) * ${scale}f }
val genre = labels[logits.indices.maxBy { logits[it] }]
"""
_LABELS_KOTLIN = """\
val thresholds = intArrayOf($steps) // of each label, as a step of its logit; none reached: uncertain
val genres = labels.indices.filter { output[0][it] >= thresholds[it] }.map { labels[it] }
"""
_PATH_KOTLIN = """\
val logits = output[0].map { (it - ($zero)) * ${scale}f }
val leaf = labels[logits.indices.maxBy { logits[it] }] // network_answer() of network.h, `edgegenre codegen c --board`,
// stops at the level that is sure
"""

_KOTLIN_AUDIO = """\
// implementation("com.google.mediapipe:tasks-audio:latest.release"); assets: $audio, its labels are inside
// pcm: FloatArray($audio_samples), mono at $rate Hz, -1 to 1
val base = BaseOptions.builder().setModelAssetPath("$audio").build()
val options = AudioClassifierOptions.builder().setBaseOptions(base).setMaxResults($n_results).build()
val classifier = AudioClassifier.createFromOptions(context, options)
val format = AudioData.AudioDataFormat.builder().setNumOfChannels(1).setSampleRate(${rate}f).build()
val audio = AudioData.create(format, $audio_samples).apply { load(pcm) }
val found = classifier.classify(audio).classificationResults()[0].classifications()[0].categories()
// the model names a genre even of silence: a window below $silence_dbfs dBFS has none
val energy = pcm.sumOf { it.toDouble() * it }
$kotlin_audio_answer"""
_ONE_KOTLIN_AUDIO = "val genre = if (energy < $silence_energy) null else found[0].categoryName()\n"
_LABELS_KOTLIN_AUDIO = """\
val thresholds = mapOf($kotlin_thresholds) // none reached: uncertain
val genres = if (energy < $silence_energy) emptyList() else
    found.filter { it.score() >= thresholds.getValue(it.categoryName()) }.map { it.categoryName() }
"""

_SWIFT_AUDIO = """\
// pod 'MediaPipeTasksAudio'; $audio in the app's bundle; pcm: [Float] of $audio_samples, mono at $rate Hz, -1 to 1
let options = AudioClassifierOptions()
options.baseOptions.modelAssetPath = Bundle.main.path(forResource: "$audio_stem", ofType: "tflite")!
options.maxResults = $n_results
let classifier = try AudioClassifier(options: options)
let audio = AudioData(format: AudioDataFormat(channelCount: 1, sampleRate: $rate), sampleCount: $audio_samples)
try audio.load(buffer: pcm, offset: 0, length: $audio_samples)
let answer = try classifier.classify(audioClip: audio).classificationResults[0].classifications[0]
// the model names a genre even of silence: a window below $silence_dbfs dBFS has none
let energy = pcm.reduce(0.0) { sum, x in sum + Double(x) * Double(x) }
$swift_answer"""
_ONE_SWIFT_AUDIO = "let genre = energy < $silence_energy ? nil : answer.categories[0].categoryName\n"
_LABELS_SWIFT_AUDIO = """\
let thresholds: [String: Float] = [$swift_thresholds] // none reached: uncertain
let genres = energy < $silence_energy ? [] :
    answer.categories.filter { $$0.score >= thresholds[$$0.categoryName!]! }.map { $$0.categoryName! }
"""


def snippets(network: TrainedNetwork, model_reports: Mapping[str, ModelReport]) -> list[tuple[str, str, str]]:
    """Return title, language and text of the programs for the artifacts that there are."""
    programs: list[tuple[str, str, str]] = []
    parts = _parts(network.task)
    if _MODEL in model_reports:
        facts = _facts(network, model_reports[_MODEL])
        for title, language, text in (
            ("Python", "python", _PYTHON),
            ("C", "c", _C),
            ("Kotlin, LiteRT (not compiled here)", "kotlin", _KOTLIN),
        ):
            programs.append((title, language, _filled(text, parts, facts)))
    if _AUDIO in model_reports:
        facts = _audio_facts(network, model_reports[_AUDIO])
        programs.append(("Kotlin, MediaPipe (not compiled here)", "kotlin", _filled(_KOTLIN_AUDIO, parts, facts)))
        programs.append(("Swift, MediaPipe (not compiled here)", "swift", _filled(_SWIFT_AUDIO, parts, facts)))
    return programs


def _filled(text: str, parts: Mapping[str, str], facts: Mapping[str, str]) -> str:
    """Return a program: the parts that its task needs go in first, then the facts, which may hold any character."""
    return Template(Template(text).safe_substitute(parts)).substitute(facts)


def _parts(task: Task) -> dict[str, str]:
    """Return what of the programs depends on the task."""
    if task.kind == "multi":
        return {
            "python_answer": _TASK_PYTHON,
            "kotlin_answer": _LABELS_KOTLIN,
            "kotlin_audio_answer": _LABELS_KOTLIN_AUDIO,
            "swift_answer": _LABELS_SWIFT_AUDIO,
            **_LABELS_C,
        }
    is_path = task.kind == "hierarchy"
    return {
        "python_answer": _TASK_PYTHON if is_path else _ONE_PYTHON,
        "kotlin_answer": _PATH_KOTLIN if is_path else _ONE_KOTLIN,
        "kotlin_audio_answer": _ONE_KOTLIN_AUDIO,
        "swift_answer": _ONE_SWIFT_AUDIO,
        **(_PATH_C if is_path else _ONE_C),
    }


def _audio_facts(network: TrainedNetwork, model_report: ModelReport) -> dict[str, str]:
    spec, n_samples, task = network.spec, model_report.only("input").shape[-1], network.task
    quoted = {label: json.dumps(label) for label in task.thresholds}
    has_several = task.kind == "multi"
    return {
        "kotlin_thresholds": ", ".join(
            f"{name} to {task.thresholds[label]}f".replace("$", "\\$") for label, name in quoted.items()
        ),
        "swift_thresholds": ", ".join(f"{name}: {task.thresholds[label]}" for label, name in quoted.items()),
        "n_results": str(len(network.labels) if has_several else 3),
        "audio": _AUDIO,
        "audio_stem": _AUDIO.removesuffix(".tflite"),
        "audio_samples": str(n_samples),
        "rate": str(spec.sample_rate_hz),
        "silence_dbfs": str(spec.silence_dbfs),
        # of a sine at the front-end's threshold: half of its squared amplitude per sample
        "silence_energy": f"{n_samples * 10 ** (spec.silence_dbfs / 10) / 2:.6g}",
    }


def _facts(network: TrainedNetwork, model_report: ModelReport) -> dict[str, str]:
    spec, source, target = network.spec, model_report.only("input"), model_report.only("output")
    quoted = [json.dumps(label) for label in network.labels]
    several = network.task if network.task.kind == "multi" else None
    scale, zero_point = target.scale or 0.0, target.zero_point or 0
    steps = [] if several is None else int8_thresholds(several, scale, zero_point)
    return {
        "model": _MODEL,
        "meaning": "every label that reaches its threshold" if several is not None else "from the top level down",
        "steps": ", ".join(map(str, steps)),
        "labels": "[" + ", ".join(quoted) + "]",
        "c_labels": "{" + ", ".join(quoted) + "}",
        "quoted": ", ".join(quoted).replace("$", "\\$"),
        "classes": str(len(network.labels)),
        "samples": str(spec.window_samples),
        "rate": str(spec.sample_rate_hz),
        "seconds": f"{spec.window_s:.2f}",
        "input": ", ".join(map(str, source.shape)),
        "input_shape": str(tuple(source.shape)),
        "cells": str(spec.n_mels * spec.frames_per_window),
        "mels": str(spec.n_mels),
        "frames": str(spec.frames_per_window),
        "n_fft": str(spec.n_fft),
        "scale": f"{scale:.9g}",
        "zero": str(zero_point),
    }
