"""``info MODEL``: what a model's file holds."""

import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import fastnn
from fastnn import tabular
from fastnn.cli import ensemble, single
from fastnn.cli.models import described, read
from fastnn.cli.outputs import naming
from fastnn.preprocessing.encoding import DATE
from fastnn.training import summary

Rows = Iterator[tuple[str, str]]
_WIDTH = 16
_MANY = 8
"""So many categories, classes or columns are named."""
_ROWS = {"train": "to train on", "validation": "to choose the best epoch", "test": "to test on"}


def describe(path: str) -> None:
    """Print what a file of `train` or `save` holds, a line for each thing.

    Raises
    ------
    ValueError, OSError
        If the file is no model, or damaged.
    """
    model, header = read(path)
    extra = header.get("extra")
    of_table = isinstance(extra, dict) and "table" in extra
    if of_table:
        with naming(path):
            model = described(model)
    training = header["extra"].get("training", {}) if of_table else {}
    if not isinstance(training, dict) or not isinstance(training.get("rows", {}), dict):
        raise ValueError(f"{path}: its description of training is damaged")
    for name, value in [
        ("file", f"{Path(path).name}, {_size(os.path.getsize(path))}"),
        *_what(model),
        ("written by", _written_by(of_table, training)),
        *_training(training),
    ]:
        lines = [value] if name == "" else textwrap.wrap(value, 79 - _WIDTH) or [""]
        for line in lines:
            print(f"{name:<{_WIDTH}}{line}".rstrip())
            name = ""


def _size(count: float) -> str:
    """Return a number of bytes with its unit.

    Examples
    --------
    >>> _size(512), _size(12_345)
    ('512 bytes', '12.3 kB')
    """
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _written_by(of_table: bool, training: dict[str, Any]) -> str:
    version = f"fastnn {training['version']}" if "version" in training else ""
    if of_table:
        return f"{version or 'fastnn'}, the command train"
    return "Python: the file does not say which version"


def _training(training: dict[str, Any]) -> Rows:
    """Yield how a model of the command line was trained."""
    if training.get("options"):
        yield "trained", f"fastnn train DATA {training['options']}"
    counts = [
        f"{count} {_ROWS.get(name, name)}" for name, count in training.get("rows", {}).items()
    ]
    if counts:
        yield "rows", ", ".join(counts)
    if training.get("ending"):
        yield "training", str(training["ending"])
    if training.get("error"):
        yield "error", str(training["error"])


def _what(model: Any) -> Rows:
    """Yield what a model is and reads."""
    if isinstance(model, single.Loaded):
        table, encoder = model.network, model.table
        yield "kind", f"a single network for a table: {encoder.task}"
        yield "target", _target(encoder.target, encoder.classes)
        yield from _inputs([(each.name, _column(each)) for each in encoder.columns])
        yield from _reading(model.reading)
        yield "preprocessing", _standardized(encoder)
        yield from _network(table)
    elif isinstance(model, ensemble.Loaded):
        found = model.model
        yield "kind", _ensemble(found)
        yield "target", _target(model.table.target, _classes(found))
        uses = zip(model.table.columns, found.categories_, strict=True)
        yield from _inputs([(use.name, _use(use, texts)) for use, texts in uses])
        yield from _reading(model.reading)
        yield from _members(found)
    elif isinstance(model, fastnn.Network):
        yield "kind", "a network"
        yield from _network(model)
    else:
        yield "kind", _ensemble(model)
        classes = _classes(model)
        if classes:
            yield "target", f"{len(classes)} classes: {_some(classes)}"
        names = getattr(model, "feature_names_in_", range(model.n_features_in_))
        kinds = model.encoding_.one_hot.kinds_
        known = [
            _texts(each) if each is not None else "dates" if kind == DATE else "numbers"
            for each, kind in zip(model.categories_, kinds, strict=True)
        ]
        yield from _inputs(list(zip(map(str, names), known, strict=True)))
        yield from _members(model)


def _ensemble(model: Any) -> str:
    task = "regression" if isinstance(model, tabular.TabularRegressor) else "classification"
    return f"an ensemble of {len(model.networks_)} networks for a table: {task}"


def _classes(model: Any) -> list[str]:
    return [str(each) for each in getattr(model, "classes_", ())]


def _target(name: str, classes: Sequence[str]) -> str:
    if not classes:
        return f"{name}: a number"
    return f"{name}: {len(classes)} classes: {_some(classes)}"


def _inputs(columns: Sequence[tuple[str, str]]) -> Rows:
    """Yield a line for each column of a table."""
    plural = "s" * (len(columns) > 1)
    yield "inputs", f"{len(columns)} column{plural}"
    for name, what in columns:
        short = len(name) < _WIDTH - 2
        yield f"  {name}" if short else "", what if short else f"{name}: {what}"


def _column(column: Any) -> str:
    """Return what a column of a single network holds."""
    missing = " or missing" * column.flag_missing
    if column.kind == "category":
        return _texts(column.categories) + missing
    return f"numbers, {column.mean:.4g} on average{missing}"


def _use(use: Any, categories: Sequence[str] | None) -> str:
    """Return what a column of an ensemble holds."""
    if use.kind == "category":
        return _texts(categories or ())
    if use.kind == "date":
        return "dates"
    return f"numbers from {use.low:g} to {use.high:g}"


def _texts(categories: Sequence[str]) -> str:
    plural = "categories" if len(categories) != 1 else "category"
    return f"{len(categories)} {plural}: {_some(categories)}"


def _some(names: Iterable[Any]) -> str:
    """Return the first names."""
    every = [str(name) for name in names]
    more = len(every) - _MANY
    return ", ".join(every[:_MANY]) + f" and {more} more" * (more > 0)


def _reading(reading: Any) -> Rows:
    """Yield how tables are read, if that is not by default."""
    told = [f"--missing {text!r}" for text in reading.missing]
    told += [f"--decimal {reading.decimal}"] * (reading.decimal != ".")
    told += [f"--thousands {reading.thousands!r}"] * bool(reading.thousands)
    told += [f"--delimiter {reading.delimiter!r}"] * bool(reading.delimiter)
    told += ["--no-header"] * (reading.header is False)
    if told:
        yield "read with", " ".join(told)


def _standardized(encoder: Any) -> str:
    """Return what is done to a table's numbers."""
    if encoder.classes or (encoder.mean, encoder.scale) == (0.0, 1.0):
        return "numbers are standardized, and a category is an input"
    target = f"({encoder.target} - {encoder.mean:.6g}) / {encoder.scale:.6g}"
    return f"numbers are standardized, and a category is an input; learns {target}"


def _network(network: fastnn.Network) -> Rows:
    """Yield a network's layers, and what trained it."""
    model = network.model
    if model.preprocessing is not None:
        yield "preprocessing", ", ".join(map(repr, model.preprocessing.steps))
    names = model.names.x
    yield "network", f"of {model.n_features} inputs" + (f": {_some(names)}" if names else "")
    yield from _layers(network)
    yield from _fitted(network)
    yield "epochs", f"{model.epochs:,} ({model.updates:,} updates)"


def _layers(network: fastnn.Network) -> Rows:
    """Yield a table of a network's layers."""
    *rows, total = summary.text(network.model).splitlines()
    yield from (("", row) for row in rows)
    yield "", ", ".join(total.split(", ")[:2])


def _fitted(network: fastnn.Network) -> Rows:
    """Yield the loss and the optimizer."""
    yield "loss", repr(network.model.loss)
    optimizer = network.model.optimizer
    yield "optimizer", f"{type(optimizer).__name__}, learning rate {optimizer.learning_rate!r}"


def _members(model: Any) -> Rows:
    """Yield an ensemble's networks, once for each kind, and their errors."""
    kinds: dict[str, list[fastnn.Network]] = {}
    for network in model.networks_:
        kinds.setdefault(summary.text(network.model), []).append(network)
    for alike in kinds.values():
        yield "networks", f"{len(alike)} of these"
        yield from _layers(alike[0])
    yield from _fitted(model.networks_[0])
    epochs = sorted({network.model.epochs for network in model.networks_})
    yield "epochs", f"{_some(epochs)} of each network"
    yield "preset", str(model.preset)
    for name, (error, constant) in model.oof_errors_.items():
        yield (
            "error",
            f"{name} {error:.4g} on rows that a network had not seen; best constant: "
            f"{constant:.4g}",
        )
