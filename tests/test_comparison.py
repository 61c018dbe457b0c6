"""A kernel against its twin, on arguments made from its specification."""

from dataclasses import replace

import numpy as np
import pytest

from fastnn.comparison import axes, compare_kernel, example_arguments
from fastnn.comparison.compare import difference, tolerance
from fastnn.kernels import KERNELS
from fastnn.reference import TWINS

SIZES = (5, 7, 3, 4, 6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_agrees_with_its_twin_on_example_arguments(name, dtype):
    kernel = KERNELS[name]
    shape = SIZES[: len(axes(kernel))]
    made = example_arguments(kernel, shape, dtype, np.random.default_rng(0))
    written = [argument.name for argument in kernel.arguments if argument.written]
    # Not through the door: compiling it for every kernel takes minutes, and it looks at shapes and
    # types alone, which are made from the specification that it checks.
    assert difference(kernel.compiled, TWINS[name], made, written) <= tolerance(shape, dtype)
    TWINS[name](*made.values())
    for value in made.values():
        assert np.isfinite(value).all()


@pytest.mark.parametrize(
    "name", ["l1_value", "tree_probabilities", "batch_rows", "quantile_forward"]
)
def test_the_door_accepts_example_arguments(name):
    kernel = KERNELS[name]
    shape = SIZES[: len(axes(kernel))]
    kernel(*example_arguments(kernel, shape, "float64", np.random.default_rng(0)).values())


def test_lengths_go_to_the_axes_as_they_appear():
    kernel = KERNELS["matmul_tn"]
    assert axes(kernel) == ["k", "m", "n"]
    made = example_arguments(kernel, (2, 3, 4), "float32", np.random.default_rng(0))
    assert [value.shape for value in made.values()] == [(2, 3), (2, 4), (3, 4)]
    assert {value.dtype for value in made.values()} == {np.dtype("float32")}


def test_what_follows_from_other_lengths_is_not_asked_for():
    assert axes(KERNELS["tree_forward"]) == ["m", "k", "n", "d"]
    assert axes(KERNELS["gaussian_nll_forward"]) == ["m", "n"]
    assert axes(KERNELS["nadam_factors"]) == []


def test_a_comparison_shows_what_was_measured():
    result = compare_kernel("matmul_nn", shape=(4, 8, 16), dtype="float64")
    assert result.shape == {"m": 4, "k": 8, "n": 16}
    assert result.nbytes == 8 * (4 * 8 + 8 * 16 + 4 * 16)
    assert result.seconds > 0 and result.numpy_seconds > 0 and result.agrees
    known = replace(result, seconds=2e-6, numpy_seconds=5e-6, difference=0.0)
    assert str(known).splitlines() == [
        "matmul_nn, m=4 k=8 n=16, float64",
        "  compiled        2.00 us     0.90 GB/s",
        "  NumPy           5.00 us     0.36 GB/s   2.50 times as long",
        "  results agree: largest relative difference 0.0e+00, allowed 5.3e-15",
    ]


def test_a_wrong_kernel_does_not_agree(monkeypatch):
    monkeypatch.setitem(TWINS, "relu_forward", lambda x, slope, out: None)
    result = compare_kernel("relu_forward", shape=(4, 8))
    assert not result.agrees
    assert "DISAGREE" in str(result)


def test_nan_in_one_result_only_is_no_agreement(monkeypatch):
    def twin(x, slope, out):
        out[...] = np.maximum(x, 0)
        out[0, 0] = np.nan

    monkeypatch.setitem(TWINS, "relu_forward", twin)
    assert compare_kernel("relu_forward", shape=(4, 8)).difference == np.inf


@pytest.mark.parametrize(
    ("kernel", "settings", "message"),
    [
        ("relu_foward", {"shape": (2, 3)}, "kernel is 'relu_foward', wanted one of .* 'relu_for"),
        ("relu_forward", {"shape": (2,)}, r"shape is \(2,\), wanted a tuple \(m, n\) of the axes"),
        ("relu_forward", {"shape": (2, 0)}, "n of shape is 0, wanted a whole number of at least 1"),
        ("relu_forward", {"shape": (2, 3), "dtype": "float16"}, "dtype is 'float16', wanted one"),
    ],
)
def test_bad_values_are_refused(kernel, settings, message):
    with pytest.raises(ValueError, match=message):
        compare_kernel(kernel, **settings)


@pytest.mark.parametrize(
    ("kernel", "shape", "message"),
    [
        (1, (2, 3), "kernel is 1 .int., wanted one of"),
        ("relu_forward", 6, r"shape is 6, wanted a tuple \(m, n\) of the axes of relu_forward"),
        ("relu_forward", (2, 1.5), "n of shape is 1.5"),
    ],
)
def test_bad_kinds_are_refused(kernel, shape, message):
    with pytest.raises(TypeError, match=message):
        compare_kernel(kernel, shape=shape)
