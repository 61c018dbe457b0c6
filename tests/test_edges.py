"""Properties that every kernel must have, besides computing the right numbers."""

import numpy as np
import pytest

from tests.cases import BY_NAME, CASES, DTYPES, copied, shapes

CHUNKS = (2, 3, 5)

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def _each(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@_each(CASES)
def test_a_second_call_compiles_nothing(case):
    for number, shape in enumerate(shapes(case.dimensions)[-2:]):
        for dtype in DTYPES:
            case.compiled(*case.make(np.random.default_rng(number), dtype, *shape).values())
        if number == 0:
            before = list(case.compiled.signatures)
    assert case.compiled.signatures == before


@_each(CASES)
def test_the_contract_says_what_is_read_before_it_is_written(case):
    made = case.make(np.random.default_rng(9), np.float64, *shapes(case.dimensions)[-1])
    for argument in case.contract.arguments:
        if not argument.written:
            continue
        before, ends = (-1, 2), []
        for value in before:
            given = copied(made)
            given[argument.name][...] = value
            case.compiled(*given.values())
            ends.append({name: given[name] for name in case.outputs})
        if not argument.updated:  # then parts may be left to other threads, but for those nothing
            one, other = (end[argument.name] for end in ends)
            left = (one == before[0]) & (other == before[1])
            one[left] = other[left] = 0
        same = [np.array_equal(*(end[name] for end in ends), equal_nan=True) for name in ends[0]]
        assert all(same) is not argument.updated, argument.name


def _parts(case, arguments, edges):
    """Return the arguments of every part of a call that is split at `edges`."""
    places = {argument.name for argument in case.contract.arguments if argument.place}
    for begin, end in zip(edges, edges[1:], strict=False):
        part = {
            name: value[begin:end]
            for name, value in arguments.items()
            if isinstance(value, np.ndarray) and name not in case.whole
        }
        part |= {name: arguments[name] + begin for name in places}
        yield (arguments | part).values()


@each_dtype
@_each([case for case in CASES if case.splits])
def test_the_same_bits_however_the_work_is_split(case, dtype):
    rng = np.random.default_rng(5)
    for shape in shapes(case.dimensions):
        arguments = case.make(rng, dtype, *shape)
        whole = copied(arguments)
        case.compiled(*whole.values())
        for chunks in CHUNKS:
            cut = copied(arguments)
            inner = sorted(rng.integers(0, shape[0] + 1, chunks - 1))
            for part in _parts(case, cut, [0, *inner, shape[0]]):
                case.compiled(*part)
            for name in case.outputs:
                assert cut[name].tobytes() == whole[name].tobytes(), (name, shape, chunks)


@_each([case for case in CASES if "relu" in case.name])
def test_a_leaky_slope_agrees_with_the_reference(case):
    shape = (7, 33)
    arguments = case.make(np.random.default_rng(8), np.float32, *shape)
    arguments["slope"] = 0.25  # a power of two, so that nothing is rounded
    compiled, reference = copied(arguments), copied(arguments)
    case.compiled(*compiled.values())
    case.reference(*reference.values())
    np.testing.assert_array_equal(compiled[case.outputs[0]], reference[case.outputs[0]])
    assert (compiled[case.outputs[0]] < 0).any()


def test_rectified_infinity_is_zero():
    out = np.full((1, 3), np.nan)
    BY_NAME["relu_forward"].compiled(np.array([[-np.inf, np.inf, np.nan]]), 0.0, out)
    np.testing.assert_array_equal(out, [[0.0, np.inf, np.nan]])
