"""The file format: round trips, the safetensors library, damage, and whole-or-nothing writes."""

import json
import os
import re
import stat

import numpy as np
import pytest

from fastnn.files import storage
from fastnn.files.storage import load, save

DTYPES = "? i1 u1 i2 u2 i4 u4 i8 u8 f2 f4 f8".split()


def some_arrays():
    rng = np.random.default_rng(0)
    arrays = {f"array {d}": rng.integers(0, 2, (3, 5)).astype(d) for d in DTYPES}
    arrays["one byte"] = np.ones(1, "u1")
    arrays["scalar"] = np.array(3.5)
    arrays["empty"] = np.ones((0, 4), "f4")
    arrays["transposed"] = np.arange(6.0).reshape(2, 3).T
    arrays["backwards"] = np.arange(6, dtype="i2")[::-2]
    arrays["big end first"] = np.arange(3, dtype=">f4")
    arrays["ünïcode/名"] = np.array([np.nan, np.inf, -0.0])
    return arrays


def write(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    path.write_bytes(length.to_bytes(8, "little") + text + data)


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_round_trip(tmp_path):
    header = {"layers": [{"units": 3}], "rate": 0.1, "name": "ü\n", "none": None}
    save(tmp_path / "model", some_arrays(), header)
    arrays, loaded = load(tmp_path / "model")
    assert loaded == header
    assert list(arrays) == list(some_arrays())
    for name, array in some_arrays().items():
        np.testing.assert_array_equal(arrays[name], array, strict=array.dtype.isnative)
        assert arrays[name].shape == array.shape
        assert arrays[name].dtype.isnative
        assert arrays[name].flags.writeable and arrays[name].flags.c_contiguous
    assert np.signbit(arrays["ünïcode/名"][2])


def test_nothing_at_all(tmp_path):
    save(str(tmp_path / "model"), {}, {})
    assert load(str(tmp_path / "model")) == ({}, {})


def test_every_array_is_aligned(tmp_path):
    save(tmp_path / "model", some_arrays(), {})
    content = (tmp_path / "model").read_bytes()
    length = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + length])
    assert (8 + length) % 8 == 0
    for name, array in some_arrays().items():
        assert entries[name]["data_offsets"][0] % array.itemsize == 0


def test_equal_contents_give_equal_files(tmp_path):
    for name in "ab":
        save(tmp_path / name, some_arrays(), {"x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_safetensors_library_reads_ours(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    numpy = pytest.importorskip("safetensors.numpy")
    save(tmp_path / "model", some_arrays(), {"units": 3})
    theirs = numpy.load_file(tmp_path / "model")
    assert set(theirs) == set(some_arrays())
    for name, array in some_arrays().items():
        np.testing.assert_array_equal(theirs[name], array)
    with safetensors.safe_open(tmp_path / "model", "numpy") as file:
        assert json.loads(file.metadata()["fastnn"]) == {"units": 3}


def test_we_read_the_safetensors_library(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    theirs = {
        name: np.array(array, array.dtype.newbyteorder("="), order="C")
        for name, array in some_arrays().items()
    }
    numpy.save_file(theirs, tmp_path / "model", metadata={"format": "np"})
    arrays, header = load(tmp_path / "model")
    assert header == {} and set(arrays) == set(theirs)
    for name, array in theirs.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_cut_off_anywhere(tmp_path):
    save(tmp_path / "model", {"a": np.arange(3.0), "b": np.arange(5, dtype="i1")}, {"x": 1})
    content = (tmp_path / "model").read_bytes()
    short = tmp_path / "short"
    for size in range(len(content)):
        short.write_bytes(content[:size])
        with pytest.raises(ValueError, match=re.escape(str(short))):
            load(short)
    short.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="has 1 bytes more than its arrays, wanted none"):
        load(short)


def test_any_changed_byte_of_the_header_is_harmless(tmp_path):
    """A damaged header gives a ValueError or arrays within the file; nothing else."""
    save(tmp_path / "model", {"a": np.arange(3.0), "b": np.arange(5, dtype="i1")}, {"x": 1})
    content = bytearray((tmp_path / "model").read_bytes())
    damaged = tmp_path / "damaged"
    for position in range(len(content) - 29):
        for value in (0, 0x22, 0x30, 0x7D, 0xFF):
            kept, content[position] = content[position], value
            damaged.write_bytes(content)
            content[position] = kept
            try:
                load(damaged)
            except ValueError as error:
                assert str(damaged) in str(error)


A = entry("F32", [2], 0, 8)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"{", "its header is not valid JSON: "),
        (b"\xff\xfe", "its header is not valid JSON: "),
        (b"[" * 100_000, "its header is not valid JSON: "),
        (b'{"a": 1, "a": 1}', "its header is not valid JSON: a key appears twice"),
        (b"[]", "its header is a JSON list, wanted an object"),
        ({"__metadata__": []}, "its __metadata__ is not an object of strings"),
        ({"__metadata__": {"a": 1}}, "its __metadata__ is not an object of strings"),
        ({"__metadata__": {"fastnn": "{"}}, "the fastnn header is not valid JSON: "),
        ({"__metadata__": {"fastnn": "3"}}, "the fastnn header is a JSON int, wanted"),
        ({"a": 3}, "array 'a' has no entry of dtype, shape and data_offsets"),
        ({"a": {"dtype": "F32"}}, "array 'a' has no entry of dtype, shape and data_offsets"),
        ({"a": entry("F31", [2], 0, 8)}, "array 'a' has dtype 'F31', wanted one of BOOL, "),
        ({"a": entry(["F32"], [2], 0, 8)}, "array 'a' has dtype ['F32'], wanted one of"),
        ({"a": entry("BF16", [4], 0, 8)}, "array 'a' has dtype 'BF16', wanted one of"),
        ({"a": entry("F32", 2, 0, 8)}, "array 'a' has shape 2, wanted a list of whole"),
        ({"a": entry("F32", [-2], 0, 8)}, "array 'a' has shape [-2], wanted a list of"),
        ({"a": entry("F32", [2.0], 0, 8)}, "array 'a' has shape [2.0], wanted a list"),
        ({"a": entry("F32", [True], 0, 4)}, "array 'a' has shape [True], wanted a list"),
        ({"a": entry("F32", [2], 8, 0)}, "array 'a' has data_offsets [8, 0], wanted [be"),
        ({"a": entry("F32", [2], -8, 0)}, "array 'a' has data_offsets [-8, 0], wanted"),
        ({"a": {**A, "data_offsets": [0]}}, "array 'a' has data_offsets [0], wanted [be"),
        ({"a": entry("F32", [3], 0, 8)}, "array 'a' has 8 bytes, wanted 12 for shape [3]"),
        ({"a": entry("F32", [2**40], 0, 2**42)}, "it is cut off: 8 bytes of data, wanted 43980"),
        ({"a": entry("F64", [2], 0, 16)}, "it is cut off: 8 bytes of data, wanted 16"),
        ({"a": A, "b": A}, "array 'b' overlaps the array before it: begins at 0, wanted 8"),
        (
            {"a": entry("U8", [4], 4, 8)},
            "array 'a' leaves a gap before it: begins at 4, wanted 0",
        ),
        ({"a": entry("U8", [4], 0, 4)}, "it has 4 bytes more than its arrays, wanted none"),
    ],
)
def test_damaged_headers(tmp_path, header, message):
    path = tmp_path / "model"
    write(path, header, data=bytes(8))
    message = f"{path} is damaged, or not a safetensors file: {message}"
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        load(path)


def test_lengths_that_are_no_headers(tmp_path):
    path = tmp_path / "model"
    write(path, {}, length=2**63)
    with pytest.raises(ValueError, match="file: its header has 9223372036854775808 bytes, wanted"):
        load(path)
    write(path, {}, length=3)
    with pytest.raises(ValueError, match="is cut off: 10 bytes, its header ends at 11$"):
        load(path)
    path.write_bytes(b"abc")
    with pytest.raises(ValueError, match="file: it has 3 bytes, wanted at least 8$"):
        load(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_what_cannot_be_stored(tmp_path):
    path = tmp_path / "model"
    path.write_text("before")
    cases = [
        (
            TypeError,
            {"a": np.array(["x"])},
            {},
            r"arrays\['a'\] has dtype <U1, wanted a number type",
        ),
        (TypeError, {"a": np.array([1j])}, {}, r"arrays\['a'\] has dtype complex128, wanted"),
        (TypeError, {"a": np.array([None])}, {}, r"arrays\['a'\] has dtype object, wanted"),
        (ValueError, {3: np.ones(1)}, {}, "arrays has the name 3, wanted text other than"),
        (
            ValueError,
            {"__metadata__": np.ones(1)},
            {},
            "arrays has the name '__metadata__', wanted",
        ),
        (TypeError, {}, {"a": object()}, "not JSON serializable"),
        (ValueError, {}, {"a": np.nan}, "not JSON compliant"),
    ]
    for kind, arrays, header, message in cases:
        with pytest.raises(kind, match=message):
            save(path, arrays, header)
    assert os.listdir(tmp_path) == ["model"] and path.read_text() == "before"


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model"
    save(path, {"a": np.ones(2)}, {"version": 1})
    for function in ("fsync", "replace"):

        def fail(*arguments):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(storage.os, function, fail)
            with pytest.raises(KeyboardInterrupt):
                save(path, {"a": np.zeros(2)}, {"version": 2})
        assert os.listdir(tmp_path) == ["model"]
        assert load(path)[1] == {"version": 1}
    with pytest.raises(OSError):
        save(tmp_path, {}, {})
    with pytest.raises(FileNotFoundError):
        save(tmp_path / "nowhere" / "model", {}, {})
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX systems")
def test_permissions_follow_the_umask(tmp_path):
    for mask in (0o022, 0o077):
        old = os.umask(mask)
        try:
            save(tmp_path / "model", {}, {})
        finally:
            os.umask(old)
        assert stat.S_IMODE(os.stat(tmp_path / "model").st_mode) == 0o666 & ~mask


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "model")
    save(tmp_path / "link", {}, {"x": 1})
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "folder" / "model")[1] == {"x": 1}


def test_a_long_name(tmp_path):
    path = tmp_path / ("m" * 255)
    save(path, {}, {})
    assert load(path) == ({}, {})
