"""The readers of the base install, and those of the benches."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from mutations import mutate_bytes, mutate_json, mutate_text
from target import Target

from edgegenre.toy.dataset import render
from edgegenre_bench.measure.plan import load_plan
from edgegenre_bench.results import device_profiles
from edgegenre_bench.results.board_table import format_report
from edgegenre_bench.results.comparison import compare_results, format_changes
from edgegenre_bench.results.result import check_bundle, read_result
from edgegenre_runtime.audio.files import file_blocks
from edgegenre_runtime.audio.media import has_media
from edgegenre_runtime.audio.raw_pcm import raw_blocks
from edgegenre_runtime.audio.sound_gate import uncertain_below
from edgegenre_runtime.frontend import Tables
from edgegenre_runtime.inspect.bundle_summary import changed_files, describe_bundle, describe_tflite
from edgegenre_runtime.network import engine
from edgegenre_runtime.network.blob_header import read_header
from edgegenre_runtime.network.bundle import read_bundle, write_bundle
from edgegenre_runtime.network.bundle_names import find_bundle
from edgegenre_runtime.network.classifier import GenreClassifier, default_bundle
from edgegenre_runtime.network.compiler import compile_network
from edgegenre_runtime.network.golden import read_golden
from edgegenre_runtime.network.head import BundleHead, Head, HeadConfig, HeadStream, read_head
from edgegenre_runtime.network.head.bundle_head import pack_head
from edgegenre_runtime.network.verify import verify

Rng = np.random.Generator
BUNDLE = default_bundle()
_DEVICES = device_profiles.devices_folder()
_RESULTS = {path.name: path.read_bytes() for path in (_DEVICES / "results").glob("*.json")}
_MANIFEST = json.loads((BUNDLE / "manifest.json").read_bytes())
_TEXTS = tuple(name for name in _MANIFEST["files"] if name.endswith((".json", ".txt", ".npz")))
_MEDIA = {"m4a": ("ipod", "aac"), "webm": ("webm", "libopus"), "wma": ("asf", "wmav2"), "wv": ("wv", "wavpack")}
_ENDINGS = {"WAV": "wav", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3", "AIFF": "aiff", "AU": "au"}


def targets() -> Iterator[Target]:
    """Yield every target of this module."""
    yield Target("bundle, bytes", _bundle_bytes, _read_bundle)
    yield Target("bundle, manifest", _bundle_manifest, _read_bundle)
    yield Target("bundle, hashes right", _bundle_rehashed, _verify_bundle)
    yield Target("bundle, zip", _bundle_zip, lambda folder: _read_whole(folder / "b.zip"))
    yield Target("tflite", _tflite, lambda folder: describe_tflite((folder / "m.tflite").read_bytes()))
    yield Target("network compiler", _tflite, _read_compiled)
    yield Target("network blob", _blob, lambda folder: _run_blob((folder / "net.eg").read_bytes()))
    yield Target("head in a bundle", _head_bundle, _run_head)
    yield Target("state of a stream", _head_state, _go_on)
    yield Target("front-end tables", _tables, lambda folder: Tables.from_json((folder / "t.json").read_bytes()))
    for name, ending in _ENDINGS.items():
        yield Target(f"audio, {name}", functools.partial(_audio, name, ending), _read_audio)
    yield Target("audio on stdin", _piped, _read_raw)
    yield Target("MP3 behind an ID3 tag", _tagged_mp3, _read_audio)
    if has_media():
        for ending in _MEDIA:
            yield Target(f"media, {ending}", functools.partial(_media, ending), _read_audio)
    yield Target("bench result", _result, _read_result)
    yield Target("device profile", _profile, _read_profile)


def _small_bundle(folder: Path) -> Path:
    """Copy the shipped bundle without what no reader of this module parses."""
    needed = ("manifest.json", "model_int8.tflite", *_TEXTS)
    for name in _MANIFEST["files"]:
        target = folder / "b" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in needed:
            target.symlink_to(BUNDLE / name)
        else:
            target.touch()
    shutil.copy(BUNDLE / "manifest.json", folder / "b" / "manifest.json")
    return folder / "b"


def _replace(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _bundle_bytes(folder: Path, rng: Rng) -> None:
    path = _small_bundle(folder) / str(rng.choice(("manifest.json", *_TEXTS)))
    _replace(path, mutate_bytes(path.read_bytes(), rng))


def _bundle_manifest(folder: Path, rng: Rng) -> None:
    _replace(_small_bundle(folder) / "manifest.json", mutate_json(_MANIFEST, rng))


def _bundle_rehashed(folder: Path, rng: Rng) -> None:
    root, name = _small_bundle(folder), str(rng.choice(_TEXTS))
    content = (root / name).read_bytes()
    is_json = name.endswith(".json") and rng.random() < 0.7
    damaged = mutate_json(json.loads(content), rng) if is_json else _mutate_member(name, content, rng)
    _replace(root / name, damaged)
    entry = {"bytes": len(damaged), "sha256": hashlib.sha256(damaged).hexdigest()}
    manifest = _MANIFEST | {"files": _MANIFEST["files"] | {name: _MANIFEST["files"][name] | entry}}
    _replace(root / "manifest.json", json.dumps(manifest).encode())


def _mutate_member(name: str, content: bytes, rng: Rng) -> bytes:
    """Damage bytes, or of an ``.npz`` one array: its shape, type or presence."""
    if not name.endswith(".npz") or rng.random() < 0.3:
        return mutate_bytes(content, rng)
    with np.load(io.BytesIO(content)) as archive:
        arrays: dict[str, Any] = {key: archive[key] for key in archive.files}
    key = str(rng.choice(sorted(arrays)))
    changes: tuple[Callable[[], Any], ...] = (
        lambda: arrays.pop(key),
        lambda: arrays.update({key: np.atleast_1d(arrays[key])[:0]}),
        lambda: arrays.update({key: arrays[key][..., :-1] if arrays[key].ndim else arrays[key][None]}),
        lambda: arrays.update({key: _of_type(arrays[key], str(rng.choice(("f8", "u1", "i8", "U9", "c16", "?"))))}),
        lambda: arrays.update({key: np.float64("nan")}),
        lambda: arrays.update({key: arrays[str(rng.choice(sorted(arrays)))]}),
    )
    changes[rng.integers(len(changes))]()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _of_type(array: Any, dtype: str) -> Any:
    return np.zeros(array.shape, dtype) if array.dtype.kind == "U" else array.astype(dtype)


@functools.cache
def _zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("manifest.json", *_MANIFEST["files"]):
            archive.write(BUNDLE / name, name)
    return buffer.getvalue()


def _bundle_zip(folder: Path, rng: Rng) -> None:
    content = bytearray(_zipped())
    tail = int(len(content) - rng.integers(1, 4000))  # the directory stands at the end
    content[tail:] = mutate_bytes(bytes(content[tail:]), rng)
    (folder / "b.zip").write_bytes(content)


def _read_bundle(folder: Path) -> None:
    _read_whole(folder / "b")


def _read_whole(root: Path) -> None:
    bundle = read_bundle(root)
    uncertain_below(bundle.manifest)
    describe_bundle(bundle)
    changed_files(bundle)
    GenreClassifier.load(root)


def _verify_bundle(folder: Path) -> None:
    _read_bundle(folder)
    read_golden(read_bundle(folder / "b"))
    list(verify(folder / "b"))


def _tflite(folder: Path, rng: Rng) -> None:
    (folder / "m.tflite").write_bytes(mutate_bytes(_networks()[int(rng.integers(2))], rng))


def _read_compiled(folder: Path) -> None:
    _run_blob(compile_network((folder / "m.tflite").read_bytes()))


def _run_blob(blob: bytes) -> None:
    header = read_header(blob)
    if engine.load() is not None:
        engine.Engine(blob).run(np.zeros(header.input_shape[:2], np.int8))


@functools.cache
def _networks() -> list[bytes]:
    """Return both networks that ship: of other operators, and of two versions of ``net.eg``."""
    return [(find_bundle(name) / "model_int8.tflite").read_bytes() for name in ("default", "accurate")]


@functools.cache
def _compiled() -> list[bytes]:
    return [compile_network(network) for network in _networks()]


def _blob(folder: Path, rng: Rng) -> None:
    (folder / "net.eg").write_bytes(mutate_bytes(_compiled()[int(rng.integers(2))], rng))


@functools.cache
def _released() -> Any:
    return json.loads((BUNDLE / "frontend.json").read_bytes())


_HEAD = HeadConfig("gru", 5, len((BUNDLE / "labels.txt").read_text().splitlines()), 4, 0)


def _head_files() -> dict[str, bytes]:
    return pack_head(_HEAD, {name: np.ones(shape, np.float32) for name, shape in _HEAD.weights.items()}, 64, {})


def _head_bundle(folder: Path, rng: Rng) -> None:
    shipped, files = read_bundle(BUNDLE), _head_files()
    name = str(rng.choice(sorted(files)))
    is_json = name.endswith(".json") and rng.random() < 0.7
    files[name] = mutate_json(json.loads(files[name]), rng) if is_json else _mutate_member(name, files[name], rng)
    write_bundle(folder / "b", files, tables=shipped.tables, labels=shipped.labels, about={})


def _run_head(folder: Path) -> None:
    found = read_head(read_bundle(folder / "b"))
    if found is not None:
        found.head.run(np.ones((3, found.head.config.embedding_size), np.float32))


def _head_stream() -> HeadStream:
    weights = {name: np.ones(shape, np.float32) for name, shape in _HEAD.weights.items()}
    return HeadStream(BundleHead(Head(_HEAD, weights), 64, "0" * 64), 1.0)


def _head_state(folder: Path, rng: Rng) -> None:
    stream, path = _head_stream(), folder / "s.npz"
    stream.push(np.ones(5, np.float32), 1.0)
    stream.save(path)
    path.write_bytes(_mutate_member("s.npz", path.read_bytes(), rng))


def _go_on(folder: Path) -> None:
    stream = _head_stream()
    stream.load(folder / "s.npz")
    stream.push(np.ones(5, np.float32), 2.0)


def _tables(folder: Path, rng: Rng) -> None:
    (folder / "t.json").write_bytes(mutate_json(_released(), rng))


@functools.cache
def _encoded(name: str) -> tuple[bytes, ...]:
    """Return short music in a container, once a sample format."""
    pcm, files = render("jazz", seed=1, seconds=0.6), []
    subtypes = {"WAV": ("PCM_16", "PCM_24", "FLOAT", "PCM_U8", "ULAW"), "FLAC": ("PCM_16", "PCM_24")}
    for subtype in subtypes.get(name, (None,)):
        buffer = io.BytesIO()
        soundfile.write(buffer, pcm, 22050, format=name, subtype=subtype)
        files.append(buffer.getvalue())
    return tuple(files)


def _audio(name: str, ending: str, folder: Path, rng: Rng) -> None:
    files = _encoded(name)
    (folder / f"a.{ending}").write_bytes(mutate_bytes(files[rng.integers(len(files))], rng))


def _piped(folder: Path, rng: Rng) -> None:
    _audio(str(rng.choice(("WAV", "WAV", "WAV", *_ENDINGS))), "raw", folder, rng)


@functools.cache
def _encoded_media(ending: str) -> bytes:
    """Return short music as FFmpeg writes it, by PyAV."""
    import av

    container, codec = _MEDIA[ending]
    buffer, pcm = io.BytesIO(), render("jazz", seed=1, seconds=0.6)
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream(codec, rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.sample_rate = 22050
        stream.bit_rate = 96_000
        stream.codec_context.open()
        resampler = av.AudioResampler(stream.format, stream.layout, 48000, stream.frame_size or None)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def _media(ending: str, folder: Path, rng: Rng) -> None:
    (folder / f"a.{ending}").write_bytes(mutate_bytes(_encoded_media(ending), rng))


def _tagged_mp3(folder: Path, rng: Rng) -> None:
    """Write an MP3 behind a tag whose length is right or damaged, with zeros or noise between."""
    picture = rng.bytes(int(rng.integers(0, 3000)))
    length = int(rng.choice((len(picture), 0, 2**27, rng.integers(2**28))))
    size = bytes(length >> shift & 0x7F for shift in (21, 14, 7, 0))
    junk = bytes(int(rng.integers(0, 1500))) if rng.random() < 0.5 else rng.bytes(int(rng.integers(0, 1500)))
    content = b"ID3\x04\x00\x00" + size + picture + junk + _encoded("MP3")[0]
    (folder / "a.mp3").write_bytes(mutate_bytes(content, rng) if rng.random() < 0.5 else content)


def _read_audio(folder: Path) -> None:
    (path,) = folder.glob("a.*")
    for _ in file_blocks(path, 22050):
        pass


def _read_raw(folder: Path) -> None:
    with (folder / "a.raw").open("rb") as stream:
        for _ in raw_blocks(stream, None, None, None, 22050):
            pass


def _result(folder: Path, rng: Rng) -> None:
    name = str(rng.choice(sorted(_RESULTS)))
    (folder / "a.json").write_bytes(_RESULTS[name])
    (folder / "b.json").write_bytes(mutate_json(json.loads(_RESULTS[name]), rng))


def _read_result(folder: Path) -> None:
    before, after = read_result(folder / "a.json"), read_result(folder / "b.json")
    bundle = read_bundle(BUNDLE)
    format_report([after], bundle).encode()
    if before["kind"] != "parity":
        format_changes("x", compare_results(before, after)).encode()
    check_bundle(after, bundle, "b.json")


def _profile(folder: Path, rng: Rng) -> None:
    text = (_DEVICES / f"{rng.choice(('rpi4', 'esp32-s3'))}.toml").read_text("utf-8")
    (folder / "d.toml").write_bytes(mutate_text(text, rng))


def _read_profile(folder: Path) -> None:
    device_profiles.devices_folder, before = (lambda: folder), device_profiles.devices_folder
    try:
        device_profiles.load_device("d").estimate_ms(1e6)
    finally:
        device_profiles.devices_folder = before
    load_plan("quick")
