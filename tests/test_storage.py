"""The file format: round trips, the safetensors library, and damage."""

import json
import os
import re

import numpy as np
import pytest

import fastnn
from fastnn import Dense, HierarchicalSoftmax, Network
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


def unsigned(content):
    """Return a file as it was written before files had a checksum."""
    end = 8 + int.from_bytes(content[:8], "little")
    head = re.sub(rb'"fastnn-crc32":"[0-9a-f]{8}",', b"", content[8:end].rstrip(b" "))
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + content[end:]


def damaged_or(path, content, expected):
    """Load a damaged file: it is refused as such, or it holds what is expected."""
    path.write_bytes(content)
    try:
        found = load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path} is damaged, or not a safetensors file: ")
        return True
    assert repr(found) == expected
    return False


def test_flipped_bits_are_found(tmp_path):
    path = tmp_path / "model"
    save(path, {"a": np.array([1.5]), "b": np.array([True])}, {"x": 1})
    expected, content = repr(load(path)), bytearray(path.read_bytes())
    for bit in range(0, 8 * len(content), 3):  # in every byte
        content[bit // 8] ^= 1 << bit % 8
        assert damaged_or(path, content, expected), f"bit {bit}"
        content[bit // 8] ^= 1 << bit % 8


def test_larger_damage_is_found(tmp_path):
    path, rng = tmp_path / "model", np.random.default_rng(0)
    save(path, {"a": rng.random(1000), "b": rng.random(1000)}, {"x": 1})
    expected, content = repr(load(path)), path.read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    head, a, b = content[:length], content[length : length + 8000], content[length + 8000 :]
    offsets = b"[0,8000]", b"[8000,16000]"
    misled = head.replace(offsets[0], b"[x]").replace(*offsets[::-1]).replace(b"[x]", offsets[1])
    assert len(misled) == len(head) and misled != head
    damages = [head + b + a, misled + a + b, head + a + a, content[:-8], content + b"\0" * 8]
    damages += [head.replace(b"fastnn-crc32", b"fastnn-crc33") + a + b, head[8:] + a + b]
    for first in range(0, len(content), 512):  # sectors that were never written, or written twice
        damages.append(content[:first] + bytes(512) + content[first + 512 :])
        damages.append(content[:first] + content[:512] + content[first + 512 :])
    damages = [damage for damage in damages if damage != content]
    assert all(damaged_or(path, damage, expected) for damage in damages)


def test_files_without_a_checksum_load_as_before(tmp_path):
    path, old = tmp_path / "model", tmp_path / "old"
    save(path, some_arrays(), {"x": 1})
    old.write_bytes(unsigned(path.read_bytes()))
    assert b"crc32" in path.read_bytes() and b"crc32" not in old.read_bytes()
    assert repr(load(old)) == repr(load(path))


def test_any_changed_byte_of_a_header_without_a_checksum_is_harmless(tmp_path):
    """A damaged header gives a ValueError or arrays within the file; nothing else."""
    save(tmp_path / "model", {"a": np.arange(3.0), "b": np.arange(5, dtype="i1")}, {"x": 1})
    content = bytearray(unsigned((tmp_path / "model").read_bytes()))
    damaged = tmp_path / "damaged"
    for position in range(0, len(content) - 29, 2):
        for value in (0, 0x22, 0x30, 0x7D, 0xFF):
            kept, content[position] = content[position], value
            damaged.write_bytes(content)
            content[position] = kept
            try:
                load(damaged)
            except ValueError as error:
                assert str(damaged) in str(error)


def _networks():
    """Yield trained networks with all that a file can hold."""
    x = np.linspace(-1, 1, 40, dtype=np.float32).reshape(20, 2)
    layers = [Dense(4, "relu"), Dense(1)]
    network = Network(layers, optimizer="adam", preprocessing="standardize", metrics=["mae"])
    network.fit(x, x[:, :1])
    network.extra = {"note": [1, 2.5]}
    yield network
    network = Network(layers)
    network.build(2)
    network.set_weights([[[1, 0, 2, 0], [0] * 4], [0] * 4, np.ones((4, 1)), [0]])
    yield network.compact()
    layers = [Dense(4, "relu"), HierarchicalSoftmax(3)]
    network = Network(layers, loss="softmax_cross_entropy", kernel_regularizer="l2")
    network.fit(x, np.arange(20) % 3)
    yield network


def test_damage_to_networks_is_found(tmp_path):
    path, rng = tmp_path / "network", np.random.default_rng(0)
    for network in _networks():
        network.save(path)
        content = bytearray(path.read_bytes())
        for bit in rng.integers(0, 8 * len(content), 100):
            content[bit // 8] ^= 1 << bit % 8
            path.write_bytes(content)
            with pytest.raises(ValueError, match="network is damaged, or not a safetensors file: "):
                fastnn.load(path)
            content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(unsigned(content))
        fastnn.load(path).save(path)  # a file of an older version, written again
        assert path.read_bytes() == content


def test_arrays_that_do_not_fit_a_network_are_refused(tmp_path):
    path = tmp_path / "network"
    next(_networks()).save(path)
    arrays, header = load(path)
    for name in ("layers.0.bias", "optimizer.layers.0.bias.m"):
        for other in (arrays[name][:1], arrays[name].astype(np.float64)):
            save(path, arrays | {name: other}, header)
            with pytest.raises(ValueError, match=r"network: layers.0.bias.* is float.*, wanted"):
                fastnn.load(path)


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
        (
            {"__metadata__": {"fastnn": '{"a": 1e999}'}},
            "the fastnn header is not valid JSON: it has",
        ),
        ({"__metadata__": {"fastnn": '{"a": NaN}'}}, "the fastnn header is not valid JSON: it "),
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
