"""JSON and .npz from outside: one kind of error for whatever is wrong."""

import io
import json
import zipfile

import numpy as np
import pytest

from edgegenre_runtime.file_formats import parse_json, read_npz


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_json_of_any_utf_is_read():
    assert parse_json('{"a": "é"}'.encode("utf-16")) == {"a": "é"}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\xff", b"[" * 100_000, b"1" * 10_000])
def test_json_that_is_none_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"\w"):
        parse_json(content)


def test_the_arrays_asked_for_are_read(tmp_path):
    (tmp_path / "a.npz").write_bytes(npz(x=np.arange(3), y=np.zeros(2)))
    assert list(read_npz(tmp_path / "a.npz", ["y"])) == ["y"]
    assert read_npz(io.BytesIO(npz(x=np.arange(3))))["x"].tolist() == [0, 1, 2]
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "b.npz")


def member(content, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("x.npy", content)
    return buffer.getvalue()


HEADER = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }" + b" " * 20
LZMA = bytearray(member(b"x" * 500, zipfile.ZIP_LZMA))
LZMA[45:60] = b"\xff" * 15


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        npz(x=np.arange(3))[:-30],
        member(b"no array"),
        member(HEADER % b"9" * 12),
        member(b"\x93NUMPY\x01\x00\x02\x00{("),
        bytes(LZMA),
        json.dumps([1]).encode(),
        npz(y=np.arange(3)),
    ],
    ids=["empty", "cut", "cut directory", "no npy", "terabytes", "half a header", "lzma", "json", "other arrays"],
)
def test_an_npz_that_is_none_is_a_value_error(content):
    with pytest.raises(ValueError, match=r"not an \.npz archive"):
        read_npz(io.BytesIO(content), ["x"])
