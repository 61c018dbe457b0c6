"""Causes found by trial: training is repeated with one thing changed.

Each function yields a finding only if its change improves a failing training enough; see
:meth:`fastnn.diagnosis.trials.Study.helps`.
"""

import math
from collections.abc import Iterator

import numpy as np

from fastnn.diagnosis.copies import default_start, rate_of, with_rate, with_settings
from fastnn.diagnosis.findings import Finding
from fastnn.diagnosis.gradients import check_gradients, has_own_kernels
from fastnn.diagnosis.probes import check_oscillation, check_units
from fastnn.diagnosis.trials import CONSTANT, Study, Trial, overfit_small
from fastnn.inputs.precision import constant_columns

_SMALL_BATCH = 32


def _better(study: Study, trial: Trial) -> str:
    """Say in words how much better a trial was."""
    before = "grew without bounds" if math.isinf(study.base.share) else f"{study.base.share:.2g}"
    return f"(remaining share of a constant prediction's loss: {before}, then {trial.share:.2g})"


def _standardized(values: np.ndarray) -> np.ndarray:
    """Return the columns scaled to mean 0 and standard deviation 1; constant ones become 0."""
    centered = values - values.mean(axis=0, dtype=np.float64)
    deviation = centered.std(axis=0)
    return centered / np.where(constant_columns(values) | (deviation == 0), np.inf, deviation)


def gradient(study: Study) -> Iterator[Finding]:
    """A custom kernel with a wrong backward pass."""
    if not has_own_kernels(study.network):
        return
    check = check_gradients(study.start, study.x, study.y)
    if check.worst is not None and not check:
        yield Finding(
            "gradient",
            check.worst.error,
            f"the gradient is not that of the loss: {check.worst}",
            "Correct the backward kernel of your custom loss or activation",
        )


def inputs(study: Study) -> Iterator[Finding]:
    """Inputs far from mean 0 and standard deviation 1."""
    x = study.x[study.train].astype(np.float64)
    size = np.sqrt(np.square(x).mean(axis=0))
    largest, typical = float(size.max()), float(np.median(x.std(axis=0)))
    if 0.1 <= typical and largest <= 5:
        return
    trial = study.trial(study.copy(), x=_standardized(study.x))
    if study.helps(trial):
        number = largest if largest > 5 else typical
        what = f"one column has size {number:.3g}"
        if largest <= 5:
            what = f"the columns have standard deviations of about {number:.2g}"
        yield Finding(
            "unscaled_inputs",
            number,
            f"the inputs are not scaled: {what}; with standardized inputs the network learns "
            + _better(study, trial),
            "Subtract each column's mean and divide by its standard deviation",
        )


def target(study: Study) -> Iterator[Finding]:
    """Targets of a regression far from mean 0 and standard deviation 1, or positive ones from 1."""
    kind = study.network.loss.target
    if kind not in ("real", "positive"):
        return
    y = study.y[study.train].astype(np.float64)
    size = float(np.sqrt(np.square(y).mean(axis=0)).max())
    if 0.2 <= size <= 5:
        return
    scaled, scaling = _standardized(study.y), "(y - mean) / deviation"
    if kind == "positive":
        scaled, scaling = study.y / y.mean(axis=0), "y / mean"
    trial = study.trial(study.copy(), y=scaled)
    if study.helps(trial):
        yield Finding(
            "unscaled_target",
            size,
            f"the target is not scaled: its size is {size:.3g}, but a network's outputs start at "
            f"about 1; with a scaled target it learns {_better(study, trial)}",
            f"Train on {scaling}, and undo the scaling in the predictions",
        )


def units(study: Study) -> Iterator[Finding]:
    """Saturated or dead units before the first update."""
    found = check_units(study.start, study.x[study.train])
    shares = [(each.saturated or each.dead or 0.0, each) for each in found]
    share, worst = max(shares, key=lambda pair: pair[0], default=(0.0, None))
    if share <= 0.5 or worst is None:
        return
    trial = study.trial(study.copy(layers=default_start(study.network.layers)))
    if not study.helps(trial):
        return
    if worst.dead is None:
        yield Finding(
            "saturated",
            share,
            f"{share:.0%} of the outputs of layer {worst.layer} ({worst.activation}) are "
            "saturated before the first update, so their gradient is almost 0; with the default "
            f"start the network learns {_better(study, trial)}",
            "Start with smaller weights: omit kernel_initializer and bias_initializer",
        )
    else:
        yield Finding(
            "dead",
            share,
            f"{share:.0%} of the ReLU units of layer {worst.layer} are 0 on every row before the "
            f"first update and get no gradient; with the default start the network learns "
            f"{_better(study, trial)}",
            "Omit kernel_initializer and bias_initializer, or use a bias of 0.01",
        )


def penalty(study: Study) -> Iterator[Finding]:
    """Penalties that hold the weights at zero."""
    part = study.start.model.penalty()
    if not part:
        return
    free = with_settings(study.network.layers, kernel_regularizer=None, bias_regularizer=None)
    bare = study.copy(layers=free)
    bare.set_weights(study.start.get_weights())
    trial = study.trial(bare)
    if study.helps(trial):
        yield Finding(
            "penalty",
            part,
            f"the penalties, which add {part:.3g} to the initial loss, hold the weights near 0; "
            f"without them the network learns {_better(study, trial)}",
            "Make kernel_regularizer and bias_regularizer 10 to 100 times weaker",
        )


def batch(study: Study) -> Iterator[Finding]:
    """Batches so large that a fit makes too few updates."""
    updates = study.planned(study.batch_size)
    if study.batch_size < 4 * _SMALL_BATCH or math.isinf(study.base.share):
        return
    trial = study.trial(study.copy(), batch_size=_SMALL_BATCH)
    if study.helps(trial):
        yield Finding(
            "batch_too_large",
            float(updates),
            f"batches of {study.batch_size:,} rows allow only {updates:,} updates; with batches "
            f"of {_SMALL_BATCH} rows the same epochs learn {_better(study, trial)}",
            f"Use batch_size={_SMALL_BATCH}, or many more epochs",
        )


def rate(study: Study) -> Iterator[Finding]:
    """A learning rate too high or too low."""
    own = rate_of(study.network.optimizer)
    if own is None:
        return
    trials = []
    for factor in (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0):
        changed = study.copy(optimizer=with_rate(study.network.optimizer, own * factor))
        trials.append((study.trial(changed), factor))
    best, factor = min(trials, key=lambda pair: pair[0].share)
    losses = study.base.losses
    bounces = check_oscillation(losses) if len(losses) >= 6 else None
    if not study.helps(best, 0.8 if bounces and factor < 1 else 0.6):
        return
    learned = f"a rate of {own * factor:.2g} learns {_better(study, best)}"
    if factor < 1:
        bounce = ""
        if bounces:
            bounce = f"; the loss bounces, rising in {bounces.rises:.0%} of the epochs"
        elif math.isinf(study.base.share):
            bounce = "; the loss grows without bounds"
        why = ""
        if study.network.loss.name == "mae":
            why = ", and lower it in steps: the absolute error's gradient is as large near the "
            why += "minimum as far from it"
        yield Finding(
            "rate_too_high",
            own,
            f"the learning rate {own:g} is too high{bounce}; {learned}",
            f"Lower it to about {own * factor:.2g}{why}",
        )
    elif factor > 2 * study.planned(study.batch_size) / study.updates:
        # In a trial shorter than the fit, a higher rate helps merely by being faster.
        yield Finding(
            "rate_too_low",
            own,
            f"the learning rate {own:g} is too low: after {study.updates:,} updates "
            f"little has changed; {learned}",
            f"Raise it to about {own * factor:.2g}",
        )


def unexplained(study: Study) -> Iterator[Finding]:
    """No better than a constant, for none of the reasons above."""
    if study.base.share < CONSTANT:
        return
    known = _explained(study.x, study.y, study)
    shifted = max((_explained(study.x, np.roll(study.y, by, axis=0), study), by) for by in (-1, 1))
    simple = f"a simple model explains {max(known, 0.0):.0%} of the target"
    if shifted[0] > 0.2 and known < 0.5 * shifted[0]:
        yield Finding(
            "rows_misaligned",
            shifted[0],
            f"the targets belong to the rows {'above' if shifted[1] > 0 else 'below'}: {simple} as "
            f"given, and {shifted[0]:.0%} if moved by one row",
            f"Check how X and y are put together; np.roll(y, {shifted[1]}, axis=0) fits",
        )
    elif known < 0.05:
        yield Finding(
            "unrelated",
            known,
            "the inputs seem to say nothing about the target: the network is no better than a "
            f"constant, and {simple}, on held-out rows",
            "Check that the rows of X and y belong together, and that X contains what y depends on",
        )
    elif study.share_seen() < 0.8:
        yield Finding(
            "overfitting",
            study.base.share,
            "the network learns its training rows but is no better than a constant on others: "
            f"{study.base.share:.2g} of the constant's loss remains, while {simple}",
            "Use fewer units, fewer epochs or a penalty, and watch the loss on validation data",
        )
    else:
        yield _constant_prediction(study, simple)


def _constant_prediction(study: Study, simple: str) -> Finding:
    small = overfit_small(study.start, study.x, study.y)
    predicted = study.base.network.predict(study.x[study.train])
    middle = ", ".join(f"{value:.4g}" for value in predicted.mean(axis=0)[:3])
    text = f"the predictions are no better than a constant: they average {middle}"
    if study.network.loss.target == "real":
        y = study.y[study.train]
        text += f", while the target's median is {np.median(y):.4g} and its mean {y.mean():.4g}"
    left = "are memorized" if small else f"alone keep {small.share:.2g} of the loss"
    text += f"; {small.rows} rows {left}, and {simple}"
    change = "Try more layers or units, and another activation"
    return Finding("constant_prediction", float(predicted.std(axis=0).max()), text, change)


def _explained(x: np.ndarray, y: np.ndarray, study: Study) -> float:
    """Return the R^2 on held-out rows of a ridge regression on inputs and random ReLU features."""
    rng = np.random.default_rng(study.seed)
    x = _standardized(x)
    if study.network.loss.target == "class":
        y = np.eye(study.n_outputs)[y]
    weights = rng.standard_normal((x.shape[1], 64)) / math.sqrt(x.shape[1])
    features = np.hstack([x, np.maximum(0, x @ weights + rng.standard_normal(64))])
    mean = y[study.train].mean(axis=0)
    known, wanted = features[study.train], y[study.train] - mean
    known = known - (center := known.mean(axis=0))
    ridge = known.T @ known + 0.3 * len(known) * np.eye(known.shape[1])
    solution = np.linalg.solve(ridge, known.T @ wanted)
    rest = y[study.test] - mean - (features[study.test] - center) @ solution
    total = np.square(y[study.test] - mean).sum()
    return 1 - float(np.square(rest).sum() / total) if total else 0.0
