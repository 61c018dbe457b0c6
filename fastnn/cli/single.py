"""A single network on a user's table, for whoever chooses its layers, loss or optimizer."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fastnn
from fastnn import losses, optimizers
from fastnn.callbacks import EarlyStopping
from fastnn.cli.answers import Answers, check_loss, scaled_for, suits
from fastnn.cli.report import speed_report
from fastnn.cli.usage import UsageError, need
from fastnn.datasets import split_rows
from fastnn.formulas import Formula, Formulas
from fastnn.training import describing

if TYPE_CHECKING:
    from fastnn.tables import Reading, Table, TableEncoder

VALIDATION, PATIENCE, MOST_EPOCHS = 0.2, 15, 500
"""When a network stops whose epochs nobody chose: docs/defaults.md trains as long."""
_FEW, _EPOCHS_OF_FEW = 20, 100
"""So few rows are not held out by default, and how long they train."""
DEFAULTS: dict[str, Any] = {
    "hidden": [64, 64],
    "epochs": None,
    "validation": None,
    "patience": None,
    "batch_size": 32,
    "optimizer": "adam",
    "loss": None,
    "loss_option": None,
    "learning_rate": None,
    "shards": None,
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
        raise UsageError(f"{own[0]} is for a single network, {other[0]} for an ensemble")
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

        own, loss = chosen(arguments, task)
        classes = set(values) if task == "classification" else set()
        check_loss(loss, target, classes, values, table)
        self.how = how_long(own, len(rows))
        share, held = self.how.pop("validation"), None
        if isinstance(share, float):
            rows, held = _split(rows, share, arguments.seed, values, bool(classes))
        text, ignore = ([name.strip() for name in n] for n in (arguments.text, arguments.ignore))
        encoder = TableEncoder.fit(table, target, task, rows, text, ignore)
        self.build(arguments, own, loss, encoder)
        self.values, self.rows = values, rows
        self.inputs, self.targets = self.encoder.encode(table), self.answers.targets(table)
        self.held_out: tuple[NDArray[Any], NDArray[Any]] | None = None
        if held is not None:
            self.held_out = self.inputs[held], self.targets[held]

    def build(
        self, arguments: Namespace, own: dict[str, Any], loss: losses.Loss, encoder: "TableEncoder"
    ) -> None:
        """Make the network for what an encoder makes of a table."""
        self.encoder = encoder = scaled_for(loss, encoder)
        self.answers = Answers(loss, encoder)
        self.used, self.notes = encoder.used, encoder.notes
        rate = {"learning_rate": own["learning_rate"]} if own["learning_rate"] else {}
        n_outputs = self.answers.n_outputs
        try:
            loss.n_targets(n_outputs)
        except ValueError as error:
            raise UsageError(f"--loss-option: {error}") from None
        self.network = fastnn.Network(
            [
                *(fastnn.Dense(units, "relu") for units in own["hidden"]),
                fastnn.Dense(n_outputs, loss.last_activation),
            ],
            loss=loss,
            optimizer=optimizers.TABLE[own["optimizer"]](**rate),
            seed=arguments.seed,
            n_threads=arguments.threads,
        )
        sizes = " - ".join(map(str, [len(encoder.input_names), *own["hidden"], n_outputs]))
        self.description = f"network {sizes}, {loss.name}, {own['optimizer']}"

    @property
    def n_held_out(self) -> int:
        """How many rows choose the best epoch."""
        return 0 if self.held_out is None else len(self.held_out[0])

    def hold_out(self, table: "Table") -> None:
        """Let a table choose the best epoch."""
        self.held_out = self.encoder.encode(table), self.answers.targets(table)

    def fit(self, communicator: Any = None) -> None:
        """Train, together with the processes of a communicator."""
        how = {name: self.how[name] for name in ("epochs", "batch_size", "shards")}
        stop = EarlyStopping(patience=self.how["patience"])
        if self.held_out is not None:
            how |= {"validation_data": self.held_out, "callbacks": stop}
        how |= {"communicator": communicator, "verbose": 1}
        self.history = self.network.fit(*self.training(), **how)
        self.ending = self._ending(stop)

    def training(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the rows to train on."""
        return self.inputs[self.rows], self.targets[self.rows]

    def _ending(self, stop: EarlyStopping) -> str:
        """Return when the fit ended, why, and which weights it left."""
        done = len(self.history.epoch)
        if self.held_out is None:
            few = f", as {len(self.rows)} rows are too few to hold some out" * self.how["few"]
            return f"trained for all {done} epochs{few}"
        best, rows = (stop.best_epoch or 0) + 1, f"{self.n_held_out:,} validation rows"
        kept = f"kept the weights of epoch {best}"
        if stop.stopped_epoch is None:
            return f"trained for all {done} epochs; {kept}, the best on {rows}"
        return (
            f"stopped after {done} epochs, as the loss on {rows} had not improved for "
            f"{self.how['patience']}; {kept}"
        )

    @property
    def speed(self) -> str:
        return f"{self.ending}\n{speed_report(self.history)}"

    def test(self, rows: NDArray[Any]) -> str:
        """Return one line on the error on some rows."""
        outputs = self.network.predict(self.inputs[rows])
        return self.answers.report(self.values[rows], outputs, self.values[self.rows])

    def save(self, path: str, reading: "Reading", training: dict[str, Any]) -> None:
        """Write the network, with how tables are read and how it was trained."""
        described = self.encoder.to_dict() | {"reading": reading.to_dict()}
        training = training | {"ending": self.ending}
        self.network.save(path, extra={"table": described, "training": training})


def chosen(arguments: Namespace, task: str) -> tuple[dict[str, Any], losses.Loss]:
    """Return the options that choose a network, and its loss."""
    given = {name: getattr(arguments, name) for name in DEFAULTS}
    own = DEFAULTS | {name: value for name, value in given.items() if value is not None}
    default = "mae" if task == "regression" else "softmax_cross_entropy"
    return own, _loss(own["loss"] or default, own["loss_option"] or [])


def _loss(name: str, settings: list[tuple[str, Any]]) -> losses.Loss:
    """Return a loss with settings."""
    kind = losses.TABLE[name]
    known = kind().get_params()
    for setting, _ in settings:
        has = f"the loss {name} has {', '.join(known)}"
        need(setting in known, f"--loss-option {setting}: {has}")
    try:
        return kind(**dict(settings))
    except (ValueError, TypeError) as error:
        raise UsageError(f"--loss-option: {error}") from None


def how_long(own: dict[str, Any], n_rows: int) -> dict[str, Any]:
    """Return how long to train, and what chooses the best epoch."""
    epochs, patience, validation = own["epochs"], own["patience"], own["validation"]
    few = (epochs, patience, validation) == (None, None, None) and n_rows < _FEW
    how = {"batch_size": own["batch_size"], "shards": own["shards"], "few": few}
    if few:
        return how | {"epochs": _EPOCHS_OF_FEW, "patience": None, "validation": None}
    if epochs is None:
        patience = patience or PATIENCE
    if validation is None and patience is not None:
        validation = VALIDATION
    return how | {"epochs": epochs or MOST_EPOCHS, "patience": patience, "validation": validation}


def _split(
    rows: NDArray[Any], share: float, seed: int, values: NDArray[Any], classes: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the rows to train on, and those that choose the best epoch."""
    n_held = round(share * len(rows))
    if not 0 < n_held < len(rows):
        raise ValueError(
            f"--validation {share:g} is {n_held} of {len(rows)} rows to train on; wanted at least "
            "one of them, and one to train on"
        )
    train, held = split_rows(len(rows), share, seed, values[rows] if classes else None)
    return rows[train], rows[held]


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
            raise ValueError("was not written by `fastnn train`")
        try:
            state = dict(network.extra["table"])
            self.reading = Reading.from_dict(state.pop("reading", {}))
            self.table = encoder = TableEncoder.from_dict(state)
            n_inputs, loss = len(encoder.input_names), network.model.loss
            self.answers = Answers(loss, encoder)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"its description of the table is damaged: {error!r}") from None
        known = network.model.n_inputs, network.model.n_outputs
        if not suits(loss, encoder.classes) or (n_inputs, self.answers.n_outputs) != known:
            raise ValueError("its description of the table is not for this network")
        self.network = network

    def formulas(self) -> Formulas:
        """Return what it computes of a table's columns, for :mod:`fastnn.export`."""
        pairs = [column.formula() for column in self.table.columns]
        x = Formula.concatenate([encoded for _, encoded in pairs]).cast(np.float32)
        outputs = self.answers.formulas(describing.formula(self.network.model, x))
        text = f"a network that predicts {self.table.target!r}"
        return Formulas([source for source, _ in pairs], outputs, text)

    def check(self, arguments: Namespace) -> None:
        """Raise UsageError for options that are for other models."""
        if arguments.probabilities:
            need(
                bool(self.table.classes),
                f"{arguments.model}: predicts numbers; --probabilities is for classes",
            )
            name = self.answers.loss.name
            need(
                self.answers.has_probabilities,
                f"{arguments.model}: was trained with the loss {name}, which gives no "
                "probabilities; --probabilities wants softmax_cross_entropy or logistic",
            )
        need(
            arguments.interval is None,
            f"{arguments.model}: is a single network; --interval is for ensembles that predict "
            "numbers (or train with --loss quantile --loss-option quantiles=0.05,0.95)",
        )

    def columns(self, table: "Table", arguments: Namespace) -> dict[str, NDArray[Any]]:
        """Return the columns to write."""
        outputs = self.network.predict(self.table.encode(table))
        return self.answers.columns(outputs, arguments.probabilities)

    def unseen(self, table: "Table") -> list[str]:
        """Return notes on what in a table differs from training."""
        return self.table.unseen(table)
