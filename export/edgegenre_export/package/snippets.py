"""Short programs that embed a bundle; every number and name in them is read from the artifacts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import Template

from edgegenre_export.inputs.trained_network import TrainedNetwork
from edgegenre_runtime.inspect.model_report import ModelReport

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
genre = LABELS[int(logits.argmax())]
"""

_C = """\
/* with c/edgegenre_mel*.c; `network` runs $model: int8 [$input] in, int8 [$classes] out */
#include "edgegenre_mel.h"
#include "tables.h"

static const char *const labels[$classes] = $c_labels;
static uint64_t arena[EDGEGENRE_MEL_ARENA_BYTES(${n_fft}u, ${mels}u, ${frames}u) / 8u];
static int8_t cells[$mels * $frames];

/* pcm: $samples samples, mono at $rate Hz. NULL: an error, or silence. */
const char *genre(const int16_t pcm[$samples], void (*network)(const int8_t *cells, int8_t *logits))
{
    edgegenre_mel *mel;
    int8_t logits[$classes];
    int is_silence, best = 0;
    if (edgegenre_mel_init(&mel, arena, sizeof arena, &edgegenre_mel_bundle)) return NULL;
    if (edgegenre_mel_push(mel, pcm, $samples, NULL, 0, NULL)) return NULL;
    if (edgegenre_mel_window(mel, cells, sizeof cells, &is_silence) || is_silence) return NULL;
    network(cells, logits); /* a logit is (step - ($zero)) * ${scale}f; the largest step is the answer */
    for (int i = 1; i < $classes; i++)
        if (logits[i] > logits[best]) best = i;
    return labels[best];
}
"""

_KOTLIN = """\
// implementation("com.google.ai.edge.litert:litert:1.0.1"); assets: $model
// cells: ByteArray($cells) from c/edgegenre_mel.c through JNI, as it is (int8 [$input])
val labels = listOf($quoted)
val interpreter = org.tensorflow.lite.Interpreter(model) // MappedByteBuffer of the asset
val input = java.nio.ByteBuffer.allocateDirect($cells).put(cells).rewind()
val output = Array(1) { ByteArray($classes) }
interpreter.run(input, output)
val logits = output[0].map { (it - ($zero)) * ${scale}f }
val genre = labels[logits.indices.maxBy { logits[it] }]
"""

_KOTLIN_AUDIO = """\
// implementation("com.google.mediapipe:tasks-audio:latest.release"); assets: $audio, its labels are inside
// pcm: FloatArray($audio_samples), mono at $rate Hz, -1 to 1
val base = BaseOptions.builder().setModelAssetPath("$audio").build()
val options = AudioClassifierOptions.builder().setBaseOptions(base).setMaxResults(3).build()
val classifier = AudioClassifier.createFromOptions(context, options)
val format = AudioData.AudioDataFormat.builder().setNumOfChannels(1).setSampleRate(${rate}f).build()
val audio = AudioData.create(format, $audio_samples).apply { load(pcm) }
val best = classifier.classify(audio).classificationResults()[0].classifications()[0].categories()[0]
// the model names a genre even of silence: a window below $silence_dbfs dBFS has none
val energy = pcm.sumOf { it.toDouble() * it }
val genre = if (energy < $silence_energy) null else best.categoryName()
"""

_SWIFT_AUDIO = """\
// pod 'MediaPipeTasksAudio'; $audio in the app's bundle; pcm: [Float] of $audio_samples, mono at $rate Hz, -1 to 1
let options = AudioClassifierOptions()
options.baseOptions.modelAssetPath = Bundle.main.path(forResource: "$audio_stem", ofType: "tflite")!
options.maxResults = 3
let classifier = try AudioClassifier(options: options)
let audio = AudioData(format: AudioDataFormat(channelCount: 1, sampleRate: $rate), sampleCount: $audio_samples)
try audio.load(buffer: pcm, offset: 0, length: $audio_samples)
let answer = try classifier.classify(audioClip: audio).classificationResults[0].classifications[0]
// the model names a genre even of silence: a window below $silence_dbfs dBFS has none
let energy = pcm.reduce(0.0) { sum, x in sum + Double(x) * Double(x) }
let genre = energy < $silence_energy ? nil : answer.categories[0].categoryName
"""


def snippets(network: TrainedNetwork, model_reports: Mapping[str, ModelReport]) -> list[tuple[str, str, str]]:
    """Return title, language and text of the programs for the artifacts that there are."""
    programs = []
    if _MODEL in model_reports:
        facts = _facts(network, model_reports[_MODEL])
        for title, language, text in (
            ("Python", "python", _PYTHON),
            ("C", "c", _C),
            ("Kotlin, LiteRT (not compiled here)", "kotlin", _KOTLIN),
        ):
            programs.append((title, language, Template(text).substitute(facts)))
    if _AUDIO in model_reports:
        facts = _audio_facts(network, model_reports[_AUDIO])
        programs.append(("Kotlin, MediaPipe (not compiled here)", "kotlin", Template(_KOTLIN_AUDIO).substitute(facts)))
        programs.append(("Swift, MediaPipe (not compiled here)", "swift", Template(_SWIFT_AUDIO).substitute(facts)))
    return programs


def _audio_facts(network: TrainedNetwork, model_report: ModelReport) -> dict[str, str]:
    spec, n_samples = network.spec, model_report.only("input").shape[-1]
    return {
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
    return {
        "model": _MODEL,
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
        "scale": f"{target.scale:.9g}",
        "zero": str(target.zero_point),
    }
