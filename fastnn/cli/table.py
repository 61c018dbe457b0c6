"""``train`` and ``predict``: a model of the user's own table."""

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastnn
from fastnn import tabular
from fastnn.cli import ensemble, single
from fastnn.cli.outputs import check_output, ending
from fastnn.cli.report import classification_report, regression_report
from fastnn.datasets import split_rows
from fastnn.files import storage
from fastnn.files.atomic import whole_file
from fastnn.tabular.file import FORMAT

if TYPE_CHECKING:
    from fastnn.tables import Reading, Table


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Prefix messages about a file's contents with its name."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _note(path: str, notes: list[str]) -> None:
    for note in notes:
        print(f"fastnn: note: {path}: {note}", file=sys.stderr)


def _reading(arguments: Namespace, reading: "Reading") -> "Reading":
    """Return how to read the table: as given, unless an option says otherwise."""
    from fastnn.tables import is_parquet

    given = {
        name: value
        for name in ("delimiter", "decimal", "thousands", "header")
        if (value := getattr(arguments, name)) is not None
    }
    if {"delimiter", "header"} & set(given) and is_parquet(arguments.data):
        raise ValueError("--delimiter and --header are for CSV, and this is Parquet")
    missing = (*reading.missing, *(text.strip() for text in arguments.missing))
    return replace(reading, **given, missing=tuple(dict.fromkeys(missing)))


def _read_notes(arguments: Namespace, table: "Table") -> list[str]:
    """Return the notes on the reading of a table."""
    from fastnn.tables import missing_option

    unused = [missing_option(text) for text in arguments.missing if text.strip() in table.unused]
    return [*table.notes, *(f"{option}: no value is that" for option in unused)]


def train(arguments: Namespace) -> None:
    """Train on a table, test on held-out rows, and write the model."""
    from fastnn.tables import (  # needs polars
        FORMATS,
        Reading,
        in_order,
        missing_note,
        open_table,
        read_target,
        target_notes,
    )

    data, target = arguments.data, arguments.target.strip()
    with open(data, "rb"):
        pass  # first of all: its name is also the model's
    name = Path(data).name
    output = arguments.output or f"{name.split('.')[0] or name}.fastnn"
    check_output(output, [data], arguments.force)
    if ending(output, FORMATS):
        raise ValueError(f"{output}: is the name of a table, wanted one for a model: .fastnn")
    page = arguments.report
    if page is not None:
        if Path(page).resolve() == Path(output).resolve():
            raise ValueError(f"{page}: is the model's name, wanted another for the report")
        check_output(page, [data], arguments.force)
    kind = single.Trained if single.wanted(arguments) else ensemble.Trained
    with _naming(data):
        table = open_table(data, _reading(arguments, Reading()), expected=[target])
        if not table.reading.header and target.isdecimal():
            target = f"column_{target}"
        task, values = read_target(table, target, arguments.task)
        groups = values if task == "classification" else None
        train, test = split_rows(len(table), arguments.test_size, arguments.seed, groups)
        model = kind(arguments, table, target, task, values, train)
    classes = [] if groups is None else in_order(values)
    print(f"{data}: {len(table):,} rows; {task} of {target!r} on {_some(model.used)}", end="")
    print(f", {len(classes)} classes: {_some(classes)}" if classes else "")
    for line in missing_note(table, model.used):
        print(line)
    doubts = target_notes(table.column(target), task, chosen=arguments.task is None)
    _note(data, [*_read_notes(arguments, table), *doubts, *model.notes])

    print(f"{model.description}; {len(train):,} rows to train on", flush=True)
    model.fit(train)
    predicted = model.predict(test)
    if task == "regression":
        line = regression_report(model.loss, values[test], predicted, values[train])
    else:
        line = classification_report(values[test], predicted, values[train])
    print(f"{line} ({len(test):,} rows)")
    print(model.speed)
    model.save(output, table.reading)
    print(f"wrote {output}")
    if page is not None and isinstance(model, ensemble.Trained):
        model.report(page, test)
        print(f"wrote {page}")


def predict(arguments: Namespace) -> None:
    """Apply a model to a table; write one line per row, in order."""
    from fastnn.tables import FORMATS, open_table, table_bytes  # needs polars

    output = arguments.output
    form = ".csv" if output is None else ending(output, FORMATS)
    if form is None:
        known = ", ".join(FORMATS)
        raise ValueError(f"{output}: unknown format, wanted a name that ends in one of {known}")
    if output is not None:
        check_output(output, [arguments.data, arguments.model], arguments.force)
    header = storage.load(arguments.model)[1]  # its messages name the file
    ours = header.get("format") == FORMAT
    loaded: Any = (tabular.load if ours else fastnn.load)(arguments.model)
    with _naming(arguments.model):
        model = ensemble.Loaded(loaded) if ours else single.Loaded(loaded)
        model.check(arguments)
    reading = model.reading
    with _naming(arguments.data):
        table = open_table(
            arguments.data,
            # A header that was there is found again; a file that lost it is refused.
            _reading(arguments, replace(reading, header=None) if reading.header else reading),
            expected=model.table.used,
            names=model.table.without_header,
        )
        columns = model.columns(table, arguments)
    _note(arguments.data, [*_read_notes(arguments, table), *model.unseen(table)])
    content = table_bytes(columns, form)
    if output is None:
        sys.stdout.write(content.decode())
    else:
        with whole_file(output) as file:
            file.write(content)


def _some(names: Sequence[str]) -> str:
    """Return the first names of a list."""
    return ", ".join(names[:10]) + f" and {len(names) - 10} more" * (len(names) > 10)
