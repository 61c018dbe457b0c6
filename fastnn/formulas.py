"""Formulas: what a model computes of a row, for others to compute elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Union

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

BOOLEAN, TEXT = np.dtype(bool), np.dtype(object)

Operand = Union["Formula", ArrayLike]


@dataclass(frozen=True, eq=False, repr=False)
class Formula:
    """Some numbers of each row, (rows, width), as a step of few kinds from other such numbers.

    Layers, activations and transformers say what they compute with operators and methods; a vector
    stands for a number for each column.  Both operands of an operator have the same width, or one
    of them the width 1.

    Attributes
    ----------
    op : str
        "numbers" and "texts" are inputs; all others are named after the method that makes them.
    operands : tuple of Formula
    constants : tuple of array
    width : int
    dtype : dtype
        float32, float64, bool, or object for texts.
    name : str
        That of an input.

    Examples
    --------
    >>> from fastnn.formulas import Formula
    >>> x = Formula.numbers("x", 2, "float32")
    >>> y = 1 / (1 + (-x).exp())
    >>> [each.op for each in y.steps()]
    ['constant', 'numbers', 'negative', 'exp', 'constant', 'add', 'divide']
    """

    op: str
    operands: tuple["Formula", ...]
    width: int
    dtype: np.dtype
    constants: tuple[np.ndarray, ...] = ()
    name: str = ""

    __array_ufunc__ = None  # NumPy's operators leave the work to ours

    @classmethod
    def numbers(cls, name: str, width: int, dtype: DTypeLike) -> "Formula":
        """Return an input of numbers."""
        return cls("numbers", (), width, np.dtype(dtype), name=name)

    @classmethod
    def texts(cls, name: str) -> "Formula":
        """Return an input of one text."""
        return cls("texts", (), 1, TEXT, name=name)

    @classmethod
    def constant(cls, values: ArrayLike, dtype: DTypeLike) -> "Formula":
        """Return the same numbers for each row.

        Raises
        ------
        ValueError
            If the type cannot hold them.
        """
        row = np.asarray(values, dtype).reshape(-1)
        if row.dtype.kind == "f" and not np.array_equal(np.isinf(row), np.isinf(np.ravel(values))):
            raise ValueError(f"it has numbers that {row.dtype} cannot hold")
        return cls("constant", (), len(row), row.dtype, (row,))

    def steps(self) -> list["Formula"]:
        """Return all that it is made of, each after its operands, itself last."""
        return steps([self])

    def _of(self, other: Operand) -> "Formula":
        return other if isinstance(other, Formula) else Formula.constant(other, self.dtype)

    def _with(self, op: str, other: Operand, swap: bool = False, truth: bool = False) -> "Formula":
        one, two = self, self._of(other)
        if one.dtype != two.dtype or (one.width != two.width and 1 not in (one.width, two.width)):
            raise TypeError(f"{op} of {one.dtype} ({one.width}) and {two.dtype} ({two.width})")
        pair = (two, one) if swap else (one, two)
        width = max(one.width, two.width)
        return Formula(op, pair, width, BOOLEAN if truth else self.dtype)

    def __add__(self, other: Operand) -> "Formula":
        return self._with("add", other)

    def __radd__(self, other: ArrayLike) -> "Formula":
        return self._with("add", other)

    def __sub__(self, other: Operand) -> "Formula":
        return self._with("subtract", other)

    def __rsub__(self, other: ArrayLike) -> "Formula":
        return self._with("subtract", other, swap=True)

    def __mul__(self, other: Operand) -> "Formula":
        return self._with("multiply", other)

    def __rmul__(self, other: ArrayLike) -> "Formula":
        return self._with("multiply", other)

    def __truediv__(self, other: Operand) -> "Formula":
        return self._with("divide", other)

    def __rtruediv__(self, other: ArrayLike) -> "Formula":
        return self._with("divide", other, swap=True)

    def __gt__(self, other: Operand) -> "Formula":
        return self._with("greater", other, truth=True)

    def __lt__(self, other: Operand) -> "Formula":
        return self._with("greater", other, swap=True, truth=True)

    def maximum(self, other: Operand) -> "Formula":
        return self._with("maximum", other)

    def minimum(self, other: Operand) -> "Formula":
        return self._with("minimum", other)

    def equals(self, other: Operand) -> "Formula":
        return self._with("equal", other, truth=True)

    def isnan(self) -> "Formula":
        return Formula("isnan", (self,), self.width, BOOLEAN)

    def where(self, yes: Operand, no: Operand, dtype: DTypeLike | None = None) -> "Formula":
        """Return `yes` where it is true, else `no`; two constants have `dtype`, or float64."""
        formulas = [each for each in (yes, no) if isinstance(each, Formula)]
        given = formulas[0].dtype if formulas else dtype or np.float64
        one, two = (
            each if isinstance(each, Formula) else Formula.constant(each, given)
            for each in (yes, no)
        )
        width = max(self.width, one.width, two.width)
        return Formula("where", (self, one, two), width, one.dtype)

    def _map(self, op: str) -> "Formula":
        return Formula(op, (self,), self.width, self.dtype)

    def __neg__(self) -> "Formula":
        return self._map("negative")

    def __abs__(self) -> "Formula":
        return self._map("abs")

    def exp(self) -> "Formula":
        return self._map("exp")

    def log(self) -> "Formula":
        return self._map("log")

    def tanh(self) -> "Formula":
        return self._map("tanh")

    def erf(self) -> "Formula":
        return self._map("erf")

    def sqrt(self) -> "Formula":
        return self._map("sqrt")

    def sin(self) -> "Formula":
        return self._map("sin")

    def floor(self) -> "Formula":
        return self._map("floor")

    def round(self) -> "Formula":
        """Return the nearest whole numbers, of two the even one."""
        return self._map("round")

    def sigmoid(self) -> "Formula":
        return self._map("sigmoid")

    def softplus(self) -> "Formula":
        """Return ``log(1 + exp(x))``."""
        return self.maximum(0) + (1 + (-abs(self)).exp()).log()

    def softmax(self) -> "Formula":
        return self._map("softmax")

    def cast(self, dtype: DTypeLike) -> "Formula":
        dtype = np.dtype(dtype)
        return self if dtype == self.dtype else Formula("cast", (self,), self.width, dtype)

    def mean(self) -> "Formula":
        """Return each row's mean."""
        return Formula("mean", (self,), 1, self.dtype)

    def argmax(self) -> "Formula":
        """Return the place of each row's first largest number, as a number."""
        return Formula("argmax", (self,), 1, self.dtype)

    def columns(self, index: ArrayLike) -> "Formula":
        """Return some columns."""
        places = np.asarray(index, np.int64).reshape(-1)
        if np.array_equal(places, np.arange(self.width)):
            return self
        return Formula("columns", (self,), len(places), self.dtype, (places,))

    def dot(self, w: np.ndarray, b: ArrayLike = 0) -> "Formula":
        """Return ``x @ w + b``."""
        bias = np.broadcast_to(np.asarray(b, self.dtype), w.shape[1:])
        return Formula("dot", (self,), w.shape[1], self.dtype, (w.astype(self.dtype), bias))

    def blocks(self, kernel: np.ndarray, bias: np.ndarray) -> "Formula":
        """Return outputs of which each block is made of a block of the inputs.

        `kernel` has a row for each output, (blocks * outputs, inputs of a block).
        """
        outputs, size = kernel.shape
        count = self.width // size
        w = kernel.reshape(count, outputs // count, size).transpose(0, 2, 1)
        given = w.astype(self.dtype), bias.astype(self.dtype)
        return Formula("blocks", (self,), outputs, self.dtype, given)

    def lookup(self, table: np.ndarray) -> "Formula":
        """Return the rows of a table whose numbers it holds, one after the other."""
        return Formula("lookup", (self,), self.width * table.shape[1], table.dtype, (table,))

    def codes(self, texts: Sequence[str]) -> "Formula":
        """Return the place of a text among `texts`, from 1, or 0 if it is not there, as float64."""
        known = np.array([*texts, None], object)[:-1]
        return Formula("codes", (self,), 1, np.dtype(np.float64), (known,))

    def labels(self, classes: np.ndarray) -> "Formula":
        """Return the classes whose places it holds.

        Raises
        ------
        ValueError
            If they are neither texts nor numbers.
        """
        kind = classes.dtype.kind
        if kind not in "biufUTO" or (kind == "O" and not all(isinstance(c, str) for c in classes)):
            raise ValueError(f"classes hold {classes[0]!r}, wanted texts or numbers to export")
        return Formula("labels", (self,), self.width, TEXT, (classes,))

    @staticmethod
    def concatenate(parts: Sequence["Formula"]) -> "Formula":
        """Return columns side by side."""
        if len(parts) == 1:
            return parts[0]
        return Formula("concatenate", tuple(parts), sum(p.width for p in parts), parts[0].dtype)


def steps(outputs: Sequence[Formula]) -> list[Formula]:
    """Return all that formulas are made of, each once, after its operands."""
    found: list[Formula] = []
    seen: set[int] = set()
    waiting: list[tuple[Formula, Iterator[Formula]]] = []
    for output in outputs:
        waiting.append((output, iter(output.operands)))
        while waiting:
            each, rest = waiting[-1]
            if id(each) in seen:
                waiting.pop()
            elif (operand := next(rest, None)) is not None:
                if id(operand) not in seen:
                    waiting.append((operand, iter(operand.operands)))
            else:
                seen.add(id(each))
                found.append(each)
                waiting.pop()
    return found


@dataclass
class Formulas:
    """A whole model: its inputs, in order, and its outputs by name.

    An output "label" holds classes.
    """

    inputs: list[Formula]
    outputs: dict[str, Formula]
    text: str
    """What the model is, in a line."""
