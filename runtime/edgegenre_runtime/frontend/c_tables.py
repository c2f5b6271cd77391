"""Tables for the C implementation: a header of constants for firmware, and a binary blob for everything else.

Both hold the same sections. What C needs beyond :class:`Tables` is derived here from the same integers, exactly: the
quarter sine unfolded into twiddles stage by stage, and bands padded with zero weights to multiples of four.

Layout of a table blob, little-endian; the sections follow each other in the order of :func:`_sections`::

    0   magic "EGMELTAB"        36  n_mels               68  norm_limit_q9
    8   blob version (1)        40  fmin_hz              72  number of band weights
    12  bytes of the blob       44  fmax_hz              76  log2 segments (64)
    16  CRC-32 of bytes 20 …    48  frames_per_window    80  spec hash, 32 bytes
    20  spec version            52  top_db              112  zeros up to 128
    24  sample_rate_hz          56  silence_dbfs        128  sections
    28  n_fft                   60  silence_q9
    32  hop_samples             64  norm_gain_q22
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .fft import twiddles_q31
from .tables import LOG2_SEGMENT_BITS, Tables

__all__ = ["BLOB_VERSION", "c_header", "stage_twiddles_q31", "table_blob"]

BLOB_VERSION = 1
_MAGIC = b"EGMELTAB"
_CRC_FROM = 20
_BAND_MULTIPLE = 4
_C_TYPES = {"i4": "int32_t", "u2": "uint16_t", "i2": "int16_t"}


def stage_twiddles_q31(tables: Tables) -> npt.NDArray[np.int64]:
    """Return the twiddles of every radix-4 stage but the first, int64 [n_fft - 8].

    For ``q = 4, 16 … n_fft / 8`` and ``p = 1, 2, 3``: the cosines [q], then the sines [q] of ``2 pi p j / (4 q)``.
    """
    parts: list[npt.NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    q = 4
    while q < tables.spec.n_fft // 2:
        for p in (1, 2, 3):
            parts += twiddles_q31(tables, tables.spec.n_fft // (4 * q) * p * np.arange(q))
        q *= 4
    return np.concatenate(parts)


def _padded_bands(tables: Tables) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return groups of four weights in each band [M], and the weights with zeros behind each band."""
    groups = -(-tables.band_length.astype(np.int64) // _BAND_MULTIPLE)
    rows = np.split(tables.band_weight.astype(np.int64), np.cumsum(tables.band_length.astype(np.int64))[:-1])
    padded = [np.pad(row, (0, int(n) * _BAND_MULTIPLE - len(row))) for row, n in zip(rows, groups, strict=True)]
    return groups, np.concatenate(padded)


def _sections(tables: Tables) -> list[tuple[str, str, npt.NDArray[Any]]]:
    """Return name, NumPy type and values of each array, widest type first so that all lie aligned."""
    groups, weights = _padded_bands(tables)
    return [
        ("quarter_sine_q31", "i4", tables.quarter_sine_q31),
        ("twiddle_q31", "i4", stage_twiddles_q31(tables)),
        ("band_offset_q15", "i4", tables.band_offset_q15),
        ("band_start", "u2", tables.band_start),
        ("band_groups", "u2", groups),
        ("window_q15", "i2", tables.window_q15),
        ("band_weight", "u2", weights),
        ("log2_q15", "u2", tables.log2_q15),
    ]


def _n_weights(sections: list[tuple[str, str, npt.NDArray[Any]]]) -> int:
    return next(len(values) for name, _, values in sections if name == "band_weight")


def table_blob(tables: Tables) -> bytes:
    """Return the binary table blob that ``edgegenre_mel_tables_from_blob`` reads."""
    spec, sections = tables.spec, _sections(tables)
    n_weights = _n_weights(sections)
    header = struct.pack(
        "<9I4i2I32s16x",
        *(spec.version, spec.sample_rate_hz, spec.n_fft, spec.hop_samples, spec.n_mels),
        *(spec.fmin_hz, spec.fmax_hz, spec.frames_per_window, spec.top_db),
        *(spec.silence_dbfs, tables.silence_q9, tables.norm_gain_q22, tables.norm_limit_q9),
        *(n_weights, 2**LOG2_SEGMENT_BITS, bytes.fromhex(tables.spec_hash)),
    )
    body = header + b"".join(values.astype(f"<{kind}").tobytes() for _, kind, values in sections) + bytes(2)
    return _MAGIC + struct.pack("<3I", BLOB_VERSION, _CRC_FROM + len(body), zlib.crc32(body)) + body


def _c_array(c_type: str, name: str, values: Sequence[int]) -> str:
    lines = [", ".join(map(str, values[i : i + 16])) for i in range(0, len(values), 16)]
    return f"static const {c_type} {name}[{max(len(values), 1)}] = {{\n    " + (",\n    ".join(lines) or "0") + "};\n"


def c_header(tables: Tables, name: str | None = None) -> str:
    """Return a C header that defines ``edgegenre_mel_<name>`` and the size of its arena.

    Parameters
    ----------
    name
        A C identifier; the spec's name if not given.
    """
    spec, name = tables.spec, name or tables.spec.name
    prefix, sections = f"edgegenre_mel_{name}", _sections(tables)
    guard = f"EDGEGENRE_MEL_TABLES_{name.upper()}_H"
    sizes = f"{spec.n_fft}u, {spec.n_mels}u, {spec.frames_per_window}u"
    n_weights = _n_weights(sections)
    scalars = {
        **{key: f"{getattr(spec, key)}u" for key in ("sample_rate_hz", "n_fft", "hop_samples", "n_mels")},
        "frames_per_window": f"{spec.frames_per_window}u",
        "n_weights": f"{n_weights}u",
        **{key: str(getattr(tables, key)) for key in ("silence_q9", "norm_gain_q22", "norm_limit_q9")},
        "spec_sha256": "{" + ", ".join(str(byte) for byte in bytes.fromhex(tables.spec_hash)) + "}",
    }
    fields = [f"{spec.version}u", *scalars.values(), *(f"{prefix}_{section}" for section, _, _ in sections)]
    return (
        f"/* Generated by edgegenre_runtime.frontend.c_tables: do not edit.\n"
        f" * Front-end {spec.name}, hash {tables.spec_hash}. */\n"
        f'#ifndef {guard}\n#define {guard}\n\n#include "edgegenre_mel.h"\n\n'
        f"#define {prefix.upper()}_ARENA_BYTES EDGEGENRE_MEL_ARENA_BYTES({sizes})\n"
        f"#define {prefix.upper()}_CELLS {spec.n_mels * spec.frames_per_window}u\n\n"
        + "\n".join(_c_array(_C_TYPES[kind], f"{prefix}_{key}", values.tolist()) for key, kind, values in sections)
        + f"\nstatic const edgegenre_mel_tables {prefix} = {{\n    "
        + ",\n    ".join(fields)
        + "};\n\n#endif\n"
    )
