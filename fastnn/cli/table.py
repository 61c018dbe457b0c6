"""``train`` and ``predict``: a network on the user's own table."""

import csv
import io
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import fastnn
from fastnn import losses, optimizers
from fastnn.cli.report import classification_report, regression_report, speed_report
from fastnn.datasets import split_rows


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Prefix messages about a file's contents with its name."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _note(path: str, notes: list[str] | tuple[str, ...]) -> None:
    for note in notes:
        print(f"fastnn: note: {path}: {note}", file=sys.stderr)


def train(arguments: Namespace) -> None:
    """Train on a table, test on held-out rows, and write the model."""
    from fastnn.tables import TableEncoder, read_table, read_target  # needs an extra

    data = arguments.data
    output = Path(arguments.output or Path(Path(data).name.split(".")[0]).with_suffix(".fastnn"))
    if not output.parent.is_dir():
        raise FileNotFoundError(f"{output}: there is no directory {output.parent}")
    with _naming(data):
        frame = read_table(data)
        task, values = read_target(frame, arguments.target, arguments.task)
        loss = _loss(task, arguments.loss)
        groups = values if task == "classification" else None
        train, test = split_rows(len(frame), arguments.test_size, arguments.seed, groups)
        encoder = TableEncoder.fit(frame, arguments.target, task, train)
        inputs, targets = encoder.encode(frame), encoder.encode_target(frame)
    outputs = 1 if task == "regression" else len(encoder.classes)
    print(f"{data}: {len(frame):,} rows; {task} of {arguments.target!r}", end="")
    print(
        f" on {len(encoder.columns)} columns"
        + (f", {outputs} classes" if groups is not None else "")
    )
    _note(data, encoder.notes)

    rate = {} if arguments.learning_rate is None else {"learning_rate": arguments.learning_rate}
    last = None if task == "regression" else "softmax"
    network = fastnn.Network(
        [
            *(fastnn.Dense(units, "relu") for units in arguments.hidden),
            fastnn.Dense(outputs, last),
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
    network.save(output, extra={"table": encoder.to_dict()})
    print(f"wrote {output}")


def _loss(task: str, loss: str | None) -> str:
    if loss is None:
        return "mae" if task == "regression" else "softmax_cross_entropy"
    if (losses.TABLE[loss].target == "class") != (task == "classification"):
        raise ValueError(f"--loss {loss} is not for {task}")
    return loss


def predict(arguments: Namespace) -> None:
    """Apply a model to a table; write one line of CSV per row, in order."""
    from fastnn.tables import TableEncoder, read_table  # needs an extra

    network = fastnn.load(arguments.model)  # its messages name the file
    with _naming(arguments.model):
        if "table" not in network.extra:
            raise ValueError("was not written by `python -m fastnn train`")
        encoder = TableEncoder.from_dict(network.extra["table"])
        if arguments.probabilities and encoder.task == "regression":
            raise ValueError("predicts numbers; --probabilities is for classes")
    with _naming(arguments.data):
        frame = read_table(arguments.data)
        inputs = encoder.encode(frame)
    _note(arguments.data, encoder.unseen(frame))
    outputs = network.predict(inputs)
    header, columns = [encoder.target], [encoder.decode(outputs)]
    if arguments.probabilities:
        header += [f"probability of {name}" for name in encoder.classes]
        columns += list(outputs.T)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*(map(_text, column) for column in columns), strict=True))
    if arguments.output is None:
        sys.stdout.write(text.getvalue())
    else:
        Path(arguments.output).write_text(text.getvalue(), encoding="utf-8")


def _text(value: np.generic) -> str:
    return value if isinstance(value, str) else f"{value:.7g}"
