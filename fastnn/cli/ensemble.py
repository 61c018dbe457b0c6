"""An ensemble on a user's table: what `train` makes unless options choose a single network."""

import time
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fastnn import tabular
from fastnn.cli.report import classification_report, duration, regression_report
from fastnn.cli.usage import need
from fastnn.many import FitManyError

if TYPE_CHECKING:
    from fastnn.tables import Reading, Table


class Trained:
    """An ensemble to train on a table.

    Raises
    ------
    ValueError
        If the table or the target does not suit it.
    """

    n_held_out = 0

    def __init__(
        self,
        arguments: Namespace,
        table: "Table",
        target: str,
        task: str,
        values: NDArray[Any],
        rows: NDArray[Any],
    ):
        from fastnn.tables import Selection, refuse_infinite

        if task == "regression":
            refuse_infinite(values, target, table)
        text, ignore = ([name.strip() for name in n] for n in (arguments.text, arguments.ignore))
        self.selection = Selection.fit(table, target, values, rows, text, ignore)
        self.used, self.notes = self.selection.used, self.selection.notes
        self.frame, self.values, self.rows = self.selection.frame(table), values, rows
        self.model: tabular.TabularRegressor | tabular.TabularClassifier
        kind = tabular.TabularRegressor if task == "regression" else tabular.TabularClassifier
        preset = arguments.preset or "fast"
        self.model = kind(
            preset,
            time_limit=arguments.time_limit,
            random_state=arguments.seed,
            n_threads=arguments.threads,
            verbose=1,
        )
        self.description = f"ensemble, {preset}"

    def fit(self) -> None:
        """Train."""
        rows = self.rows
        began = time.perf_counter()
        try:
            self.model.fit(self.frame[rows], self.values[rows])
        except FitManyError as error:
            raise ValueError(f"training failed: {error.exceptions[0]}") from error
        self.seconds = time.perf_counter() - began

    @property
    def speed(self) -> str:
        return f"{len(self.model.networks_)} networks in {duration(self.seconds)}"

    def test(self, rows: NDArray[Any]) -> str:
        """Return one line on the error on some rows."""
        values, trained = self.values[rows], self.values[self.rows]
        predicted = self.model.predict(self.frame[rows])
        if isinstance(self.model, tabular.TabularRegressor):
            return regression_report("mse", values, predicted, trained)
        return classification_report(values, predicted, trained)

    def report(self, path: str, rows: NDArray[Any]) -> None:
        """Write a page on the ensemble, with what some rows say of it."""
        tabular.report(self.model, path, self.frame[rows], self.values[rows])

    def save(self, path: str, reading: "Reading", training: dict[str, Any]) -> None:
        """Write the ensemble, with how tables are read and how it was trained."""
        described = self.selection.to_dict() | {"reading": reading.to_dict()}
        self.model.set_params(verbose=0).save(
            path, extra={"table": described, "training": training}
        )


class Loaded:
    """An ensemble that :class:`Trained` saved; ValueError for any other.

    Attributes
    ----------
    reading : Reading
        How the training table was read.
    table : Selection
    """

    def __init__(self, model: tabular.TabularRegressor | tabular.TabularClassifier):
        from fastnn.tables import Reading, Selection

        if "table" not in model.extra_:
            raise ValueError("was not written by `fastnn train`")
        try:
            state = dict(model.extra_["table"])
            self.reading = Reading.from_dict(state.pop("reading"))
            self.table = Selection.from_dict(state)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"its description of the table is damaged: {error!r}") from None
        known = [None if each is None else "category" for each in model.categories_]
        kinds = [use.kind if use.kind == "category" else None for use in self.table.columns]
        if kinds != known or self.table.used != list(getattr(model, "feature_names_in_", ())):
            raise ValueError("its description of the table is not for this model")
        self.model = model

    def check(self, arguments: Namespace) -> None:
        """Raise UsageError for options that are for other models."""
        numbers = isinstance(self.model, tabular.TabularRegressor)
        need(
            not (numbers and arguments.probabilities),
            f"{arguments.model}: predicts numbers; --probabilities is for classes",
        )
        need(
            numbers or arguments.interval is None,
            f"{arguments.model}: predicts classes; --interval is for numbers",
        )

    def columns(self, table: "Table", arguments: Namespace) -> dict[str, NDArray[Any]]:
        """Return the columns to write."""
        from fastnn.tables import in_order

        frame, target = self.table.frame(table, self.model.categories_), self.table.target
        if isinstance(self.model, tabular.TabularRegressor):
            columns = {target: self.model.predict(frame)}
            if arguments.interval is not None:
                low, high = self.model.predict_interval(frame, arguments.interval).T
                columns |= {f"lower bound of {target}": low, f"upper bound of {target}": high}
            return columns
        shares = self.model.predict_proba(frame)
        columns = {target: self.model.classes_[shares.argmax(axis=1)]}
        if arguments.probabilities:
            own = dict(zip(self.model.classes_, shares.T, strict=True))
            columns |= {f"probability of {name}": own[name] for name in in_order(own)}
        return columns

    def unseen(self, table: "Table") -> list[str]:
        """Return notes on what in a table differs from training."""
        return self.table.unseen(table, self.model.categories_)
