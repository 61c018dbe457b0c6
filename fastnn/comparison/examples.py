"""Example arguments for any kernel, made from its specification."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastnn.kernels.contract import Argument, length_of
from fastnn.kernels.public import Kernel

_NUMBERS: Mapping[str, float] = {
    "slope": 0.0, "grow": 1.2, "smallest": 1e-6, "largest": 50.0, "low": -0.5, "q": 1.5,
    "seed": 0, "layer": 0, "epoch": 0, "step": 1, "first": 0, "staircase": 0, "shuffle": 1,
    "prefetch_distance": 0, "shards": 4096, "shard": 0, "more": 3,
}  # fmt: skip
"""Numbers that cannot be 0.5: counts, switches, and both ends of a range."""
_LENGTHS: Mapping[str, str] = {"last": "n", "n": "m", "batch": "m", "rows": "m"}
"""Numbers that must equal the length of an axis; the longest's if there is no such axis."""

_UP_TO_1 = frozenset(("y", "target", "levels", "cost", "weight", "batch_weight", "row_scale"))
"""Arrays of probabilities, weights and the like: numbers from 0 to 1."""
_OF_PROBABILITIES = "probability_"
"""How the names of kernels begin whose predictions are such numbers too."""
_ABOVE_1 = frozenset(
    ("square", "squares", "total", "change", "size", "v", "largest", "variance", "factor")
)
"""Arrays of squares and other sizes: numbers from 1 to 2, above the square of means from -1 to 1.
A factor below 1 would soon turn an array that is scaled in place into denormal numbers, which take
100 times as long."""


def axes(kernel: Kernel) -> list[str]:
    """Return the letters of a kernel's axes that define its shape, in order of appearance.

    Examples
    --------
    >>> from fastnn import kernels
    >>> axes(kernels.relu_forward), axes(kernels.matmul_tn)
    (['m', 'n'], ['k', 'm', 'n'])
    """
    letters = "".join("".join(argument.axes) for argument in kernel.arguments)
    return [each for each in dict.fromkeys(letters) if each.isalpha()]


def example_arguments(
    kernel: Kernel, shape: tuple[int, ...], dtype: DTypeLike, rng: np.random.Generator
) -> dict[str, Any]:
    """Return arguments of a kernel by name, in the order of its signature.

    All arrays hold numbers, even those that the kernel only writes.

    Parameters
    ----------
    kernel : Kernel
    shape : tuple of int
        One length per axis in the kernel's :func:`axes`.
    dtype : data type
        float32 or float64, for all arrays except labels and indices.
    rng : numpy.random.Generator
        Draws the arrays.

    Examples
    --------
    >>> from fastnn import kernels
    >>> made = example_arguments(kernels.relu_forward, (2, 3), "float32", np.random.default_rng(0))
    >>> [(name, np.shape(value)) for name, value in made.items()]
    [('x', (2, 3)), ('slope', ()), ('out', (2, 3))]
    """
    lengths = dict(zip(axes(kernel), shape, strict=True))

    def number(name: str) -> float:
        if name in _LENGTHS:
            return lengths.get(_LENGTHS[name], max(lengths.values()))
        return _NUMBERS.get(name, 0.5)

    def array(argument: Argument) -> np.ndarray:
        sizes = [length_of(axis, lengths) for axis in argument.axes]
        if argument.below:
            return rng.integers(0, length_of(argument.below, lengths), sizes)
        likely = kernel.__name__.startswith(_OF_PROBABILITIES) and argument.name == "prediction"
        low = 0 if argument.name in _UP_TO_1 or likely else 1 if argument.name in _ABOVE_1 else -1
        high = 2 if argument.name in _ABOVE_1 else 1
        return rng.uniform(low, high, sizes).astype(argument.dtype or dtype)

    return {
        argument.name: number(argument.name) if argument.scalar else array(argument)
        for argument in kernel.arguments
    }
