"""The kernels' doors: calls from Python that must be refused, and calls that must be right."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn.kernels import KERNELS
from fastnn.kernels.contract import Argument, length_of
from tests.cases import BY_NAME, DTYPES, Case, assert_agree, copied
from tests.guard import GuardedRegion

LENGTHS = (0, 1, 1, 2, 3, 4, 5, 8, 17)
FAULTS = 8
"""Wrong calls of a kernel in one case."""

_NO_NUMBERS = None, "1", 1j, [1.0], np.array(1.0), np.complex64(1), np.float16(1), 2**70, -(2**70)
_NO_INTEGERS = 1.0, np.nan, np.float32(2), 2**63, np.uint64(2**64 - 1)
_NO_FLOATS = np.nan, float("inf"), -float("inf"), 1e40, -1e40, np.float32("nan")
_OTHER_DTYPES = {
    "": ("i8", "i4", "f2", "c8", "O", "?", ">f4"),
    "any": ("f2", "c8", "O", ">f8", "M8[s]", "U3"),
    "index": ("f8", "?", "u8", "O", ">i8"),
    "float64": ("f4", "i8", ">f8", "O"),
    "float32": ("f8", "i4", ">f4", "O"),
    "int64": ("i4", "u8", "f8", ">i8"),
}


def wrong(case: Case, made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is wrong, and the arguments that are, of wrong calls with one fault each."""
    arguments = case.contract.arguments
    lengths = {
        axis: length
        for argument in arguments
        for axis, length in zip(argument.axes, np.shape(made[argument.name]), strict=True)
    }
    told = [
        letter  # a length of 0 leaves the other one of a product open
        for argument in arguments
        for axis in argument.axes
        for letter in axis
        if all(lengths.get(other) != 0 for other in axis if other != letter)
    ]
    shared = {letter for letter in told if told.count(letter) > 1 or letter.isdigit()}
    floats = [argument.name for argument in arguments if argument.shares_dtype]
    for argument in arguments:
        name, value = argument.name, made[argument.name]
        if argument.scalar:
            faults = (("number", bad) for bad in _numbers(argument))
        else:
            faults = _arrays(argument, value, shared, lengths, len(floats) > 1)
        for what, bad in faults:
            yield f"{name}: {what}", {name: bad}
    arrays = [argument for argument in arguments if not argument.scalar]
    for place, one in enumerate(arrays):
        for other in arrays[place + 1 :]:
            if one.written or other.written:
                yield from _overlapping(one, other, made, arrays[-1])


def _numbers(argument: Argument) -> Iterator[Any]:
    """Yield what is no such number."""
    low, high = argument.range
    yield from _NO_NUMBERS
    if argument.integer:
        yield from _NO_INTEGERS
        yield from (low - 1, high + 1)
    else:
        yield from (bad for bad in _NO_FLOATS if not low <= bad <= high)
        yield from (bad for bad in (-1.0, -0.1, 0.0, 1e-50, 1.0, 2**63) if not low <= bad <= high)


def _arrays(
    argument: Argument, value: np.ndarray, shared: set[str], lengths: dict[str, int], mixes: bool
) -> Iterator[tuple[str, Any]]:
    """Yield arrays that are wrong in place of a right one, and why."""
    for axis, letters in enumerate(argument.axes):
        first = value.take([0] if value.shape[axis] else [], axis)
        for what, bad in {
            "short by one": np.delete(value, -1, axis) if value.shape[axis] else value,
            "one more": np.concatenate([value, first], axis),
            "empty": value.take([], axis),
        }.items():
            bound = len(letters) > 1 or letters in shared
            if bad.shape != value.shape and bound and not (argument.optional and not bad.size):
                yield f"{what}, axis {axis}", np.ascontiguousarray(bad)
    for bad in (value[np.newaxis], value[..., np.newaxis], value.reshape(-1)):
        if bad.ndim != value.ndim:
            yield f"{bad.ndim} axes", bad
    for bad in (None, 1.0, value.tolist()):
        yield type(bad).__name__, bad
    form = "any" if argument.any_dtype else "index" if argument.below else argument.dtype
    others = list(_OTHER_DTYPES[form])
    if not form and mixes:
        others.append("f8" if value.dtype == np.float32 else "f4")
    with np.errstate(all="ignore"):
        for dtype in others:
            yield dtype, np.zeros(value.shape, dtype)
    apart = np.repeat(value, 2, axis=-1)[..., ::2]
    if not argument.strided and not apart.flags.c_contiguous:
        yield "with gaps", apart
    if argument.written:
        fixed = value.copy()
        fixed.flags.writeable = False
        yield "read-only", fixed
    if argument.below and value.size:
        info = np.iinfo(value.dtype)
        for index in (-1, length_of(argument.below, lengths), info.min, info.max):
            bad = value.copy()
            bad[-1] = index
            yield f"index {index}", bad


def _overlapping(
    one: Argument, other: Argument, made: dict[str, Any], last: Argument
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield two arrays that share memory, and must not."""
    first, second = made[one.name], made[other.name]
    if first.dtype != second.dtype or not first.size or not second.size:
        return
    both = np.zeros(first.size + second.size - 1, first.dtype)
    both[: first.size], both[first.size :] = first.ravel(), second.ravel()[1:]
    begin, end = both[: first.size], both[first.size - 1 :]
    pair = begin.reshape(first.shape), end.reshape(second.shape)
    if both.size > 1 or not one.overlaid:
        bad = {one.name: pair[0], other.name: pair[1]}
        yield f"{one.name}, {other.name}: overlapping", bad
    if first.shape == second.shape and not (one.overlaid and other is last):
        again = first.copy()
        yield f"{one.name}, {other.name}: the same", {one.name: again, other.name: again}


def call_wrongly(case: Case, given: dict[str, Any], names: tuple[str, ...], what: str) -> Exception:
    """Return the error of a wrong call; fail unless it names an argument and writes nothing."""
    arrays = [value for value in given.values() if isinstance(value, np.ndarray)]
    before = [value.tobytes() for value in arrays]
    try:
        KERNELS[case.name](*given.values())
    except (TypeError, ValueError) as error:
        said = str(error)
        assert said.startswith(f"{case.name}: ") and any(name in said for name in names), said
        assert [value.tobytes() for value in arrays] == before, what
        return error
    raise AssertionError(f"{case.name}, {what}: no error")


@functools.cache
def _region(number: int) -> GuardedRegion:
    return GuardedRegion(2**16)


def _placed(given: dict[str, Any], end: str) -> dict[str, Any]:
    """Return the arguments with arrays between guard pages, but for those that cannot be there."""

    def placed(number: int, value: Any) -> Any:
        if type(value) is not np.ndarray or value.dtype.kind not in "iuf":
            return value
        flags = value.flags
        if not (flags.c_contiguous and flags.aligned and flags.writeable and flags.owndata):
            return value
        return _region(number).place(value, end)

    return {name: placed(number, value) for number, (name, value) in enumerate(given.items())}


def call_anyhow(case: Case, rng: np.random.Generator) -> int:
    """Call a kernel rightly, then wrongly; return how many wrong calls were refused."""
    shape = tuple(int(length) for length in rng.choice(LENGTHS, case.dimensions))
    dtype, end = rng.choice(DTYPES), rng.choice(["first", "last"])
    try:
        made = case.make(rng, dtype, *shape)
    except ValueError:  # labels of no class
        shape = tuple(max(length, 1) for length in shape)
        made = case.make(rng, dtype, *shape)
    right, expected = _placed(copied(made), end), copied(made)
    if any(a.filled and not made[a.name].size for a in case.contract.arguments):
        call_wrongly(case, right, tuple(made), "nothing")
        return 1
    KERNELS[case.name](*right.values())
    with np.errstate(all="ignore"):
        case.reference(*expected.values())
    for name, value in expected.items():
        if name in case.outputs:
            assert_agree(case, shape, right[name], value)
        elif isinstance(value, np.ndarray):
            np.testing.assert_array_equal(right[name], value)
    faults = list(wrong(case, made))
    for _ in range(FAULTS):
        what, bad = faults[rng.integers(len(faults))]
        more, worse = faults[rng.integers(len(faults))] if rng.random() < 0.3 else ("", {})
        given = _placed(copied(made), end) | bad
        if not worse.keys() & bad.keys() and not _heals(bad, worse):
            given, what = given | worse, f"{what} and {more}"
        call_wrongly(case, given, tuple(given), what)
    return FAULTS


def _heals(bad: dict[str, Any], worse: dict[str, Any]) -> bool:
    """Return whether two faults may be none: arrays of other shapes or dtypes that fit again."""
    changed = [value for value in (*bad.values(), *worse.values())]
    return bool(worse) and sum(isinstance(value, np.ndarray) for value in changed) > 1


def kernels_doors(checked: Any) -> None:
    """A public kernel does what its twin does, or says what is wrong and writes nothing."""
    rng = np.random.default_rng(checked.case.seed)
    case = list(BY_NAME.values())[rng.integers(len(BY_NAME))]
    checked.counts["wrong calls of kernels"] += call_anyhow(case, rng)
