"""How the tests call and judge a kernel: the defaults, and what a family's file may change.

By default the arrays that a kernel reads or updates hold standard normal numbers, labels and
indices are drawn from their whole range, arrays that it only writes are filled with NaN, and the
length of every axis runs through ``SIZES``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn.kernels.contract import CONTRACTS, Argument, Contract, length_of
from fastnn.reference import TWINS

DTYPES = (np.float32, np.float64)
SIZES = (1, 2, 3, 5, 6, 7, 10, 13, 15, 16, 17, 31, 33, 63, 64, 65, 100)
"""Lengths worth trying: below, at and above the sizes of tiles and vectors, and odd."""
PRODUCTS = (
    (4, 0, 5), (4, 3, 0), (2, 0, 1),  # empty sums, empty results
    (5, 513, 10), (7, 600, 1), (1, 1030, 65),  # more terms than are worked on together
    (40, 530, 70), (100, 70, 257), (97, 130, 300),  # b asked for ahead, packed by the first tile
    (250, 70, 257), (520, 300, 257), (30, 1030, 257),  # a packed, blocks of rows
    (13000, 3, 10), (40, 2100, 10), (3, 2100, 1),  # narrow: turned around, deep, one column
)  # fmt: skip
"""Shapes (m, k, n) of matrix products that take every way through the code."""


def blank(dtype, *shape):
    """Return an array filled with what no result should be: NaN, or the least integer."""
    dtype = np.dtype(dtype)
    return np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).min, dtype)


def normal(rng, dtype, *shape):
    """Return standard normal numbers."""
    return rng.standard_normal(shape, np.float32).astype(dtype)


def uniform(rng, dtype, *shape):
    """Return numbers between 0 and 1."""
    return rng.random(shape, np.float32).astype(dtype)


def empty(rng, dtype, *shape):
    """Return an array for the kernel to fill."""
    return blank(dtype, *shape)


def of(dtype, draw):
    """Return `draw` with a dtype that does not depend on the call's."""
    return lambda rng, _, *shape: draw(rng, dtype, *shape)


def constant(values):
    """Return a draw of these values, in the dtype of the call if they are floats."""
    values = np.array(values)
    return lambda rng, dtype, *_: values.astype(dtype if values.dtype.kind == "f" else values.dtype)


@dataclass(frozen=True)
class Case:
    """One kernel, and how to call and judge it; :func:`case` makes it."""

    name: str
    draws: dict[str, Any]
    """By argument: the value of a number, or a rule as in `sizes`; ``draw(rng, dtype, *shape)``
    for an array."""
    axes: str
    """Those whose lengths make up a shape; threads split the first."""
    sizes: dict[str, int | str]
    """Lengths of axes that are not free: a number, or "m+3" for 3 more than axis m has."""
    tolerance: str
    """What may differ from the reference: see :func:`assert_agree`."""
    terms: str
    """The axis that a result is a sum over, if any."""
    splits: bool
    """Whether a call may be split: all its arrays but those of `whole` cut alike."""
    float64: bool
    """Whether the kernel computes in float64 for float32 arrays as well."""

    @property
    def contract(self) -> Contract:
        """The kernel's contract."""
        return CONTRACTS[self.name]

    @property
    def compiled(self) -> Callable[..., None]:
        """The kernel."""
        return self.contract.compiled

    @property
    def reference(self) -> Callable[..., None]:
        """Its NumPy twin."""
        return TWINS[self.name]

    @property
    def module(self) -> str:
        """File of the kernel, below ``fastnn.kernels`` and ``fastnn.reference``."""
        return self.compiled.__module__.split(".")[2]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Arguments that the kernel writes; all others must come back unchanged."""
        return tuple(argument.name for argument in self.contract.arguments if argument.written)

    @property
    def overlays(self) -> list[tuple[str, str]]:
        """(output, input) pairs that may be one and the same array."""
        arguments = self.contract.arguments
        return [(arguments[-1].name, each.name) for each in arguments if each.overlaid]

    @property
    def dimensions(self) -> int:
        """How many lengths make up a shape."""
        return len(self.axes)

    @property
    def whole(self) -> tuple[str, ...]:
        """Arrays that are not cut, but given whole to every part of a split call."""
        return tuple(
            argument.name
            for argument in self.contract.arguments
            if self.splits and not argument.scalar and argument.axes[0] != self.axes[0]
        )

    def make(self, rng, dtype, *shape) -> dict[str, Any]:
        """Return all arguments by name, in the order of the signature."""
        lengths = dict(zip(self.axes, shape, strict=True))
        lengths |= {letter: length(rule, lengths) for letter, rule in self.sizes.items()}
        return {
            argument.name: self._drawn(argument, rng, dtype, lengths)
            for argument in self.contract.arguments
        }

    def _drawn(self, argument: Argument, rng, dtype, lengths: dict[str, int]) -> Any:
        draw = self.draws.get(argument.name)
        if argument.scalar:
            return length(draw, lengths) if isinstance(draw, str) else draw
        shape = [length_of(axis, lengths) for axis in argument.axes]
        dtype = argument.dtype or dtype
        if draw is not None:
            return draw(rng, dtype, *shape)
        if argument.below:
            return rng.integers(0, length_of(argument.below, lengths), shape)
        only_written = argument.written and not argument.updated
        return (empty if only_written else normal)(rng, dtype, *shape)


def length(rule: int | str, lengths: dict[str, int]) -> int:
    """Evaluate a rule of `Case.sizes`."""
    if isinstance(rule, int):
        return rule
    letter, _, more = rule.partition("+")
    return lengths[letter] + int(more or 0)


def case(
    name,
    *,
    axes=None,
    sizes=None,
    tolerance="absolute",
    terms="",
    splits=None,
    float64=False,
    **draws,
):
    """Return the case of a kernel: its contract's defaults, and what differs from them.

    Numbers have no default: `draws` must hold each of them.
    """
    contract = CONTRACTS[name]
    arguments = {argument.name: argument for argument in contract.arguments}
    numbers = {argument.name for argument in contract.arguments if argument.scalar}
    if not numbers <= set(draws) <= set(arguments):
        missing, unknown = numbers - set(draws), set(draws) - set(arguments)
        raise TypeError(f"case of {name}: no value for {missing}, or no argument {unknown}")
    sizes = sizes or {}
    if axes is None:
        letters = dict.fromkeys(letter for a in contract.arguments for letter in a.axes)
        free = [letter for letter in letters if letter.isalpha() and len(letter) == 1]
        free = [letter for letter in free if letter not in sizes]
        axes = "".join(sorted(free, key=lambda letter: letter != "m"))
    if splits is None:
        splits = contract.parallel and all("m" not in a.axes[1:] for a in contract.arguments)
    return Case(name, draws, axes, sizes, tolerance, terms, splits, float64)


def shapes(dimensions, seed=0):
    """Return shapes that between them hold all of ``SIZES`` in every place, and zero rows."""
    rng = np.random.default_rng(seed)
    places = [rng.permutation(SIZES).tolist() for _ in range(dimensions)]
    listed = list(zip(*places, strict=True))
    more = PRODUCTS if dimensions == 3 else ()
    return [(1,) * dimensions, (0, *listed[0][1:]), *more, *listed]


def copied(arguments):
    """Return the arguments with arrays of their own."""
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in arguments.items()
    }


def assert_agree(case, shape, actual, expected):
    """Fail unless `actual` agrees with `expected` to the tolerance of the case.

    "exact": the same numbers.  "relative": every element to 8 eps of itself.  "absolute": to
    8 eps of the largest finite element, or of 1.  A sum over an axis (`terms`) may be off by
    another eps for each of its terms.  NaN and infinity must stand in the same places.
    """
    if case.tolerance == "exact" or actual.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    info = np.finfo(actual.dtype)
    terms = shape[case.axes.index(case.terms)] if case.terms else 0
    eps = float((8 + terms) * info.eps)
    finite = np.abs(expected[np.isfinite(expected)])
    least = float(info.tiny) if case.tolerance == "relative" else eps * finite.max(initial=1.0)
    np.testing.assert_allclose(actual, expected, rtol=eps, atol=least)
