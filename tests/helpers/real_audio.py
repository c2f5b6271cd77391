"""Audio files as they are met in the wild, written by FFmpeg from one piece of toy music."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import soundfile

from edgegenre.toy.dataset import render

__all__ = ["FFMPEG", "decoded_by_ffmpeg", "encode", "write_piece"]

FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error"]


def write_piece(path: Path, seconds: float) -> Path:
    """Write a piece of toy music as a 16-bit WAV at 22050 Hz."""
    soundfile.write(path, render("disco", 0, seconds), 22050)
    return path


def encode(source: Path, out: Path, *options: str, repeat: int = 0) -> Path:
    """Convert ``source``, played ``repeat`` times more, to ``out`` with more of FFmpeg's options."""
    loop = ["-stream_loop", str(repeat)] if repeat else []
    subprocess.run([*FFMPEG, *loop, "-i", str(source), *options, str(out)], check=True)
    return out


def decoded_by_ffmpeg(path: Path) -> np.ndarray:
    """Return what FFmpeg decodes, float32 [n] interleaved."""
    command = [*FFMPEG, "-i", str(path), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, "<f4")
