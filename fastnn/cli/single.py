"""A single network on a user's table, for whoever chooses its layers, loss or optimizer."""

from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fastnn
from fastnn import losses, optimizers
from fastnn.cli.report import speed_report
from fastnn.formulas import Formula, Formulas
from fastnn.inputs.targets import KINDS
from fastnn.training import describing

if TYPE_CHECKING:
    from fastnn.tables import Reading, Table

DEFAULTS: dict[str, Any] = {
    "hidden": [64, 64],
    "epochs": 100,
    "batch_size": 32,
    "optimizer": "adam",
    "loss": None,
    "learning_rate": None,
}
"""The options that choose a single network, and what the others are then."""
_OF_ENSEMBLES = "preset", "time_limit", "report"


def wanted(arguments: Namespace) -> bool:
    """Return whether options choose a single network."""
    own, other = (
        [f"--{name.replace('_', '-')}" for name in names if getattr(arguments, name) is not None]
        for names in (DEFAULTS, _OF_ENSEMBLES)
    )
    if own and other:
        raise ValueError(f"{own[0]} is for a single network, {other[0]} for an ensemble")
    return bool(own)


class Trained:
    """A network to train on a table.

    Raises
    ------
    ValueError
        If the table or the target does not suit it.
    """

    def __init__(
        self,
        arguments: Namespace,
        table: "Table",
        target: str,
        task: str,
        values: NDArray[Any],
        rows: NDArray[Any],
    ):
        from fastnn.tables import TableEncoder

        given = {name: getattr(arguments, name) for name in DEFAULTS}
        own = DEFAULTS | {name: value for name, value in given.items() if value is not None}
        self.loss = loss = _loss(task, own["loss"])
        text, ignore = ([name.strip() for name in n] for n in (arguments.text, arguments.ignore))
        encoder = TableEncoder.fit(table, target, task, rows, text, ignore)
        if losses.TABLE[loss].fused == "exponential":
            _check_target(loss, values, target, table)
            # Logarithms of means: zero and the signs stay where they are.
            encoder = replace(encoder, mean=0.0, scale=encoder.mean or 1.0)
        self.encoder = encoder
        self.inputs, self.targets = encoder.encode(table), encoder.encode_target(table)
        self.used, self.notes = encoder.used, encoder.notes
        rate = {"learning_rate": own["learning_rate"]} if own["learning_rate"] else {}
        outputs = max(1, len(encoder.classes))
        self.network = fastnn.Network(
            [
                *(fastnn.Dense(units, "relu") for units in own["hidden"]),
                fastnn.Dense(outputs, losses.TABLE[loss].fused),
            ],
            loss=loss,
            optimizer=optimizers.TABLE[own["optimizer"]](**rate),
            seed=arguments.seed,
            n_threads=arguments.threads,
        )
        self.times = {name: own[name] for name in ("epochs", "batch_size")}
        sizes = " - ".join(map(str, [self.inputs.shape[1], *own["hidden"], outputs]))
        self.description = f"network {sizes}, {loss}, {own['optimizer']}"

    def fit(self, rows: NDArray[Any]) -> None:
        """Train on some rows."""
        self.history = self.network.fit(
            self.inputs[rows], self.targets[rows], **self.times, verbose=1
        )

    @property
    def speed(self) -> str:
        return speed_report(self.history)

    def predict(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Return predictions for some rows."""
        return self.encoder.decode(self.network.predict(self.inputs[rows]))

    def save(self, path: str, reading: "Reading") -> None:
        """Write the network, with how tables are read."""
        described = self.encoder.to_dict() | {"reading": reading.to_dict()}
        self.network.save(path, extra={"table": described})


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


class Loaded:
    """A network that :class:`Trained` saved; ValueError for any other.

    Attributes
    ----------
    reading : Reading
        How the training table was read.
    table : TableEncoder
    """

    def __init__(self, network: fastnn.Network):
        from fastnn.tables import Reading, TableEncoder

        if "table" not in network.extra:
            raise ValueError("was not written by `python -m fastnn train`")
        try:
            state = dict(network.extra["table"])
            self.reading = Reading.from_dict(state.pop("reading", {}))
            self.table = encoder = TableEncoder.from_dict(state)
            n_inputs = len(encoder.input_names)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"its description of the table is damaged: {error!r}") from None
        model, outputs = network.model, max(1, len(encoder.classes))
        fits = (n_inputs, outputs) == (model.n_inputs, model.n_outputs)
        if not fits or bool(encoder.classes) != (model.loss.target == "class"):
            raise ValueError("its description of the table is not for this network")
        self.network = network

    def formulas(self) -> Formulas:
        """Return what it computes of a table's columns, for :mod:`fastnn.export`."""
        pairs = [column.formula() for column in self.table.columns]
        x = Formula.concatenate([encoded for _, encoded in pairs]).cast(np.float32)
        found, classes = describing.formula(self.network.model, x), self.table.classes
        if classes:
            outputs = {"label": found.argmax().labels(np.array(classes)), "probabilities": found}
        else:
            outputs = {"predictions": found.cast(np.float64) * self.table.scale + self.table.mean}
        text = f"a network that predicts {self.table.target!r}"
        return Formulas([source for source, _ in pairs], outputs, text)

    def check(self, arguments: Namespace) -> None:
        """Raise ValueError for options that are for other models."""
        if arguments.probabilities and self.table.task == "regression":
            raise ValueError("predicts numbers; --probabilities is for classes")
        if arguments.interval is not None:
            raise ValueError(
                "is a single network; --interval is for ensembles that predict numbers"
            )

    def columns(self, table: "Table", arguments: Namespace) -> dict[str, NDArray[Any]]:
        """Return the columns to write."""
        outputs = self.network.predict(self.table.encode(table))
        columns = {self.table.target: self.table.decode(outputs)}
        if arguments.probabilities:
            names = [f"probability of {name}" for name in self.table.classes]
            columns |= dict(zip(names, outputs.T, strict=True))
        return columns

    def unseen(self, table: "Table") -> list[str]:
        """Return notes on what in a table differs from training."""
        return self.table.unseen(table)
