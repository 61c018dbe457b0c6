"""Which pieces of a network for tables pay: one like RealMLP-TD, and it with one piece changed.

Only the sets for tuning are looked at.  So that many fits take an hour, it is half as wide as
RealMLP-TD, has half of its epochs, and learns a part of each set.
"""

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from math import exp, log, sqrt
from statistics import fmean, stdev
from typing import Any
from unittest import mock

import numpy as np

from bench import sets, tables, tabular
from fastnn.callbacks import EarlyStopping
from fastnn.preprocessing import RobustScale
from fastnn.tabular import Recipe, TabularClassifier, TabularRegressor

MOST = 1_000
"""Rows to train on; of more, so many are drawn."""
SPLITS = 3
ORDER = [
    each.name
    for each in chain(*zip_longest(sets.REGRESSION[::-1], sets.CLASSIFICATION[::-1]))
    if each and each.half == "tuning"
]
"""Both tasks in turn, so that an unfinished run has as much of each."""
BASE = Recipe(
    (128, 128, 128), "mish", parametric=True, learning_rate=0.2, cycles=4, epochs=128,
    dropout=0.15, weight_decay=0.02, from_data=True,
)  # fmt: skip
FOR_CLASSES = {"activation": "selu", "learning_rate": 0.04, "label_smoothing": 0.1}


class Standardized(RobustScale):
    """As RobustScale, by means and deviations."""

    def _learn(self, rows):
        found = super()._learn(rows)
        changed = found["scale_"] > 0
        changed[[*self.leave]] = False
        found["median_"][changed] = np.nanmean(rows[:, changed], axis=0)
        found["scale_"][changed] = np.nanstd(rows[:, changed], axis=0)
        return found


def scaled_by(scaler, **settings):
    return lambda: mock.patch(
        "fastnn.tabular.encoding.RobustScale", lambda leave: scaler(leave=leave, **settings)
    )


def constant_rate():
    return mock.patch("fastnn.tabular.recipe.CosLog", lambda rate, *_: rate)


def first_best():
    hooks = staticmethod(lambda end: [EarlyStopping(patience=None)])
    return mock.patch("fastnn.tabular.members.Members._hooks", hooks)


@dataclass(frozen=True)
class Row:
    """A piece, what is changed to switch it off, and what the paper says that costs."""

    label: str
    changes: dict[str, Any] = field(default_factory=dict)
    paper: tuple[str, str] = ("", "")
    """Increase of the error in %, for numbers and for classes."""
    within: Callable = contextlib.nullcontext
    """What a recipe cannot say: a context to fit in."""
    classes_only: bool = False

    def preset(self, labels: bool) -> Any:
        recipe = replace(BASE, **FOR_CLASSES) if labels else BASE
        return replace(recipe, **self.changes)


class Both(Row):
    def preset(self, labels):
        return [super().preset(labels), replace(super().preset(labels), numbers="piecewise")]


class Fast(Row):
    def preset(self, labels):
        return "fast"


ROWS = {
    "base": Row("the network"),
    "plain": Row("no embedding of numbers", {"numbers": None}, ("20.6", "2.3")),
    "piecewise": Row("piecewise linear embedding", {"numbers": "piecewise"}),
    "both": Both("networks of both embeddings, blended"),
    "beta_2": Row("beta_2 of 0.999", {"beta_2": 0.999}, ("22.8", "2.0")),
    "constant": Row("constant rate", {}, ("13.4", "1.8"), constant_rate),
    "cosine": Row("half a cosine", {"cycles": 0}, ("0.4", "1.1")),
    "standardize": Row("standardized inputs", {}, ("8.7", "2.1"),
                       scaled_by(Standardized, smooth_clip=False)),
    "standardize_clip": Row("standardized, smooth clip", {}, ("1.2", "1.6"),
                            scaled_by(Standardized)),
    "parametric": Row("no parametric activation", {"parametric": False}, ("4.8", "0.5")),
    "relu": Row("ReLU", {"activation": "relu"}, ("0.7", "0.5")),
    "smoothing": Row("no label smoothing", {"label_smoothing": 0.0}, ("", "1.8"),
                     classes_only=True),
    "scale": Row("no scaling layer", {"scale": False}, ("1.0", "1.4")),
    "start": Row("start without data", {"from_data": False}, ("1.2", "0.9")),
    "dropout": Row("no dropout", {"dropout": 0.0}, ("0.8", "0.8")),
    "decay": Row("no weight decay", {"weight_decay": 0.0}, ("0.9", "0.8")),
    "first": Row("first best epoch", {}, ("0.0", "0.4"), first_best),
    "fast": Fast('preset "fast"'),
}  # fmt: skip
SINGLE = "single"
"""The networks of "base" one by one: the mean of their errors."""
LABELS = {name: row.label for name, row in ROWS.items()} | {SINGLE: "one network, no bag of five"}
PAPER = {name: row.paper for name, row in ROWS.items()} | {SINGLE: ("", "")}


def rows_of(task: str) -> list[str]:
    """Return the rows that have a meaning for a task."""
    labels = task == "classification"
    return [name for name in LABELS if labels or name == SINGLE or not ROWS[name].classes_only]


def run(entry: dict, chosen: list[str], quick: bool, save: Callable) -> None:
    """Fit what `entry` lacks; `save()` after every set."""
    done = {(fit["set"], fit["row"], fit["split"]) for fit in entry["fits"]}
    for seed in range(1 if quick else SPLITS):
        for table in ORDER:
            wanted = [
                name
                for name in rows_of(tabular.task_of(table))
                if name != SINGLE and (table, name, seed) not in done
            ]
            if table not in chosen or not wanted:
                continue
            entry["sets"].setdefault(table, tabular.describe(table))
            for name in wanted:
                for row, found in measure(name, table, seed, entry["threads"]):
                    fit = {"set": table, "row": row, "split": seed}
                    entry["fits"].append(fit | found | {"date": str(datetime.date.today())})
                    print(f"{table:<16}{seed:>2}  {row:<18}{found['error']:.4f}", flush=True)
            save()


def measure(name: str, table: str, seed: int, threads: int) -> Iterator[tuple[str, dict]]:
    """Fit a row to a split of a set; yield rows and what they are like."""
    X, y, X_test, y_test = sets.split(table, seed)
    labels = tabular.task_of(table) == "classification"
    kind = TabularClassifier if labels else TabularRegressor
    row = ROWS[name]
    model = kind(row.preset(labels), random_state=seed, n_threads=threads)
    started = time.perf_counter()
    with row.within():
        model.fit(X[:MOST], y[:MOST])
    seconds = {"seconds": round(time.perf_counter() - started, 4)}
    yield name, tabular.errors(model, X_test, y_test, labels) | seconds
    if name == "base":
        members, found = model._members, []
        kinds, networks = members.kinds, members.networks
        for network in networks:
            members.kinds, members.networks = kinds[:1], [network]
            found.append(tabular.errors(model, X_test, y_test, labels))
        yield SINGLE, {key: round(fmean(each[key] for each in found), 6) for key in found[0]}


def compared(entry) -> dict[str, list[tuple[str, int]]]:
    """Return the (set, split) of each task that all rows have."""
    fits = {(fit["set"], fit["row"], fit["split"]) for fit in entry["fits"]}
    return {
        task: [
            (table, split)
            for table in entry["sets"]
            for split in range(SPLITS)
            if tabular.task_of(table) == task
            and all((table, row, split) in fits for row in rows_of(task))
        ]
        for task in tabular.TASKS
    }


def increase(entry, row: str, task: str, what: str) -> tuple[float, float]:
    """Return by how many % an error is above the network's, geometric mean over sets, and its
    standard error."""
    fits = {(fit["set"], fit["row"], fit["split"]): fit for fit in entry["fits"]}
    ratios: dict[str, list[float]] = {}
    for table, split in compared(entry)[task]:
        own, base = (fits[table, each, split][what] + tabular.SHIFT for each in (row, "base"))
        ratios.setdefault(table, []).append(log(own / base))
    means = [fmean(values) for values in ratios.values()]
    spread = stdev(means) / sqrt(len(means)) if len(means) > 1 else float("nan")
    return 100 * (exp(fmean(means)) - 1), 100 * spread


def cells(entry) -> list[list[str]]:
    """Return the header and a row for each change."""
    columns = [("regression", "error"), ("classification", "error"), ("classification", "log_loss")]
    found = [["", "numbers, error", "paper", "classes, error", "paper", "classes, log loss"]]
    pairs = compared(entry)
    for name, label in LABELS.items():
        if name == "base":
            continue
        shown = [
            "{:+.1f} ± {:.1f}".format(*increase(entry, name, task, what))
            if pairs[task] and name in rows_of(task)
            else "-"
            for task, what in columns
        ]
        paper = [each and f"+{each}" for each in PAPER[name]]
        found.append([label, shown[0], paper[0], shown[1], paper[1], shown[2]])
    return found


def text(entry) -> str:
    """Return the entry as JSON with a line for each fit."""
    return tabular.text(entry, "row", LABELS)


def block(entry) -> str:
    """Return the generated part of docs/ablation.md."""
    pairs, days = compared(entry), sorted({fit["date"] for fit in entry["fits"]})
    counts = " and ".join(
        f"{len(pairs[task])} splits of {len({table for table, _ in pairs[task]})} sets of {task}"
        for task in tabular.TASKS
    )
    shape = "-".join(map(str, BASE.hidden))
    about = (
        f"Hidden layers {shape}, {BASE.epochs} epochs, at most {MOST:,} rows to train on; {counts}:"
        f" {', '.join(dict.fromkeys(table for those in pairs.values() for table, _ in those))}. "
        f"Measured {' to '.join(sorted({days[0], days[-1]}))} on "
        f"{tables.machine_line(entry['machine'])}"
    )
    return f"{about}\n\n{tables.markdown(cells(entry))}"
