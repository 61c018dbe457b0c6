"""Time one kernel against its NumPy twin."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.comparison.examples import axes, example_arguments
from fastnn.inputs.checks import one_of, positive_int
from fastnn.kernels import KERNELS
from fastnn.reference import TWINS

ROUNDS = 11
SHORTEST = 0.01
"""The least number of seconds that a measurement takes."""
REST = 0.02
"""Seconds to wait before each measurement, since NumPy's BLAS threads keep spinning for a while."""


@dataclass(frozen=True)
class KernelComparison:
    """Times of a kernel and its NumPy twin on the same arrays.

    Attributes
    ----------
    kernel : str
    shape : dict
        The length of each axis.
    dtype : str
    seconds, numpy_seconds : float
        The median time of a call of each.
    nbytes : int
        The total size of a call's arrays.
    difference : float
        The largest difference between their results, relative to the largest number in the array
        (or to 1, if that is larger).
    tolerance : float
        The largest difference that rounding can explain.
    """

    kernel: str
    shape: dict[str, int]
    dtype: str
    seconds: float
    numpy_seconds: float
    nbytes: int
    difference: float
    tolerance: float

    @property
    def ratio(self) -> float:
        """NumPy's time over the kernel's."""
        return self.numpy_seconds / self.seconds

    @property
    def agrees(self) -> bool:
        """Whether the results agree up to rounding."""
        return self.difference <= self.tolerance

    def __str__(self) -> str:
        shape = " ".join(f"{letter}={length:,}" for letter, length in self.shape.items())
        verdict = "agree" if self.agrees else "DISAGREE"
        return (
            f"{self.kernel}, {shape}, {self.dtype}\n"
            f"  compiled  {self._line(self.seconds)}\n"
            f"  NumPy     {self._line(self.numpy_seconds)}   {self.ratio:.2f} times as long\n"
            f"  results {verdict}: largest relative difference {self.difference:.1e}, "
            f"allowed {self.tolerance:.1e}"
        )

    def _line(self, seconds: float) -> str:
        return f"{seconds * 1e6:>10,.2f} us {self.nbytes / seconds / 1e9:>8.2f} GB/s"


def compare_kernel(
    kernel: str, *, shape: tuple[int, ...], dtype: str = "float32"
) -> KernelComparison:
    """Time a kernel against its NumPy twin, on arrays of one shape.

    Both are called from Python on the same arrays, in alternating rounds.  Each uses as many cores
    as it does by default: the kernel several if the arrays are large, a NumPy product those of its
    BLAS.  Their results are compared first.

    Parameters
    ----------
    kernel : str
        A name in :mod:`fastnn.kernels`.
    shape : tuple of int
        One length per axis, in the order in which the axes appear in the kernel's arguments: (m, n)
        for an activation, (m, k, n) for ``matmul_nn``.
    dtype : {"float32", "float64"}

    Returns
    -------
    KernelComparison
        Prints as a small table. Its GB/s count each array of a call once.

    Raises
    ------
    ValueError
        For an unknown kernel, a wrong shape (the message lists the kernel's axes) or another dtype.

    Examples
    --------
    >>> import fastnn
    >>> result = fastnn.compare_kernel("relu_forward", shape=(16, 32))
    >>> result.shape, result.agrees
    ({'m': 16, 'n': 32}, True)
    """
    called, twin = KERNELS[one_of(kernel, "kernel", KERNELS)], TWINS[kernel]
    dtype = one_of(dtype, "dtype", ("float32", "float64"))
    if any(argument.dtype == "float32" for argument in called.arguments):
        dtype = "float32"  # the kernel takes nothing else
    lengths = _lengths(kernel, shape)
    made = example_arguments(called, tuple(lengths.values()), dtype, np.random.default_rng(0))
    written = [argument.name for argument in called.arguments if argument.written]
    apart = difference(called, twin, made, written)
    arrays = [value for value in made.values() if isinstance(value, np.ndarray)]
    given = tuple(made.values())
    with np.errstate(all="ignore"):
        seconds, numpy_seconds = _alternate(lambda: called(*given), lambda: twin(*given))
    return KernelComparison(
        kernel,
        lengths,
        dtype,
        seconds,
        numpy_seconds,
        nbytes=sum(array.nbytes for array in arrays),
        difference=apart,
        tolerance=tolerance(lengths.values(), dtype),
    )


def _lengths(kernel: str, shape: Any) -> dict[str, int]:
    """Check the given shape, and return the length of each axis."""
    letters = axes(KERNELS[kernel])
    wanted = f"a tuple ({', '.join(letters)}) of the axes of {kernel}"
    if not isinstance(shape, tuple | list):
        raise TypeError(f"shape is {shape!r}, wanted {wanted}")
    if len(shape) != len(letters):
        raise ValueError(f"shape is {tuple(shape)}, wanted {wanted}")
    return {
        letter: positive_int(length, f"{letter} of shape")
        for letter, length in zip(letters, shape, strict=True)
    }


def tolerance(lengths: Iterable[int], dtype: str) -> float:
    """Return the difference that rounding can explain in a sum over the longest axis."""
    return (8 + max(lengths, default=0)) * float(np.finfo(dtype).eps)


def difference(
    kernel: Callable[..., None],
    twin: Callable[..., None],
    arguments: Mapping[str, Any],
    written: Iterable[str],
) -> float:
    """Return the largest relative difference between what a kernel and its twin write."""
    ours, theirs = (
        {name: np.copy(a) if np.ndim(a) else a for name, a in arguments.items()} for _ in range(2)
    )
    kernel(*ours.values())
    with np.errstate(all="ignore"):
        twin(*theirs.values())
    return max(_difference(ours[name], theirs[name]) for name in written)


def _difference(actual: np.ndarray, expected: np.ndarray) -> float:
    if np.array_equal(actual, expected, equal_nan=True):
        return 0.0
    if not np.array_equal(np.isfinite(actual), np.isfinite(expected)):
        return float("inf")
    finite = np.isfinite(expected)
    apart = np.abs(actual[finite].astype(np.float64) - expected[finite]).max(initial=0.0)
    return float(apart / np.abs(expected[finite]).max(initial=1.0))


def _alternate(*contenders: Callable[[], object]) -> list[float]:
    """Return the median seconds per call of each contender, timed in alternating rounds."""
    counts = [_calls(contender) for contender in contenders]
    times: list[list[float]] = [[] for _ in contenders]
    for turn in range(ROUNDS):
        order = list(zip(contenders, counts, times, strict=True))
        for contender, count, taken in order[:: -1 if turn % 2 else 1]:
            time.sleep(REST)
            contender()  # brings the arrays back into the caches
            taken.append(_seconds(contender, count) / count)
    return [statistics.median(taken) for taken in times]


def _calls(contender: Callable[[], object]) -> int:
    """Return how many calls a measurement needs."""
    count = 1
    while (elapsed := _seconds(contender, count)) < SHORTEST / 2:
        count *= 2
    return max(1, round(count * SHORTEST / elapsed))


def _seconds(contender: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        contender()
    return time.perf_counter() - started
