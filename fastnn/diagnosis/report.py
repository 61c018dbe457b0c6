"""The diagnosis: which causes are checked, in which order."""

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
"""A training that leaves less than this share of a constant prediction's loss is healthy."""

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
"""Causes to check only if the network does not even learn its training rows.

Root causes come first: unscaled inputs saturate units and make rates too high."""


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

    It inspects the network, its data and its starting weights.  It then trains copies the way the
    network would be trained: unchanged, and with one thing changed at a time.  The change that
    makes the difference is the cause.  The network itself does not change.  If it has been trained,
    the copies start over.

    The causes are "labels" (out of range, or counted from 1), "constant_inputs", "constant_target",
    "signed_error", "zero_weights", "equal_weights", "gradient" (of your own kernel),
    "output_range", "unscaled_inputs", "unscaled_target", "saturated", "dead", "penalty",
    "batch_too_large", "rate_too_high" and "rate_too_low".  If training is no better than a constant
    for none of these reasons, the cause is "rows_misaligned", "unrelated", "overfitting" or
    "constant_prediction".

    Parameters
    ----------
    network : Network
    X, y : array-like
        As for :meth:`Network.fit`, but labels may be out of range.
    epochs : int, optional
        Epochs of the disappointing fit; by default as many as make 1,000 updates.
    batch_size : int
        Batch size of that fit.
    seed : int
        Seeds the choice of rows to use (at least 2,000, if there are so many) and to hold out.

    Returns
    -------
    Diagnosis
        Print it to read the answer; ``findings``, ``cause`` and ``share`` hold the parts.

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
    """Return what is wrong with the labels, if anything, and whether `fit` would refuse them."""
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
        # If more than the labels is wrong, let the usual checks say so.
        most = n_outputs - 1 if kind == "class" else 1
        arrays_of(network, X, np.clip(given, 0, most))
        return finding, True
    return (finding, False) if given.max() < n_outputs else None
