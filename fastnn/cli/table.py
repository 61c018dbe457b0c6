"""``train`` and ``predict``: a network on the user's own table."""

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

import fastnn
from fastnn import losses, optimizers
from fastnn.cli.outputs import check_output, ending
from fastnn.cli.report import classification_report, regression_report, speed_report
from fastnn.datasets import split_rows
from fastnn.files.atomic import whole_file
from fastnn.inputs.targets import KINDS

if TYPE_CHECKING:
    from fastnn.tables import Reading, TableEncoder
    from fastnn.tables.table import Table


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
        TableEncoder,
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
    with _naming(data):
        table = open_table(data, _reading(arguments, Reading()), expected=[target])
        if not table.reading.header and target.isdecimal():
            target = f"column_{target}"
        task, values = read_target(table, target, arguments.task)
        loss = _loss(task, arguments.loss)
        groups = values if task == "classification" else None
        train, test = split_rows(len(table), arguments.test_size, arguments.seed, groups)
        text, ignore = ([name.strip() for name in n] for n in (arguments.text, arguments.ignore))
        encoder = TableEncoder.fit(table, target, task, train, text, ignore)
        if losses.TABLE[loss].fused == "exponential":
            _check_target(loss, values, target, table)
            # Logarithms of means: zero and the signs stay where they are.
            encoder = replace(encoder, mean=0.0, scale=encoder.mean or 1.0)
        inputs, targets = encoder.encode(table), encoder.encode_target(table)
    outputs = 1 if task == "regression" else len(encoder.classes)
    print(f"{data}: {len(table):,} rows; {task} of {target!r} on {_some(encoder.used)}", end="")
    print(f", {outputs} classes: {_some(encoder.classes)}" if groups is not None else "")
    for line in missing_note(table, encoder.used):
        print(line)
    doubts = target_notes(table.column(target), task, chosen=arguments.task is None)
    _note(data, [*_read_notes(arguments, table), *doubts, *encoder.notes])

    rate = {} if arguments.learning_rate is None else {"learning_rate": arguments.learning_rate}
    network = fastnn.Network(
        [
            *(fastnn.Dense(units, "relu") for units in arguments.hidden),
            fastnn.Dense(outputs, losses.TABLE[loss].fused),
        ],
        loss=loss,
        optimizer=optimizers.TABLE[arguments.optimizer](**rate),
        seed=arguments.seed,
        n_threads=arguments.threads,
    )
    sizes = " - ".join(map(str, [inputs.shape[1], *arguments.hidden, outputs]))
    print(f"network {sizes}, {loss}, {arguments.optimizer}; {len(train):,} rows to train on")
    history = network.fit(
        inputs[train],
        targets[train],
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        verbose=1,
    )
    predicted = encoder.decode(network.predict(inputs[test]))
    if task == "regression":
        line = regression_report(loss, values[test], predicted, values[train])
    else:
        line = classification_report(values[test], predicted, values[train])
    print(f"{line} ({len(test):,} rows)")
    print(speed_report(history))
    network.save(output, extra={"table": encoder.to_dict() | {"reading": table.reading.to_dict()}})
    print(f"wrote {output}")


def _loss(task: str, loss: str | None) -> str:
    if loss is None:
        return "mae" if task == "regression" else "softmax_cross_entropy"
    if (losses.TABLE[loss].target == "class") != (task == "classification"):
        raise ValueError(f"--loss {loss} is not for {task}")
    return loss


def _check_target(loss: str, values: NDArray[Any], target: str, table: "Table") -> None:
    """Refuse values that the loss cannot have, by the file's lines."""
    is_wrong, wanted, _ = KINDS[losses.TABLE[loss].target]
    wrong = is_wrong(values)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"--loss {loss} wants {wanted}; target column {target!r} holds {values[row]:g} in "
            f"{table.place(row)}"
        )


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
    network = fastnn.load(arguments.model)  # its messages name the file
    with _naming(arguments.model):
        encoder, reading = _described(network)
        if arguments.probabilities and encoder.task == "regression":
            raise ValueError("predicts numbers; --probabilities is for classes")
    with _naming(arguments.data):
        table = open_table(
            arguments.data,
            _reading(arguments, reading),
            expected=encoder.used,
            names=encoder.without_header,
        )
        inputs = encoder.encode(table)
    _note(arguments.data, [*_read_notes(arguments, table), *encoder.unseen(table)])
    outputs = network.predict(inputs)
    columns = {encoder.target: encoder.decode(outputs)}
    if arguments.probabilities:
        names = [f"probability of {name}" for name in encoder.classes]
        columns |= dict(zip(names, outputs.T, strict=True))
    content = table_bytes(columns, form)
    if output is None:
        sys.stdout.write(content.decode())
    else:
        with whole_file(output) as file:
            file.write(content)


def _described(network: fastnn.Network) -> tuple["TableEncoder", "Reading"]:
    """Return the encoder of a network's table, and how that was read."""
    from fastnn.tables import Reading, TableEncoder

    if "table" not in network.extra:
        raise ValueError("was not written by `python -m fastnn train`")
    try:
        state = dict(network.extra["table"])
        reading = Reading.from_dict(state.pop("reading", {}))
        encoder = TableEncoder.from_dict(state)
        n_inputs = len(encoder.input_names)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"its description of the table is damaged: {error!r}") from None
    model = network.model
    outputs = max(1, len(encoder.classes))
    fits = (n_inputs, outputs) == (model.n_inputs, model.n_outputs)
    if not fits or bool(encoder.classes) != (model.loss.target == "class"):
        raise ValueError("its description of the table is not for this network")
    # A header that was there is found again; a file that lost it is refused for its numbers.
    return encoder, replace(reading, header=None) if reading.header else reading


def _some(names: Sequence[str]) -> str:
    """Return the first names of a list."""
    return ", ".join(names[:10]) + f" and {len(names) - 10} more" * (len(names) > 10)
