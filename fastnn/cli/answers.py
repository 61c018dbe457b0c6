"""What a single network's outputs say of a table's target, under each loss."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses
from fastnn.cli.options import loss_names
from fastnn.cli.report import classification_report, quantile_report, regression_report
from fastnn.formulas import Formula
from fastnn.inputs.targets import KINDS

if TYPE_CHECKING:
    from fastnn.tables import Table, TableEncoder

_NUMBERS = "real", "count", "positive", "binary"
_CLASSES = "class", "binary", "sign"


def suits(loss: losses.Loss, classes: Iterable[str]) -> bool:
    """Return whether a loss can learn these classes, or numbers if there are none."""
    count = len(list(classes))
    if not count:
        return loss.target in _NUMBERS
    return loss.target in _CLASSES and (loss.target == "class" or count == 2)


def check_loss(
    loss: losses.Loss, target: str, classes: Iterable[str], values: NDArray[Any], table: "Table"
) -> None:
    """Refuse a loss that does not suit a target, or a value that it cannot have, by its line."""
    count, name = len(list(classes)), loss.name
    if not suits(loss, classes):
        kinds = _CLASSES[: 3 if count == 2 else 1] if count else _NUMBERS
        known = f"wanted one of {', '.join(loss_names(*kinds))}"
        if count and loss.target in _CLASSES:
            raise ValueError(f"--loss {name} is for two classes, {target!r} has {count}; {known}")
        task, other = ("classification", "regression")[:: 1 if count else -1]
        raise ValueError(
            f"--loss {name} is not for {task}, as {target!r} is one; {known}, or --task {other}"
        )
    if count or loss.target not in KINDS:
        return
    is_wrong, wanted, _ = KINDS[loss.target]
    wrong = is_wrong(values)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"--loss {name} wants {wanted}; target column {target!r} holds {values[row]:g} in "
            f"{table.place(row)}"
        )


def scaled_for(loss: losses.Loss, encoder: "TableEncoder") -> "TableEncoder":
    """Return an encoder that leaves a target's zero and signs where a loss needs them."""
    if encoder.classes or loss.target == "real":
        return encoder
    # Logarithms are of means; shares stay what they are.
    return replace(encoder, mean=0.0, scale=1.0 if loss.target == "binary" else encoder.mean or 1.0)


@dataclass(frozen=True)
class Answers:
    """How a loss and a table's target meet.

    Attributes
    ----------
    loss : Loss
        One that :func:`suits` the target.
    encoder : TableEncoder
    """

    loss: losses.Loss
    encoder: "TableEncoder"

    @property
    def n_outputs(self) -> int:
        """How many outputs the network needs."""
        return len(self.encoder.classes) if self.loss.target == "class" else self.loss.outputs

    @property
    def _two(self) -> bool:
        """Whether one output tells two classes apart."""
        return bool(self.encoder.classes) and self.loss.target != "class"

    @property
    def _limit(self) -> float:
        """Above which output it is the second of two classes."""
        return 0.5 if self.has_probabilities else 0.0

    @property
    def has_probabilities(self) -> bool:
        """Whether its outputs are probabilities of classes."""
        last = self.loss.last_activation
        return bool(self.encoder.classes) and last in ("softmax", "sigmoid")

    def targets(self, table: "Table") -> NDArray[Any]:
        """Return a table's target as the loss takes it."""
        return self.of_encoded(self.encoder.encode_target(table))

    def of_encoded(self, found: NDArray[Any]) -> NDArray[Any]:
        """Return an encoded target as the loss takes it."""
        if not self._two:
            return found
        labels = found.astype(np.float32)[:, None]
        return 2 * labels - 1 if self.loss.target == "sign" else labels

    def values(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return classes (n,), numbers (n,), or a number for each of several quantiles (n, q)."""
        encoder = self.encoder
        if self._two:
            return np.array(encoder.classes)[(outputs[:, 0] > self._limit).astype(int)]
        if encoder.classes or self._quantiles is None:
            return encoder.decode(outputs)
        return outputs.astype(np.float64) * encoder.scale + encoder.mean

    @property
    def _quantiles(self) -> tuple[float, ...] | None:
        return getattr(self.loss, "quantiles", None)

    def columns(self, outputs: NDArray[Any], probabilities: bool) -> dict[str, NDArray[Any]]:
        """Return the columns to write."""
        encoder, target, found = self.encoder, self.encoder.target, self.values(outputs)
        if self._quantiles is not None and len(self._quantiles) > 1:
            names = [f"quantile {q:g} of {target}" for q in self._quantiles]
            return dict(zip(names, found.T, strict=True))
        columns = {target: found.reshape(len(outputs))}
        if self.loss.name == "gaussian_nll":
            deviation = np.exp(outputs[:, 1].astype(np.float64) / 2) * encoder.scale
            columns[f"standard deviation of {target}"] = deviation
        if probabilities:
            shares = np.hstack([1 - outputs, outputs]) if self._two else outputs
            names = [f"probability of {name}" for name in encoder.classes]
            columns |= dict(zip(names, shares.T, strict=True))
        return columns

    def report(self, target: NDArray[Any], outputs: NDArray[Any], trained: NDArray[Any]) -> str:
        """Return one line on the outputs for test rows, beside the best constant of training."""
        found = self.values(outputs)
        if self.encoder.classes:
            return classification_report(target, found, trained)
        if self._quantiles is not None:
            return quantile_report(self._quantiles, target, found, trained)
        return regression_report(self.loss.name, target, found, trained)

    def formulas(self, found: Formula) -> dict[str, Formula]:
        """Return what to export, from the formula of the network's outputs."""
        encoder = self.encoder
        if encoder.classes:
            classes, kind = np.array(encoder.classes), "scores"
            if self._two:
                label = (found > self._limit).where(1.0, 0.0, found.dtype)
            else:
                label = found.argmax()
            if self.has_probabilities:
                kind = "probabilities"
                found = Formula.concatenate([1 - found, found]) if self._two else found
            return {"label": label.labels(classes), kind: found}
        numbers = found.cast(np.float64)
        if self.loss.name == "gaussian_nll":
            mean, log_variance = numbers.columns([0]), numbers.columns([1])
            deviation = (log_variance * 0.5).exp() * encoder.scale
            return {
                "predictions": Formula.concatenate([mean * encoder.scale + encoder.mean, deviation])
            }
        return {"predictions": numbers * encoder.scale + encoder.mean}
