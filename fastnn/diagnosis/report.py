"""The diagnosis: what is looked at, in which order."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from fastnn.diagnosis import dynamic, static
from fastnn.diagnosis.copies import arrays_of, as_network, without_warnings
from fastnn.diagnosis.findings import Diagnosis, Finding
from fastnn.diagnosis.trials import Study
from fastnn.inputs import checks
from fastnn.inputs.arrays import as_numbers
from fastnn.network import Network

_HEALTHY = 0.2
"""A training that leaves less of a constant prediction's loss needs no explanation."""

Cause = Callable[[Study], Iterator[Finding]]

_ALWAYS: tuple[Cause, ...] = (static.constants, static.unbounded_loss, static.symmetry)
_IF_IT_FAILS: tuple[Cause, ...] = (
    dynamic.gradient,
    static.out_of_reach,
    dynamic.inputs,
    dynamic.target,
    dynamic.units,
)
_IF_IT_DOES_NOT_FIT: tuple[Cause, ...] = (dynamic.penalty, dynamic.batch, dynamic.rate)
"""These cannot be the cause where the rows that the training sees are learned.

What lies at the root comes first: unscaled inputs saturate units and make rates too high."""


@without_warnings
def diagnose(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> Diagnosis:
    """Say in plain words why a network does not learn, the most likely cause first.

    The network, data and start are looked at, and copies of the network are trained as the network
    would be: as it is, and with one thing changed at a time.  What makes the difference is the
    cause.  The network itself is not changed; one that has been trained is started anew.

    The causes are "labels" (out of range, or counted from 1), "constant_inputs", "constant_target",
    "signed_error", "zero_weights", "equal_weights", "gradient" (of a kernel of your own),
    "output_range", "unscaled_inputs", "unscaled_target", "saturated", "dead", "penalty",
    "batch_too_large", "rate_too_high", "rate_too_low" and, where a training that is no better than
    a constant has none of these, "rows_misaligned", "unrelated", "overfitting" or
    "constant_prediction".

    Parameters
    ----------
    network : Network
    X, y : array-like
        As for :meth:`Network.fit`, but labels may be out of range.
    epochs : int, optional
        Those of the fit that disappoints; by default as many as make 1,000 updates.
    batch_size : int
        That of the fit.
    seed : int
        Of the rows that are used, some thousand at least, and of those held out of them.

    Returns
    -------
    Diagnosis
        With ``findings``, ``cause`` and ``share``; printed, it is the answer.

    Raises
    ------
    ValueError, TypeError
        For bad input.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.random.default_rng(0).standard_normal((200, 3))
    >>> layers = [fastnn.Dense(8, "relu", kernel_initializer="zeros"), fastnn.Dense(1)]
    >>> print(fastnn.diagnose(fastnn.Network(layers), x, x[:, :1]))  # doctest: +ELLIPSIS
    After 1,001 updates the loss is 1 times that of the best constant prediction.
    1. zero_weights: all 24 weights of layer 0 are 0: its units get no gradients, ...
    """
    if epochs is not None:
        epochs = checks.positive_int(epochs, "epochs")
    batch_size = checks.positive_int(batch_size, "batch_size")
    seed = checks.non_negative_int(seed, "seed")
    wrong = _labels(as_network(network), X, y)
    if wrong is not None and wrong[1]:
        return Diagnosis([wrong[0]], math.nan)
    x, targets = arrays_of(network, X, y)
    study = Study(network, x, targets, batch_size, epochs, seed)
    findings = [wrong[0]] if wrong else []
    findings += _found(_ALWAYS, study)
    if any(each.cause.startswith("constant_") for each in findings):
        return Diagnosis(findings, math.nan)
    study.run()
    if study.base.share > _HEALTHY and not findings:
        findings = _found(_IF_IT_FAILS, study)
        if study.share_seen() > _HEALTHY:
            findings += _found(_IF_IT_DOES_NOT_FIT, study)
        findings = findings or _found((dynamic.unexplained,), study)
    return Diagnosis(findings, study.base.share, study.updates)


def _found(causes: tuple[Cause, ...], study: Study) -> list[Finding]:
    return [finding for cause in causes for finding in cause(study)]


def _labels(network: Network, X: ArrayLike, y: ArrayLike) -> tuple[Finding, bool] | None:
    """Return what is wrong with the labels, and whether `fit` would refuse them."""
    kind, n_outputs = network.loss.target, network.model.n_outputs
    if kind == "real":
        return None
    given = as_numbers(y, "y")
    finding = None
    if given.size and np.isfinite(given).all():
        finding = static.labels(kind, given, n_outputs)
    if finding is None:
        return None
    try:
        arrays_of(network, X, y)
    except ValueError:
        # If more is wrong than the labels, it is for the door to say.
        most = n_outputs - 1 if kind == "class" else 1
        arrays_of(network, X, np.clip(given, 0, most))
        return finding, True
    return (finding, False) if given.max() < n_outputs else None
