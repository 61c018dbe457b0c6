"""A report on a model as one HTML page, which needs nothing else."""

import os
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from fastnn.files.atomic import whole_file
from fastnn.inputs.mixed import as_columns
from fastnn.tabular.base import TabularEstimator, as_model
from fastnn.tabular.charts import bar, curves, scatter, table
from fastnn.tabular.diagnosis import diagnose
from fastnn.tabular.importance import Importances, permutation_importance

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 0.5rem 0 }
th, td { border-bottom: 1px solid #8884; padding: 0.2rem 0.8rem; text-align: left }
.number { text-align: right; font-variant-numeric: tabular-nums }
.bar { display: inline-block; width: 8rem; height: 0.7rem; background: #8882 }
.bar span { display: block; height: 100%; background: #0072B2 }
svg { max-width: 100%; height: auto }
.scroll { overflow-x: auto }
"""
_KINDS = "number", "date", "category"
_OF_TRAINING = "few_rows", "overfitting"
"""Causes that other rows than those of training do not show."""
_MOST_CLASSES = 20
_SHOWN = 3


def report(
    model: TabularEstimator, path: str | os.PathLike[str], X: Any = None, y: Any = None
) -> None:
    """Write a page on a fitted model: its errors, learning curves and columns.

    The page is one HTML file, and appears whole or not at all.  A model that was loaded has neither
    curves nor predictions of its training rows to show.

    Parameters
    ----------
    model : TabularRegressor or TabularClassifier
        Fitted.
    path : path
    X, y : array-like, optional
        Rows that the model has not seen.  With them the page also has errors on them, importances
        of the columns, how many values these lack, and what :func:`diagnose` finds in them.

    Raises
    ------
    ValueError, TypeError, OSError
        For bad input, a model that is not fitted, or a file that cannot be written.
    """
    content = "".join(_parts(as_model(model), X, y)).encode()
    with whole_file(path) as file:
        file.write(content)


def _parts(model: TabularEstimator, X: Any, y: Any) -> Iterator[str]:
    if (X is None) != (y is None):
        raise ValueError("report got only one of X and y, wanted both or none")
    n_networks = len(model.networks_)
    kind = type(model).__name__
    score = "accuracy" if hasattr(model, "classes_") else "R²"
    yield (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{kind}</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body><h1>{kind}</h1>\n<p>An ensemble of {n_networks} networks, trained on "
        f"{model.n_features_in_} columns. On rows that networks had not seen, its {score} is "
        f"<b>{model.oof_score_:.3f}</b>.</p>\n"
    )
    yield from _errors(model, X, y)
    if hasattr(model, "oof_prediction_"):
        yield from _confusion(model) if hasattr(model, "classes_") else _predictions(model)
    if X is not None:
        found = [each for each in diagnose(model, X, y).findings if each.cause not in _OF_TRAINING]
        said = "".join(f"<li>{escape(str(each))}</li>\n" for each in found)
        yield f"<h2>Findings</h2>\n{f'<ul>{said}</ul>' if said else '<p>Nothing is wrong.</p>'}\n"
    histories = [each.history for each in model.histories_ if each.epoch]
    if histories:
        groups = [
            (name, [each[key] for each in histories])
            for name, key in (("on rows trained on", "loss"), ("on rows held out", "val_loss"))
        ]
        yield f"<h2>Learning curves</h2>\n{curves(groups, ('epoch', 'loss'))}"
    importances = None if X is None else permutation_importance(model, X, y)
    yield from _columns(model, X, importances)
    yield "</body></html>\n"


def _errors(model: TabularEstimator, X: Any, y: Any) -> Iterator[str]:
    head = ["error", "of the model", "of the best constant", "share left"]
    yield "<h2>Errors</h2>\n<h3>On training rows, each by networks that had not seen it</h3>\n"
    yield table(head, _error_rows(model.oof_errors_))
    if X is not None:
        yield f"<h3>On the {len(as_columns(X)):,} rows given</h3>\n"
        yield table(head, _error_rows(model.errors(X, y)))


def _error_rows(errors: dict[str, tuple[float, float]]) -> Iterator[list[str]]:
    for name, (found, constant) in errors.items():
        share = f"{found / constant:.0%}" if constant else ""
        yield [name, f"{found:.4g}", f"{constant:.4g}", share]


def _predictions(model: Any) -> Iterator[str]:
    truth, found = (
        array.reshape(len(array), -1) for array in (model.oof_target_, model.oof_prediction_)
    )
    yield "<h2>Predictions</h2>\n<p>Each by networks that had not seen the row.</p>\n"
    for place in range(truth.shape[1]):
        known = np.isfinite(found[:, place])
        name = f" of target {place}" if truth.shape[1] > 1 else ""
        labels = f"true value{name}", "prediction"
        yield scatter(truth[known, place], found[known, place], labels)


def _confusion(model: Any) -> Iterator[str]:
    yield "<h2>Classes</h2>\n<p>Each row predicted by networks that had not seen it.</p>\n"
    classes = [escape(str(each)) for each in model.classes_]
    known = np.isfinite(model.oof_prediction_).all(axis=1)
    labels = np.searchsorted(model.classes_, model.oof_target_[known])
    found, count = model.oof_prediction_[known].argmax(axis=1), len(classes)
    if count > _MOST_CLASSES:
        right = np.bincount(labels[found == labels], minlength=count)
        each = np.bincount(labels, minlength=count)
        worst = np.argsort(right / np.maximum(each, 1), kind="stable")[:_MOST_CLASSES]
        yield f"<p>Of {count} classes, these are predicted worst.</p>\n"
        yield table(
            ["class", "rows", "right"],
            [[classes[k], f"{each[k]:,}", f"{right[k] / max(each[k], 1):.0%}"] for k in worst],
        )
        return
    counts = np.bincount(labels * count + found, minlength=count * count).reshape(count, count)
    head = ["true class", *(f"predicted {name}" for name in classes)]
    rows = []
    for name, own in zip(classes, counts, strict=True):
        shares = own / max(own.sum(), 1)
        rows.append(
            [
                name,
                *(
                    f'<span style="background: rgba(0, 114, 178, {share / 2:.2f}); '
                    f'padding: 0 0.4rem">{n:,}</span>'
                    for n, share in zip(own, shares, strict=True)
                ),
            ]
        )
    yield f'<div class="scroll">{table(head, rows)}</div>'


def _columns(model: TabularEstimator, X: Any, importances: Importances | None) -> Iterator[str]:
    encoding, categories = model.encoding_, model.categories_
    names = [str(each) for each in getattr(model, "feature_names_in_", [])]
    names = names or [f"x{place}" for place in range(len(categories))]
    starts = np.cumsum([0, *encoding.one_hot.widths_])
    scaling = encoding.rest.steps_[0]
    head = ["column", "kind", "in training"]
    missing: list[int] = []
    if importances is not None:
        columns = as_columns(X)
        missing = [int(sum(v is None or v != v for v in column)) for column in columns.values]
        head += ["missing", "importance", "", ""]
        most = max(float(importances.importances_mean.max()), 1e-12)
    order = np.arange(len(names))
    if importances is not None:
        order = np.argsort(-importances.importances_mean, kind="stable")
    rows = []
    for place in order:
        known = categories[place]
        if known is None:
            median, scale = scaling.median_[starts[place]], scaling.scale_[starts[place]]
            shown = f"{median:.4g}"
            if _KINDS[encoding.one_hot.kinds_[place]] == "date":
                shown = str(np.datetime64(0, "D") + np.timedelta64(int(median), "D"))
            said = f"median {shown}" if scale else f"{shown} only"
        else:
            more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
            said = escape(", ".join(known[:_SHOWN]) + more) or "no values"
        row = [escape(names[place]), _KINDS[encoding.one_hot.kinds_[place]], said]
        if importances is not None:
            mean, spread = importances.importances_mean[place], importances.importances_std[place]
            count = f"{missing[place]:,}" if missing[place] else ""
            row += [count, bar(mean / most), f"{mean:.4f}", f"± {spread:.4f}"]
        rows.append(row)
    yield f'<h2>Columns</h2>\n<div class="scroll">{table(head, rows, left=3)}</div>'
    if importances is not None:
        yield (
            "<p>The importance is by how much the score falls when the column's values are "
            "shuffled. Columns that say the same stand in for one another.</p>\n"
        )
