"""Sums over training rows, block by block; in a fit in shards, along the tree of their slices."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastnn.engine.shards import Shards
from fastnn.preprocessing.transformer import float_blocks

Join = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Slices:
    """Training rows in the slices of shards.

    `agree` returns what each process gives it, if others have the other slices.
    """

    shards: Shards
    agree: Callable[[Any], Sequence[Any]] | None = None

    def joined(
        self, rows: np.ndarray, of_block: Callable[[np.ndarray], np.ndarray], join: Join
    ) -> np.ndarray:
        """Do what :func:`joined` does."""
        start = self.shards.rows.start

        def of_slices(first: int, last: int) -> np.ndarray:
            if last - first == 1:
                own = replace(self.shards, first=first, last=last).rows
                return _joined(rows[own.start - start : own.stop - start], of_block, join)
            middle = (first + last) // 2
            return join(of_slices(first, middle), of_slices(middle, last))

        found = [of_slices(self.shards.first, self.shards.last)]
        if self.agree is not None:
            found = list(self.agree(found[0]))
        while len(found) > 1:  # a power of two
            found = [join(*pair) for pair in zip(found[::2], found[1::2], strict=True)]
        return found[0]


_here: ContextVar[Slices | None] = ContextVar("_here", default=None)


@contextmanager
def sliced(slices: Slices) -> Iterator[None]:
    """Join along the tree of `slices` here."""
    token = _here.set(slices)
    try:
        yield
    finally:
        _here.reset(token)


def joined(
    rows: np.ndarray, of_block: Callable[[np.ndarray], np.ndarray], join: Join = np.add
) -> np.ndarray:
    """Return what `join` makes of ``of_block(block)`` for all blocks of the rows.

    `of_block` gets a float64 copy, which it may overwrite.
    """
    slices = _here.get()
    return _joined(rows, of_block, join) if slices is None else slices.joined(rows, of_block, join)


def _joined(
    rows: np.ndarray, of_block: Callable[[np.ndarray], np.ndarray], join: Join
) -> np.ndarray:
    blocks = float_blocks(rows)
    found = of_block(next(blocks))
    for block in blocks:
        found = join(found, of_block(block))
    return found


def count(rows: np.ndarray) -> int:
    """Return the number of training rows, of which `rows` are those here."""
    slices = _here.get()
    return len(rows) if slices is None else slices.shards.n_rows
