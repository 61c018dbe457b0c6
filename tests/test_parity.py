"""Every compiled kernel against its NumPy twin, and the two packages name by name."""

import inspect
import pkgutil

import numba
import numpy as np
import pytest

import fastnn.kernels
import fastnn.reference
from fastnn.kernels.jit import njit
from tests.cases import CASES, DTYPES, assert_agree, copied, shapes

FILES = sorted({case.module for case in CASES})
EXTREMES = (np.nan, np.inf, -np.inf, 1e4, -1e4, 0.0, -0.0, 1e-30)

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def _files(package):
    return {module.name for module in pkgutil.iter_modules(package.__path__)}


def _signatures(package, file):
    """Return the signature of every kernel of a module."""
    table = package.COMPILED if package is fastnn.kernels else package.TWINS
    functions = {name: getattr(value, "py_func", value) for name, value in table.items()}
    return {
        name: inspect.signature(function)
        for name, function in functions.items()
        if function.__module__ == f"{package.__name__}.{file}"
    }


def test_the_packages_have_the_same_files():
    assert _files(fastnn.reference) == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_the_packages_have_the_same_signatures(file):
    assert _signatures(fastnn.kernels, file) == _signatures(fastnn.reference, file)


def _check(case, shape, arguments):
    """Run both forms on the arguments and compare all arrays, the inputs too."""
    compiled, reference = copied(arguments), copied(arguments)
    case.compiled(*compiled.values())
    with np.errstate(all="ignore"):
        case.reference(*reference.values())
    for name, before in arguments.items():
        if name in case.outputs:
            assert compiled[name].dtype == before.dtype
            assert_agree(case, shape, compiled[name], reference[name])
        elif isinstance(before, np.ndarray):
            np.testing.assert_array_equal(compiled[name], before)
            np.testing.assert_array_equal(reference[name], before)


@each_dtype
@each_case
def test_agrees_with_the_reference(case, dtype):
    rng = np.random.default_rng(1)
    for shape in shapes(case.dimensions):
        _check(case, shape, case.make(rng, dtype, *shape))


@each_dtype
@each_case
def test_agrees_on_extreme_values(case, dtype):
    rng = np.random.default_rng(2)
    for shape in shapes(case.dimensions):
        arguments = case.make(rng, dtype, *shape)
        for value in arguments.values():
            if isinstance(value, np.ndarray) and value.dtype == dtype:
                count = -(-value.size // 10)
                value.flat[rng.integers(0, max(value.size, 1), count)] = rng.choice(EXTREMES, count)
        _check(case, shape, arguments)


@each_dtype
@each_case
def test_writes_over_its_input(case, dtype):
    rng = np.random.default_rng(3)
    for output, source in case.overlays:
        for shape in shapes(case.dimensions):
            arguments = case.make(rng, dtype, *shape)
            apart, over, reference = (copied(arguments) for _ in range(3))
            over[output], reference[output] = over[source], reference[source]
            case.compiled(*apart.values())
            case.compiled(*over.values())
            case.reference(*reference.values())
            np.testing.assert_array_equal(over[output], apart[output])
            assert_agree(case, shape, over[output], reference[output])


@pytest.mark.long
@each_case
def test_takes_read_only_inputs(case):
    rng = np.random.default_rng(4)
    shape = shapes(case.dimensions)[-1]
    arguments = case.make(rng, np.float32, *shape)
    expected = copied(arguments)
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and name not in case.outputs:
            value.flags.writeable = False
    case.compiled(*arguments.values())
    case.compiled(*expected.values())
    for name in case.outputs:
        np.testing.assert_array_equal(arguments[name], expected[name])


def _llvm_code(case, arguments):
    """Return the optimized code of a call."""
    kinds = tuple(map(numba.typeof, arguments.values()))
    compiled = case.compiled
    if compiled.stats.cache_misses[kinds]:  # the tests above have compiled it
        return compiled.inspect_llvm(kinds)
    # Code from the cache is not known.
    fresh = njit(compiled.py_func, fastmath=compiled.targetoptions["fastmath"], cached=False)
    fresh(*arguments.values())
    return fresh.inspect_llvm(kinds)


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.module not in {"embedding", "matmul", "rows", "schedules"}],
    ids=lambda case: case.name,
)
def test_float32_loops_are_vectors_of_float32(case):
    # A loop that did not vectorize, or computes in float64, is 5 to 20 times slower and as right.
    arguments = case.make(np.random.default_rng(6), np.float32, *shapes(case.dimensions)[-1])
    code = _llvm_code(case, arguments)
    arrays = [value for value in arguments.values() if isinstance(value, np.ndarray)]
    assert ("x float>" in code) == any(array.dtype == np.float32 for array in arrays)
    assert ("x double>" in code) == case.float64
