"""Which columns of a source are inputs, targets and weights, and their numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastnn.data.sources import Block, Source, first_of
from fastnn.inputs.arrays import as_numbers, is_frame, labels_of
from fastnn.inputs.checks import as_rows, listed


class Arrays(NamedTuple):
    """Numbers of some rows: X (n, columns), y (n,) or (n, targets), and weights (n,)."""

    x: np.ndarray
    y: np.ndarray | None
    weight: np.ndarray | None
    where: str


@dataclass(frozen=True)
class Layout:
    """The names of columns, as a caller gave them: None for all others, or for none.

    Examples
    --------
    >>> Layout.of(target="price", columns=["size"]).names
    ('size', 'price')
    """

    target: str | tuple[str, ...] | None = None
    sample_weight: str | None = None
    columns: tuple[str, ...] | None = None

    @classmethod
    def of(cls, target: Any = None, sample_weight: Any = None, columns: Any = None) -> "Layout":
        """Return the layout of a caller's arguments.

        Raises
        ------
        TypeError, ValueError
            If they are no names of columns, or if two are the same.
        """
        if target is not None and not isinstance(target, str):
            target = _names(target, "target")
        if sample_weight is not None and not isinstance(sample_weight, str):
            kind = type(sample_weight).__name__
            raise TypeError(f"sample_weight is {kind}, wanted the name of a column of the source")
        if columns is not None:
            columns = _names(columns, "columns")
        layout = cls(target, sample_weight, columns)
        names = [*(columns or ()), *layout.others]
        if len(set(names)) < len(names):
            twice = next(each for each in names if names.count(each) > 1)
            raise ValueError(
                f"{twice!r} is named twice among columns, target and sample_weight, wanted each "
                "column once"
            )
        return layout

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns of y."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @property
    def others(self) -> tuple[str, ...]:
        """The columns that are no inputs."""
        return *self.targets, *([self.sample_weight] if self.sample_weight is not None else ())

    @property
    def names(self) -> tuple[str, ...] | None:
        """The columns to read; None means all."""
        return None if self.columns is None else (*self.columns, *self.others)

    def read(self, source: Source, done: int = 0, by_name: bool = True) -> "Reader":
        """Return what reads the source's rows after the first `done` ones.

        Unless all go `by_name`, arrays may stand for the columns, which go by position.
        """
        known = getattr(source, "names", None)
        layout = self if known is None else self.of_frame(known, source.name)
        first, blocks = first_of(source.after(done, layout.names), source.name)
        if is_frame(first.rows):
            layout = layout.of_frame(labels_of(first.rows), source.name)
        elif not (by_name or layout.others):
            layout = Layout()
        elif layout.others or layout.columns:
            raise ValueError(
                f"target is {self.target!r}, and {source.name} are tuples of arrays, which have no "
                "names of columns: wanted frames, or no target"
            )
        return Reader(layout, blocks)

    def of_frame(self, names: Sequence[Any], where: str) -> "Layout":
        """Return the layout with all columns named, those of a frame."""
        labels = [each if isinstance(each, str) else str(each) for each in names]
        known = set(labels)
        if len(known) < len(labels):
            twice = next(each for each in labels if labels.count(each) > 1)
            raise ValueError(f"{where} has two columns {twice!r}, wanted different names")
        columns = self.columns
        if columns is None:
            columns = tuple(name for name in labels if name not in self.others)
        lacking = [name for name in (*columns, *self.others) if name not in known]
        if lacking:
            raise ValueError(f"{where} has no column {listed(lacking)}; it has {listed(labels)}")
        if not columns:
            raise ValueError(f"{where} has no columns beside {listed(self.others)}")
        return Layout(self.target, self.sample_weight, columns)


class Reader:
    """Reads the numbers of a source's rows; `layout` names all columns of its frames."""

    def __init__(self, layout: Layout, blocks: Iterator[Block]):
        self.layout, self._blocks = layout, blocks
        self._width: int | None = None

    def __iter__(self) -> Iterator[Arrays]:
        for block in self._blocks:
            try:
                yield self._arrays(block)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{error} (rows counted from {block.where})") from None

    @np.errstate(all="ignore")
    def _arrays(self, block: Block) -> Arrays:
        layout, rows = self.layout, block.rows
        if is_frame(rows):
            if layout.columns is None:
                raise TypeError("got a frame after tuples of arrays, wanted batches of one kind")
            layout.of_frame(labels_of(rows), "the frame")
            x = _chosen(rows, layout.columns, "X")
            y = weight = None
            if layout.target is not None:
                y = _chosen(rows, layout.targets, "y")
                y = y[:, 0] if isinstance(layout.target, str) else y
            if layout.sample_weight is not None:
                weight = _chosen(rows, [layout.sample_weight], "sample_weight")[:, 0]
        else:
            if layout.columns is not None:
                raise TypeError("got a tuple of arrays after frames, wanted batches of one kind")
            x, y, weight = (*rows, None, None)[:3]
            x, y = as_rows(x, empty=True), None if y is None else as_numbers(y, "y")
            weight = None if weight is None else as_numbers(weight, "sample_weight")
        if self._width is not None and x.shape[1] != self._width:
            raise ValueError(f"X has {x.shape[1]} columns, and {self._width} before")
        self._width = x.shape[1]
        for name, array in (("y", y), ("sample_weight", weight)):
            if array is not None and (not array.ndim or len(array) != len(x)):
                raise ValueError(f"{name} has shape {array.shape}, wanted {len(x)} rows, as X has")
        if y is not None:
            _check_present(y, "y")
        if weight is not None:
            _check_present(weight, "sample_weight")
        return Arrays(x, y, weight, block.where)


@np.errstate(all="ignore")
def rounded(x: np.ndarray, dtype: Any, where: str) -> np.ndarray:
    """Return rows of X as a float type, or raise ValueError if it cannot hold a number."""
    out: np.ndarray = x.astype(dtype, copy=False)
    wrong = np.isinf(out) & np.isfinite(x)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        raise ValueError(
            f"X has {x[row, column]} at row {row}, column {column}, wanted numbers that "
            f"{out.dtype} can hold (rows counted from {where})"
        )
    return out


def _names(given: Any, name: str) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
        raise TypeError(f"{name} is {given!r:.100}, wanted the names of columns, as a list")
    found = tuple(given)
    if not found:
        raise ValueError(f"{name} is empty, wanted at least one name")
    wrong = [each for each in found if not isinstance(each, str)]
    if wrong:
        raise TypeError(f"{name} has {wrong[0]!r}, wanted names of columns")
    return tuple(map(str, found))


def _chosen(frame: Any, columns: Sequence[str], name: str) -> np.ndarray:
    """Return some columns of a frame as an array, (n, columns)."""
    kind = type(frame)
    if hasattr(kind, "iloc"):
        labels = {str(each): each for each in labels_of(frame)}
        part = frame[[labels[each] for each in columns]]
    else:
        part = frame.select(list(columns))
    try:
        found = as_numbers(part, name)
    except TypeError as error:
        hint = "columns=[...] leaves columns out, and " if name == "X" else ""
        made = "numbers" if name == "X" else "numbers, or labels,"
        told = f"{error}; {hint}a LazyFrame or batches can have {made} made of them"
        raise TypeError(told) from None
    return found.reshape(len(frame), -1)


def _check_present(array: np.ndarray, name: str) -> None:
    """Refuse what no loss can learn from, as soon as it is read."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise ValueError(f"{name} has {array[row]} at row {row}, wanted finite numbers")
