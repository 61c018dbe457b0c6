"""Encode a whole table: inputs and target."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from fastnn.inputs.checks import finite_float, positive_float
from fastnn.tables.columns import (
    KINDS,
    CategoryColumn,
    NumericColumn,
    as_texts,
    choose,
    mean_and_scale,
    remark_on,
    unseen_note,
)
from fastnn.tables.doubts import advice, missing_note, refuse_mixture
from fastnn.tables.table import Column, Table


def read_target(
    frame: pl.DataFrame | Table, name: str, task: str | None = None
) -> tuple[str, NDArray[Any]]:
    """Return the task and the target: numbers for a regression, or the classes as texts.

    Unless `task` says otherwise, a column of numbers means ``"regression"``.  Any other column, and
    one with two different whole numbers only, means ``"classification"``.

    Raises
    ------
    ValueError
        If the column is missing, lacks values, or does not suit the task.
    """
    column = Table.of(frame).column(name)
    values = column.values
    if values.null_count():
        raise ValueError(
            f"target column {name!r} has no value in {values.null_count()} of {len(values)} rows, "
            f"the first of them {_first_missing(column)}; remove or fill those rows"
        )
    if task is None:
        refuse_mixture(column, "To take its values for classes give --task classification")
        task = "regression" if column.only_numbers and not _two(column) else "classification"
    if task == "regression":
        if not column.only_numbers:
            settle = advice(column) if column.numbers.count() else "Is it --task classification?"
            raise ValueError(
                f"regression needs numbers; target column {name!r} holds "
                f"{column.first(column.not_numbers)}. {settle}"
            )
        return task, column.numbers.to_numpy()
    if task != "classification":
        raise ValueError(f"task must be 'regression' or 'classification', got {task!r}")
    return task, _classes(column)


def _first_missing(column: Column) -> str:
    return column.table.place(int(column.values.is_null().arg_max() or 0))


def _two(column: Column) -> bool:
    """Return whether two whole numbers are all that a column of numbers holds."""
    numbers = column.numbers.unique()
    return len(numbers) == 2 and bool((numbers == numbers.round()).all())


def _classes(column: Column) -> NDArray[np.str_]:
    """Return the classes as texts, one spelling for each number."""
    name, values = column.name, column.values
    if not (column.is_text or values.dtype.is_numeric()):
        raise ValueError(f"target column {name!r} has the type {values.dtype}; wanted classes")
    texts = values.cast(pl.String)
    numbers = column.numbers
    exact = column.only_numbers and bool((numbers.abs() < 2**53).all())
    if exact and numbers.n_unique() < texts.n_unique():  # 1 and 1.0
        spelling = {value: f"{value:.17g}" for value in numbers.unique()}
        texts = numbers.replace_strict(
            list(spelling), list(spelling.values()), return_dtype=pl.String
        )
    distinct = texts.n_unique()
    if distinct == 1:
        raise ValueError(f"target column {name!r} holds one class only, {texts[0]!r}")
    if distinct > 20 and 2 * distinct > len(texts):
        wrong = column.not_numbers
        first = "" if column.only_numbers else f" (the first text is {column.first(wrong)})"
        raise ValueError(
            f"target column {name!r} holds {distinct} different values in {len(texts)} rows; "
            f"wanted a few classes, or only numbers for a regression{first}"
        )
    return texts.to_numpy().astype(str)


def chosen_columns(
    table: Table,
    target: str,
    text: Collection[str],
    ignore: Collection[str],
    pick: Callable[[Column, bool], tuple[Any, str | None]],
) -> tuple[list[Any], list[str]]:
    """Return what `pick` makes of a table's columns, and notes.

    It gets a column, and whether to read it as text, and returns what to do with it and a remark,
    or the reason to ignore it and None.

    Raises
    ------
    ValueError
        If options name the target or no column, or if no column is left.
    """
    for option, names in (("--text", text), ("--ignore", ignore)):
        for name in names:
            if table.column(name).name == target:
                raise ValueError(f"{option} names the target, {target!r}")
    columns, notes = [], []
    for name in table.names:
        if name == target or name in ignore:
            continue
        choice, remark = pick(table.column(name), name in text)
        remark = choice if isinstance(choice, str) else remark
        if remark:
            notes.append(f"column {name!r} {remark}")
        if not isinstance(choice, str):
            columns.append(choice)
    if not columns:
        raise ValueError("; ".join([f"no column is left to predict {target!r} from", *notes]))
    return columns, notes


def without_header(names: Iterable[str], target: str) -> list[list[str]]:
    """Return what the columns of a table without a header may be: those of training, or inputs."""
    every = list(names)
    return [every, [name for name in every if name != target]] if every else []


def need(table: Table, names: Iterable[str]) -> None:
    """Raise ValueError if a table lacks columns."""
    present = set(table.names)
    absent = [name for name in names if name not in present]
    if absent:
        raise ValueError(f"missing columns: {', '.join(map(repr, absent))}")


def extra_note(table: Table, known: Collection[str]) -> list[str]:
    """Return a note on columns that the training table did not have, or none."""
    extra = [name for name in table.names if name not in known]
    if not extra or not known:
        return []
    shown = ", ".join(map(repr, extra[:20])) + ", ..." * (len(extra) > 20)
    return [f"columns that the training table did not have are ignored: {shown}"]


@dataclass(frozen=True)
class TableEncoder:
    """How a table's columns become a network's inputs and targets, and back.

    Numeric columns are standardized, with the median for missing values.  Text and boolean columns
    become one input per text.  If training saw missing values in a column, they get their own input
    too.  Columns of dates, of texts that hardly repeat, or without values are ignored.  A
    regression target is also standardized.

    Examples
    --------
    >>> frame = pl.DataFrame({"size": [1.0, None, 3.0], "color": ["red", "blue", "red"],
    ...                       "price": [10.0, 20.0, 30.0]})
    >>> encoder = TableEncoder.fit(frame, "price")
    >>> encoder.input_names
    ['size', 'size=missing', 'color=blue', 'color=red']
    >>> encoder.encode(frame)
    array([[-1.,  0.,  0.,  1.],
           [ 0.,  1.,  1.,  0.],
           [ 1.,  0.,  0.,  1.]], dtype=float32)
    >>> encoder.decode(encoder.encode_target(frame)).round(4)
    array([10., 20., 30.])
    """

    columns: tuple[NumericColumn | CategoryColumn, ...]
    target: str
    task: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    notes: tuple[str, ...] = ()
    table_columns: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame | Table,
        target: str,
        task: str | None = None,
        rows: ArrayLike | None = None,
        text: Collection[str] = (),
        ignore: Collection[str] = (),
    ) -> "TableEncoder":
        """Learn the encoding from some `rows` of a table, or from all of it.

        All rows determine which columns hold numbers, and which classes there are.  The columns
        `text` are read as text even if they hold numbers, and those of `ignore` are left out.
        `notes` then lists the ignored columns with the reasons, and what else is doubtful.

        Raises
        ------
        ValueError
            If the target does not suit the task (see `read_target`), a column is mostly numbers but
            not all, or no column is left.
        """
        table = Table.of(frame)
        task, values = read_target(table, target, task)
        chosen = pl.Series(np.arange(len(table)) if rows is None else np.asarray(rows))

        def pick(column: Column, as_text: bool) -> tuple[Any, str | None]:
            choice = choose(column, chosen, as_text)
            return choice, None if isinstance(choice, str) else remark_on(column, choice, chosen)

        columns, notes = chosen_columns(table, target, text, ignore, pick)
        encoder = cls(
            tuple(columns), target, task, notes=tuple(notes), table_columns=tuple(table.names)
        )
        if task == "regression":
            mean, scale = mean_and_scale(values[chosen.to_numpy()], table.column(target))
            return replace(encoder, mean=mean, scale=scale or 1.0)
        return replace(encoder, classes=in_order(values))

    @property
    def input_names(self) -> list[str]:
        """The names of the network's inputs: a column's name, or ``column=text``."""
        return [name for column in self.columns for name in column.names()]

    @property
    def used(self) -> list[str]:
        """The names of the columns that become inputs."""
        return [column.name for column in self.columns]

    @property
    def without_header(self) -> list[list[str]]:
        """See :func:`without_header`."""
        return without_header(self.table_columns, self.target)

    def encode(self, frame: pl.DataFrame | Table) -> NDArray[np.float32]:
        """Return the network's inputs, float32 of shape (n, n_inputs); other columns are ignored.

        Raises
        ------
        ValueError
            If columns are missing, or a column holds something else than in training.
        """
        table = Table.of(frame)
        need(table, self.used)
        inputs = np.empty((len(table), len(self.input_names)), np.float32)
        start = 0
        for column in self.columns:
            stop = start + len(column.names())
            with np.errstate(all="ignore"):
                inputs[:, start:stop] = column.encode(table.column(column.name))
            refuse_infinite(inputs[:, start], column.name, table)
            start = stop
        return inputs

    def encode_target(self, frame: pl.DataFrame | Table) -> NDArray[Any]:
        """Return labels, int64 of shape (n,), or standardized numbers, float32 (n, 1).

        Raises
        ------
        ValueError
            If the target column is missing, or holds something else than in training.
        """
        table = Table.of(frame)
        _, values = read_target(table, self.target, self.task)
        if self.task == "regression":
            with np.errstate(all="ignore"):
                target = ((values - self.mean) / self.scale).astype(np.float32)
            refuse_infinite(target, self.target, table)
            return target[:, None]
        labels = {name: label for label, name in enumerate(self.classes)}
        found = np.array([labels.get(value, -1) for value in values], np.int64)
        if (found < 0).any():
            row = int((found < 0).argmax())
            raise ValueError(
                f"target column {self.target!r} holds {str(values[row])!r} in {table.place(row)}, "
                "a class that training rows do not have"
            )
        return found

    def decode(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return predictions of shape (n,), in the target's units or as class names."""
        if self.task == "regression":
            return outputs[:, 0].astype(np.float64) * self.scale + self.mean
        return np.array(self.classes)[outputs.argmax(axis=1)]

    def unseen(self, frame: pl.DataFrame | Table) -> list[str]:
        """Return notes on what in a table differs from the training table."""
        table = Table.of(frame)
        notes = []
        for encoder in self.columns:
            column = table.column(encoder.name)
            if isinstance(encoder, CategoryColumn):
                notes += unseen_note(column, encoder.categories)
        return [*notes, *extra_note(table, self.table_columns), *missing_note(table, self.used)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything that `encode` and `decode` need, in JSON types."""
        return asdict(self) | {
            "columns": [asdict(column) for column in self.columns],
            "classes": list(self.classes),
            "notes": list(self.notes),
            "table_columns": list(self.table_columns),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "TableEncoder":
        """Return the encoder that `to_dict` described.

        Raises
        ------
        ValueError, TypeError, KeyError
            If that is no description, or a damaged one.
        """
        columns = tuple(KINDS[column["kind"]](**column) for column in state["columns"])
        lists = {name: tuple(state.get(name, ())) for name in ("classes", "notes", "table_columns")}
        encoder = cls(**state | {"columns": columns} | lists)
        encoder._check()
        return encoder

    def _check(self) -> None:
        """Raise ValueError or TypeError for what `fit` cannot have made; files may say anything."""
        as_texts(self.columns and [self.target, *self.used], "columns")
        for name in ("classes", "notes", "table_columns"):
            as_texts(getattr(self, name), name, alike=name == "notes")
        if self.task not in ("regression", "classification"):
            raise ValueError(f"task is {self.task!r}, wanted 'regression' or 'classification'")
        if (self.task == "classification") != bool(self.classes):
            raise ValueError(f"classes are {self.classes!r}, wanted some for a classification only")
        finite_float(self.mean, "mean")
        positive_float(self.scale, "scale")
        for column in self.columns:
            column.check()


def refuse_infinite(inputs: NDArray[Any], name: str, table: Table) -> None:
    """Raise ValueError for numbers that are not finite, with the place of the first."""
    wrong = ~np.isfinite(inputs)
    if wrong.any():
        place = table.place(int(wrong.argmax()))
        raise ValueError(f"column {name!r} is infinite or too large in {place}")


def in_order(values: Iterable[str]) -> tuple[str, ...]:
    """Return the different texts in order: of numbers, if all are some."""
    names = sorted({str(value) for value in values})
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(names)
