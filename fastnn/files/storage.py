"""Arrays and a header in one safetensors file, which contains nothing that can run code.

A file has three parts: an 8-byte little-endian length, a JSON object of that length with every
array's ``dtype``, ``shape`` and ``data_offsets``, and the arrays' bytes, little-endian, in C order
and without gaps.  Our own header is JSON under the key ``"fastnn"`` of ``__metadata__``, which the
format reserves.  The ``safetensors`` library can read our files, and we can read its.

Source: https://github.com/huggingface/safetensors
"""

import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

_DTYPES = {
    "BOOL": np.dtype("?"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_HEADER_LIMIT = 100_000_000  # the format's own
_METADATA = "__metadata__"


def save(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]
) -> None:
    """Write `arrays` and `header` to the file `path`, whole or not at all.

    Parameters
    ----------
    path : path
        The file's name; an existing file is replaced.
    arrays : dict of str to ndarray
        Booleans, integers, float16, float32 or float64, of any shape and strides.
    header : dict
        Anything JSON can hold, which excludes NaN and infinity.

    Raises
    ------
    TypeError
        If the format has no name for an array's type, or JSON cannot hold `header`.
    OSError
        If the file cannot be written; an existing one stays as it was.
    """
    entries, ordered = _lay_out(arrays)
    metadata = {"fastnn": json.dumps(header, allow_nan=False)}
    text = json.dumps({_METADATA: metadata, **entries}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts at a multiple of 8
    if len(text) > _HEADER_LIMIT:
        raise ValueError(f"header has {len(text)} bytes, wanted at most {_HEADER_LIMIT}")

    with whole_file(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for array in ordered:
            file.write(array.reshape(-1).view(np.uint8))


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` when the block ends, and never if the block raises.

    The bytes go to a temporary file in the same directory, which is then renamed.  Readers see the
    old file or the new one, even after a crash.
    """
    target = os.path.realpath(path)
    directory, base = os.path.split(target)
    temporary = os.path.join(directory, f".{base[:200]}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
    )
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def load(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the header of the file `path`.

    The header is an empty dict if another program wrote the file.

    Raises
    ------
    ValueError
        If the file is not a complete and consistent safetensors file.
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start, entries = _read_header(file, size, path)
        header = _own_header(entries.pop(_METADATA, {}), path)
        spans = {name: _span(name, entry, path) for name, entry in entries.items()}
        _check_cover(spans, size - start, path)
        arrays = {}
        for name, (dtype, shape, begin, _) in spans.items():
            file.seek(start + begin)
            array = np.fromfile(file, dtype=dtype, count=math.prod(shape)).reshape(shape)
            arrays[name] = array.astype(dtype.newbyteorder("="), copy=False)
    return arrays, header


def _lay_out(arrays):
    """Return the entries of the JSON header, and the arrays in the order to write them.

    Arrays of wide items come first.  This aligns every array without gaps, which the format
    forbids.
    """
    prepared = {}
    for name, given in arrays.items():
        if not isinstance(name, str) or name == _METADATA:
            raise ValueError(f"arrays has the name {name!r}, wanted text other than {_METADATA!r}")
        array = np.asarray(given)
        dtype = array.dtype.newbyteorder("<")
        if dtype not in _NAMES:
            raise TypeError(f"arrays[{name!r}] has dtype {array.dtype}, wanted a number type")
        prepared[name] = np.asarray(array, dtype=dtype, order="C")
    entries = {}
    ordered = sorted(prepared.items(), key=lambda item: -item[1].itemsize)
    end = 0
    for name, array in ordered:
        begin, end = end, end + array.nbytes
        entries[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    return {name: entries[name] for name in prepared}, [array for _, array in ordered]


def _read_header(file: BinaryIO, size, path):
    """Return where the data starts and the parsed JSON header."""
    if size < 8:
        raise ValueError(f"{path} has {size} bytes, wanted a safetensors file (at least 8)")
    length = int.from_bytes(file.read(8), "little")
    if length > _HEADER_LIMIT:
        raise ValueError(
            f"{path} gives its header {length} bytes, wanted at most {_HEADER_LIMIT}: "
            "it is not a safetensors file"
        )
    if 8 + length > size:
        raise ValueError(f"{path} is cut off: {size} bytes, its header ends at {8 + length}")
    return 8 + length, _json_object(file.read(length), f"the header of {path}")


def _json_object(text, what):
    """Return `text` parsed as one JSON object without repeated keys."""

    def unique(pairs):
        parsed = dict(pairs)
        if len(parsed) != len(pairs):
            raise ValueError("a key appears twice")
        return parsed

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{what} is a JSON {type(value).__name__}, wanted an object")
    return value


def _own_header(metadata, path):
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError(f"{path} has a {_METADATA} that is not an object of strings")
    if "fastnn" not in metadata:
        return {}
    return _json_object(metadata["fastnn"], f"the fastnn header of {path}")


def _span(name, entry, path):
    """Return (dtype, shape, first byte, end) of one array's entry, checked on its own."""
    what = f"{path}: array {name!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{what} has no entry of dtype, shape and data_offsets")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
        known = ", ".join(_DTYPES)
        raise ValueError(f"{what} has dtype {entry['dtype']!r}, wanted one of {known}")
    dtype = _DTYPES[entry["dtype"]]
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _counts(shape):
        raise ValueError(f"{what} has shape {shape!r}, wanted a list of whole numbers")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"{what} has data_offsets {offsets!r}, wanted [begin, end]")
    needed = math.prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != needed:
        raise ValueError(
            f"{what} has {offsets[1] - offsets[0]} bytes, wanted {needed} for shape {shape}"
        )
    return dtype, shape, *offsets


def _counts(values):
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


def _check_cover(spans, n_bytes, path):
    """Refuse arrays that overlap, leave gaps, or do not end where the file ends."""
    end = 0
    for name, (_, _, begin, stop) in sorted(spans.items(), key=lambda item: item[1][2:]):
        if begin != end:
            problem = "overlaps the array before it" if begin < end else "leaves a gap before it"
            raise ValueError(f"{path}: array {name!r} {problem}: begins at {begin}, wanted {end}")
        end = stop
    if end > n_bytes:
        raise ValueError(f"{path} is cut off: {n_bytes} bytes of data, wanted {end}")
    if end < n_bytes:
        raise ValueError(f"{path} has {n_bytes - end} bytes more than its arrays, wanted none")
