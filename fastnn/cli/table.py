"""``train`` and ``predict``: a model of the user's own table."""

import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastnn
from fastnn.cli import ensemble, from_disk, single
from fastnn.cli.models import of_table
from fastnn.cli.outputs import (
    STANDARD,
    check_output,
    ending,
    input_file,
    naming,
    output_file,
    refuse_terminal,
    shown,
    write_standard,
)
from fastnn.cli.usage import UsageError, need
from fastnn.datasets import split_rows
from fastnn.files.atomic import whole_file

if TYPE_CHECKING:
    from fastnn.cli.ranks import Alone
    from fastnn.tables import Reading, Table


def _note(path: str, notes: list[str]) -> None:
    for note in notes:
        print(f"fastnn: note: {shown(path)}: {note}", file=sys.stderr)


def _reading(arguments: Namespace, reading: "Reading") -> "Reading":
    """Return how to read the table: as given, unless an option says otherwise."""
    given = {
        name: value
        for name in ("delimiter", "decimal", "thousands", "header")
        if (value := getattr(arguments, name)) is not None
    }
    missing = (*reading.missing, *(text.strip() for text in arguments.missing))
    try:
        return replace(reading, **given, missing=tuple(dict.fromkeys(missing)))
    except ValueError as error:
        raise UsageError(error) from None


def _open(arguments: Namespace, path: str, reading: "Reading", **how: Any) -> "Table":
    """Read a table, which is not CSV if options for CSV are given."""
    from fastnn.tables import binary_format, open_table

    if arguments.delimiter is not None or arguments.header is not None:
        form = binary_format(path)
        need(form is None, f"--delimiter and --header are for CSV, and this is {form}")
    return open_table(path, reading, **how)


def _read_notes(arguments: Namespace, table: "Table") -> list[str]:
    """Return the notes on the reading of a table."""
    from fastnn.tables import missing_option

    unused = [missing_option(text) for text in arguments.missing if text.strip() in table.unused]
    return [*table.notes, *(f"{option}: no value is that" for option in unused)]


def train(arguments: Namespace, ranks: "Alone") -> None:
    """Train on a table, test on held-out rows, and write the model, which only rank 0 does."""
    from fastnn.tables import Reading

    output, page = _check_names(arguments)
    large = from_disk.wanted(arguments)
    if large:
        from_disk.check(arguments)
    reading = _reading(arguments, Reading())
    kind = single.Trained if single.wanted(arguments) else ensemble.Trained
    with ExitStack() as stack:
        path = stack.enter_context(input_file(arguments.data))
        if output == STANDARD:  # which then is the model's alone
            standard = sys.stdout
            stack.enter_context(redirect_stdout(sys.stderr))
        if large:
            prepared = stack.enter_context(_from_disk(arguments, reading))
        else:
            prepared = _prepared(kind, arguments, path, reading)
        model, table, test = prepared
        training = _trained(arguments, model, test, ranks)
        if ranks.rank:
            return
        if output == STANDARD:
            stack.enter_context(redirect_stdout(standard))
        with output_file(output) as written:
            model.save(written, table.reading, training)
    if page is not None and isinstance(model, ensemble.Trained):
        model.report(page, test)
        print(f"wrote {page}")


def _check_names(arguments: Namespace) -> tuple[str, str | None]:
    """Return the names of the model and its report, after all that can be wrong with them."""
    from fastnn.tables import FORMATS

    data, page, validation = arguments.data, arguments.report, arguments.validation
    inputs = [each for each in (data, validation) if isinstance(each, str)]
    for name in inputs:
        if name != STANDARD:
            if not Path(name).is_dir():
                with open(name, "rb"):
                    pass  # first of all: its name is also the model's
    need(inputs.count(STANDARD) < 2, "--validation and DATA are both standard input")
    name = "model" if data == STANDARD else Path(data).name
    output = arguments.output or f"{name.split('.')[0] or name}.fastnn"
    refuse_terminal(output, "a model")
    check_output(output, inputs, arguments.force)
    if ending(output, FORMATS):
        raise UsageError(f"{output}: is the name of a table, wanted one for a model: .fastnn")
    if page is not None:
        need(page != STANDARD, "--report wants the name of a file")
        if Path(page).resolve() == Path(output).resolve():
            raise UsageError(f"{page}: is the model's name, wanted another for the report")
        check_output(page, inputs, arguments.force)
    return output, page


def _prepared(
    kind: Any, arguments: Namespace, path: str, reading: "Reading"
) -> tuple[Any, "Table", Any]:
    """Return a model to train, its table, and the rows to test on."""
    from fastnn.tables import read_target

    data, target = arguments.data, arguments.target.strip()
    with naming(data):
        table = _open(arguments, path, reading, expected=[target])
        if not table.reading.header and target.isdecimal():
            target = f"column_{target}"
        task, values = read_target(table, target, arguments.task)
        groups = values if task == "classification" else None
        rows, test = _split(len(table), arguments, groups)
        model = kind(arguments, table, target, task, values, rows)
    if isinstance(arguments.validation, str):
        _hold_out(model, arguments, table)
    _tell(arguments, table, target, task, values, model, len(table))
    return model, table, test


@contextmanager
def _from_disk(arguments: Namespace, reading: "Reading") -> Iterator[tuple[Any, "Table", Any]]:
    """Yield a model to train on Parquet files, a sample of them, and the rows to test on."""
    with ExitStack() as stack:
        with redirect_stdout(sys.stderr):  # for progress
            model = stack.enter_context(from_disk.opened(arguments, reading))
        sample, encoder = model.sample, model.encoder
        what = encoder.target, encoder.task, model.values, model, model.n_rows
        _tell(arguments, sample, *what, where=f"in a sample of {len(sample):,} rows, ")
        yield model, sample, range(model.counts["test"])


def _tell(
    arguments: Namespace,
    table: "Table",
    target: str,
    task: str,
    values: Any,
    model: Any,
    n_rows: int,
    where: str = "",
) -> None:
    """Print what is to be learned, and notes on the table."""
    from fastnn.tables import in_order, missing_note, target_notes

    data = arguments.data
    classes = in_order(values) if task == "classification" else []
    line = f"{shown(data)}: {n_rows:,} rows; {task} of {target!r} on {_some(model.used)}"
    print(f"{line}, {len(classes)} classes: {_some(classes)}" if classes else line)
    for line in missing_note(table, model.used):
        print(where + line)
    doubts = target_notes(table.column(target), task, chosen=arguments.task is None)
    _note(data, [*_read_notes(arguments, table), *doubts, *model.notes])


def _trained(arguments: Namespace, model: Any, test: Any, ranks: "Alone") -> dict[str, Any]:
    """Train a model and test it; return how it was trained."""
    held = f", {model.n_held_out:,} to choose the best epoch" if model.n_held_out else ""
    print(f"{model.description}; {len(model.rows):,} rows to train on{held}", flush=True)
    ranks.ready()
    with redirect_stdout(sys.stderr):  # for progress
        model.fit(**ranks.options)
    line = f"{model.test(test)} ({len(test):,} rows)"
    print(line)
    print(model.speed)
    counts = {"train": len(model.rows), "validation": model.n_held_out, "test": len(test)}
    return {
        "version": fastnn.__version__,
        "options": _options(arguments),
        "rows": {name: count for name, count in counts.items() if count},
        "error": line,
    }


def _split(n_rows: int, arguments: Namespace, groups: Any) -> tuple[Any, Any]:
    """Return the rows to train on, and those to test on."""
    share = arguments.test_size
    if not 0 < round(share * n_rows) < n_rows:
        raise ValueError(
            f"has {n_rows} row{'s' * (n_rows > 1)}, of which --test-size {share:g} makes "
            f"{round(share * n_rows)} to test on; wanted at least one, and one to train on"
        )
    return split_rows(n_rows, share, arguments.seed, groups)


def _hold_out(model: Any, arguments: Namespace, table: "Table") -> None:
    """Let a table of its own choose the best epoch of a network; it is read as the other was."""
    name, reading = arguments.validation, table.reading
    with input_file(name) as path, naming(name):
        if reading.header:
            reading = replace(reading, header=None)  # to be found again
            model.hold_out(_open(arguments, path, reading, expected=table.names))
        else:
            model.hold_out(_open(arguments, path, reading, names=[table.names]))


_NOT_OF_TRAINING = "command", "data", "output", "force", "report", "threads"


def _options(arguments: Namespace) -> str:
    """Return the options that a model was trained with, as they are typed."""
    shown = []
    for name, value in vars(arguments).items():
        option = f"--{name.replace('_', '-')}"
        if name in _NOT_OF_TRAINING or value in (None, []) or (name, value) == ("test_size", 0.2):
            continue
        if name == "header":
            shown.append(option if value else "--no-header")
        elif name == "validation" and isinstance(value, str):
            shown.append(f"{option} FILE")
        elif name == "hidden":
            shown.append(f"{option} {','.join(map(str, value)) or 'none'}")
        elif name == "loss_option":
            shown += [f"{option} {shlex.quote(f'{key}={each}')}" for key, each in value]
        elif name != "seed" or value:
            each = value if isinstance(value, list) else [value]
            shown += [f"{option} {shlex.quote(str(one))}" for one in each]
    return " ".join(shown)


def predict(arguments: Namespace) -> None:
    """Apply a model to a table; write one line per row, in order."""
    from fastnn.tables import FORMATS, beside, one_below_another, table_bytes  # needs polars

    output = arguments.output or STANDARD
    form = ".csv" if output == STANDARD else ending(output, FORMATS)
    if form is None:
        known = ", ".join(FORMATS)
        raise UsageError(f"{output}: unknown format, wanted a name that ends in one of {known}")
    check_output(output, [arguments.data, arguments.model], arguments.force)
    model = of_table(arguments.model)
    model.check(arguments)
    reading = model.reading
    # A header that was there is found again; a file that lost it is refused.
    reading = _reading(arguments, replace(reading, header=None) if reading.header else reading)
    frames: list[Any] = []
    notes: dict[str, str] = {}
    places = ""
    with input_file(arguments.data) as path, naming(arguments.data):
        for table in _tables(arguments, path, reading, model):
            columns = model.columns(table, arguments)
            frames.append(beside(table.kept, columns))
            if len(frames) > 1:
                places = f"from {table.place(0)} on, "
            for note in [*_read_notes(arguments, table), *model.unseen(table)]:
                notes.setdefault(note.partition(" in ")[0], places + note)
        if not frames:
            raise ValueError("has no rows")
    frame = one_below_another(frames)
    _note(arguments.data, list(notes.values()))
    renamed = [name for name in columns if name in table.kept.columns]
    for name in renamed:
        _note(
            arguments.data,
            [f"--keep {shlex.quote(name)}: what is predicted is called 'prediction of {name}'"],
        )
    content = table_bytes(frame, form)
    if output == STANDARD:
        write_standard(content)
    else:
        with whole_file(output) as file:
            file.write(content)


def _tables(arguments: Namespace, path: str, reading: "Reading", model: Any) -> Iterator["Table"]:
    """Yield the table to predict for, in pieces if it may be larger than memory."""
    if from_disk.wanted(arguments):
        from_disk.check_reading(arguments)
        yield from from_disk.tables(arguments, reading)
        return
    keep = [name.strip() for name in arguments.keep]
    expected, names = model.table.used, model.table.without_header
    yield _open(arguments, path, reading, expected=expected, names=names, keep=keep)


def _some(names: Sequence[str]) -> str:
    """Return the first names of a list."""
    return ", ".join(names[:10]) + f" and {len(names) - 10} more" * (len(names) > 10)
