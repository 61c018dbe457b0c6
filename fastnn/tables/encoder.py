"""Encode a whole table: inputs and target."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from fastnn.tables.columns import (
    KINDS,
    CategoryColumn,
    NumericColumn,
    as_numbers,
    choose,
    first_row,
    is_text,
    mean_and_scale,
    not_numbers,
    only_numbers,
    remark_on,
)


def _present(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        shown = ", ".join(map(repr, frame.columns[:20])) + ", ..." * (frame.width > 20)
        raise ValueError(f"no column {name!r}; there are {shown}")
    return frame[name]


def read_target(
    frame: pl.DataFrame, name: str, task: str | None = None
) -> tuple[str, NDArray[Any]]:
    """Return the task and the target: numbers for a regression, or the classes as texts.

    Unless `task` says otherwise, a column of numbers means ``"regression"`` and any other column
    ``"classification"``.

    Raises
    ------
    ValueError
        If the column is missing, lacks values, or does not suit the task.
    """
    column = _present(frame, name)
    if column.null_count():
        row = first_row(column.is_null()) + 1
        raise ValueError(
            f"target column {name!r} has no value in {column.null_count()} of {len(column)} rows, "
            f"the first of them data row {row}; remove or fill those rows"
        )
    numeric = only_numbers(column)
    task = task or ("regression" if numeric else "classification")
    if task == "regression":
        if not numeric:
            row = first_row(not_numbers(column))
            raise ValueError(
                f"regression needs numbers; target column {name!r} holds "
                f"{column[row]!r} in data row {row + 1}"
            )
        return task, as_numbers(column).to_numpy()
    if task != "classification":
        raise ValueError(f"task must be 'regression' or 'classification', got {task!r}")
    if not (is_text(column) or column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise ValueError(f"target column {name!r} has the type {column.dtype}; wanted classes")
    texts = column.cast(pl.String)
    distinct = texts.n_unique()
    if distinct == 1:
        raise ValueError(f"target column {name!r} holds one class only, {texts[0]!r}")
    if distinct > 20 and 2 * distinct > len(texts):
        wrong = first_row(not_numbers(column))
        first = "" if numeric else f" (data row {wrong + 1} has {texts[wrong]!r})"
        raise ValueError(
            f"target column {name!r} holds {distinct} different values in {len(texts)} rows; "
            f"wanted a few classes, or only numbers for a regression{first}"
        )
    return task, texts.to_numpy().astype(str)


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

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        target: str,
        task: str | None = None,
        rows: ArrayLike | None = None,
    ) -> "TableEncoder":
        """Learn the encoding from some `rows` of a table, or from all of it.

        All rows determine which columns hold numbers, and which classes there are.  `notes` then
        lists the ignored columns with the reasons.

        Raises
        ------
        ValueError
            If the target does not suit the task (see `read_target`), or no column is left.
        """
        task, values = read_target(frame, target, task)
        chosen = pl.Series(np.arange(len(frame)) if rows is None else np.asarray(rows))
        columns, notes = [], []
        for column in frame.drop(target):
            encoder = choose(column, chosen)
            remark = encoder if isinstance(encoder, str) else remark_on(column, encoder)
            if remark:
                notes.append(f"column {column.name!r} {remark}")
            if not isinstance(encoder, str):
                columns.append(encoder)
        if not columns:
            raise ValueError(f"no column is left to predict {target!r} from; " + "; ".join(notes))
        if task == "regression":
            mean, scale = mean_and_scale(values[chosen.to_numpy()], target)
            return cls(tuple(columns), target, task, (), mean, scale, tuple(notes))
        return cls(tuple(columns), target, task, _sorted_classes(values), notes=tuple(notes))

    @property
    def input_names(self) -> list[str]:
        """The names of the network's inputs: a column's name, or ``column=text``."""
        return [name for column in self.columns for name in column.names()]

    def encode(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Return the network's inputs, float32 of shape (n, n_inputs); other columns are ignored.

        Raises
        ------
        ValueError
            If columns are missing, or a column of numbers holds something else.
        """
        present = set(frame.columns)
        absent = [column.name for column in self.columns if column.name not in present]
        if absent:
            raise ValueError(f"missing columns: {', '.join(map(repr, absent))}")
        inputs = np.empty((len(frame), len(self.input_names)), np.float32)
        start = 0
        for column in self.columns:
            stop = start + len(column.names())
            with np.errstate(over="ignore", invalid="ignore"):
                inputs[:, start:stop] = column.encode(frame[column.name])
            _refuse_infinite(inputs[:, start], column.name)
            start = stop
        return inputs

    def encode_target(self, frame: pl.DataFrame) -> NDArray[Any]:
        """Return labels, int64 of shape (n,), or standardized numbers, float32 (n, 1)."""
        _, values = read_target(frame, self.target, self.task)
        if self.task == "regression":
            with np.errstate(over="ignore", invalid="ignore"):
                target = ((values - self.mean) / self.scale).astype(np.float32)
            _refuse_infinite(target, self.target)
            return target[:, None]
        labels = {name: label for label, name in enumerate(self.classes)}
        return np.array([labels[value] for value in values], np.int64)

    def decode(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return predictions of shape (n,), in the target's units or as class names."""
        if self.task == "regression":
            return outputs[:, 0].astype(np.float64) * self.scale + self.mean
        return np.array(self.classes)[outputs.argmax(axis=1)]

    def unseen(self, frame: pl.DataFrame) -> list[str]:
        """Return a note for every column with texts that training did not see."""
        counts = {
            column.name: column.unseen(frame[column.name])
            for column in self.columns
            if isinstance(column, CategoryColumn)
        }
        return [
            f"column {name!r} holds texts not seen in training in {count} of {len(frame)} rows"
            for name, count in counts.items()
            if count
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything that `encode` and `decode` need, in JSON types."""
        return asdict(self) | {
            "columns": [asdict(column) for column in self.columns],
            "classes": list(self.classes),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "TableEncoder":
        """Return the encoder that `to_dict` described."""
        columns = tuple(KINDS[column["kind"]](**column) for column in state["columns"])
        classes, notes = tuple(state["classes"]), tuple(state["notes"])
        return cls(**state | {"columns": columns, "classes": classes, "notes": notes})


def _refuse_infinite(inputs: NDArray[np.float32], name: str) -> None:
    wrong = ~np.isfinite(inputs)
    if wrong.any():
        row = int(wrong.argmax()) + 1
        raise ValueError(f"column {name!r} is infinite or too large in data row {row}")


def _sorted_classes(values: NDArray[np.str_]) -> tuple[str, ...]:
    names = sorted({str(value) for value in values})
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(names)
