"""Which defaults of a network pay on tables: start, batch size, epsilon of Adam, held-out rows.

Only the sets for tuning are looked at.  Networks have 64 units a layer, and stop early, by a fifth
of the rows to train on.  All networks of a split and a depth are trained together.
"""

import datetime
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from bench import sets, tables, tabular
from bench.measure import in_process

MOST = 2_000
"""Rows to train on; of more, so many are drawn."""
SPLITS, SEEDS = 3, 2
"""Networks of so many seeds for each of so many splits of a set."""
UNITS = 64
EPOCHS, PATIENCE = 1_000, 15
"""At most so many epochs, and so many without improvement."""
CHOSEN = [name for name, each in sets.SETS.items() if each.half == "tuning"]
TASKS = tuple(tabular.TASKS)


def uniform(scale: float) -> dict[str, Any]:
    """Return weights of variance scale / n_in."""
    return {"name": "variance_scaling", "scale": scale, "distribution": "uniform"}


@dataclass(frozen=True)
class Question:
    """A default, and its choices: the first is what the others are compared with."""

    choices: dict[str, dict[str, Any]]
    """Arguments of :func:`network`, or of `fit_many`."""
    depths: tuple[int, ...] = (1, 2, 4)
    activation: str = "relu"
    optimizer: str = "Adam"
    of_fit: bool = False
    """Whether each choice has a fit of its own, whose time is told."""


HE = {"He, last layer Glorot": {"start": "he_uniform", "last": "glorot_uniform"}}
GLOROT = {"Glorot": {"start": "glorot_uniform"}}
SMALL = {"0.6 / n_in": {"start": uniform(0.6)}}
STARTS = {
    **HE,
    "He": {"start": "he_uniform"},
    **GLOROT,
    "LeCun: 1 / n_in": {"start": "lecun_uniform"},
    "2/3 / n_in": {"start": uniform(2 / 3)},
    **SMALL,
    "0.5 / n_in": {"start": uniform(0.5)},
    "0.4 / n_in": {"start": uniform(0.4)},
    "PyTorch: 1/3 / n_in": {"start": uniform(1 / 3)},
}
"""All uniform, with these variances."""
QUESTIONS = {
    "start": Question(STARTS, (1, 2, 4, 7, 10)),
    "start with SGD": Question({**HE, **GLOROT, **SMALL}, (2, 10), optimizer="SGD"),
    "start of many layers": Question({**HE, **SMALL}, (20, 40)),
    "batch size": Question(
        {str(size): {"batch_size": size} for size in (32, 16, 64, 128, 256)}, of_fit=True
    ),
    "epsilon": Question({f"{each:g}": {"epsilon": each} for each in (1e-7, 1e-8, 1e-5, 1e-3)}),
    "held-out rows": Question(
        {"random": {"validation_shuffle": True}, "last": {"validation_shuffle": False}},
        of_fit=True,
    ),
}
# Other activations, each beside what its default was.
for name in ("leaky_relu", "elu", "gelu", "silu", "mish", "softplus"):
    QUESTIONS[f"start with {name}"] = Question({**HE, **GLOROT, **SMALL}, (2, 4), name)
for name in ("tanh", "sigmoid"):
    QUESTIONS[f"start with {name}"] = Question({**GLOROT, **SMALL}, (2, 4), name)


def run(entry: dict, chosen: list[str], quick: bool, save: Callable[[], None]) -> None:
    """Train what `entry` lacks, in a process for each set; `save()` after each."""
    for table in CHOSEN:
        found = {(fit["question"], fit["depth"]) for fit in entry["fits"] if fit["set"] == table}
        lacking = [
            (question, depth)
            for question, each in QUESTIONS.items()
            for depth in each.depths
            if (question, depth) not in found
        ]
        if table in chosen and lacking:
            about = tabular.describe(table)
            if quick and about["rows"] > tabular.QUICK:
                continue
            entry["sets"][table] = about
            started = time.monotonic()
            entry["fits"] += in_process(
                "bench.defaults", entry["threads"], table=table, lacking=lacking
            )
            print(f"{table:<16}{time.monotonic() - started:6.1f} s", flush=True)
            save()


def text(entry) -> str:
    return tabular.text(entry, "question", QUESTIONS, "depth")


def ratio(entry, question: str, choice: str, task: str = "both", depth: int | None = None) -> float:
    """Return the geometric mean of errors divided by those of the first choice."""
    first = next(iter(QUESTIONS[question].choices))
    errors = {
        (fit["set"], fit["depth"], fit["choice"]): fit["error"]
        for fit in entry["fits"]
        if fit["question"] == question
    }
    found = [
        error / errors[table, deep, first]
        for (table, deep, each), error in errors.items()
        if each == choice and task in ("both", tabular.task_of(table)) and depth in (None, deep)
    ]
    return tables.geometric_mean(found) if found else math.nan


def worst(entry, question: str, choice: str) -> float:
    """Return the largest ratio of a task and depth."""
    depths = QUESTIONS[question].depths
    return max(ratio(entry, question, choice, task, deep) for task in TASKS for deep in depths)


def best_start(entry) -> str:
    """Return the start of least error among those nowhere more than 2 % worse than He's."""
    good = [choice for choice in STARTS if worst(entry, "start", choice) <= 1.02]
    return min(good, key=lambda choice: ratio(entry, "start", choice))


def cells(entry, question: str) -> list[list[str]]:
    """Return the header and a row for each choice of a question."""
    asked = QUESTIONS[question]
    places = [(task, depth) for task in TASKS for depth in asked.depths]
    columns = ["", "both", *(f"{task}, {depth}" for task, depth in places), "epochs"]
    columns += [f"off, {task}" for task in TASKS]
    rows = [[*columns, "seconds"] if asked.of_fit else columns]
    for choice in asked.choices:
        fits = [f for f in entry["fits"] if (f["question"], f["choice"]) == (question, choice)]
        if not fits:
            continue
        ratios = [ratio(entry, question, choice)]
        ratios += [ratio(entry, question, choice, *place) for place in places]
        row = [choice, *(f"{each:.3f}" for each in ratios)]
        row.append(f"{fmean(fit['epochs'] for fit in fits):.0f}")
        for task in TASKS:
            far = [fit["off"] for fit in fits if tabular.task_of(fit["set"]) == task]
            row.append(f"{math.expm1(fmean(far)):.1%}" if far else "-")
        if asked.of_fit:
            row.append(tables.digits(tables.geometric_mean([fit["seconds"] for fit in fits])))
        rows.append(row)
    return rows


def block(entry) -> str:
    """Return the generated part of docs/defaults.md."""
    days = sorted({fit["date"] for fit in entry["fits"]})
    parts = [
        f"{len(entry['sets'])} sets, {' to '.join(sorted({days[0], days[-1]}))}, "
        f"{tables.threads_label(entry['threads'])}, on {tables.machine_line(entry['machine'])}"
    ]
    for question in QUESTIONS:
        parts += [f"{question[0].upper()}{question[1:]}:", tables.markdown(cells(entry, question))]
    return "\n\n".join(parts)


def main(threads: int, table: str, lacking: list[tuple[str, int]]) -> list[dict]:
    """Return the results of all choices of some questions and depths: means over the splits."""
    found = {}
    for split in range(SPLITS):
        data = prepared(table, split)
        for question, depth in lacking:
            for choice, result in train(data, QUESTIONS[question], depth, threads).items():
                found.setdefault((question, depth, choice), []).append(result)
    day = str(datetime.date.today())
    return [
        {"set": table, "question": question, "depth": depth, "choice": choice}
        | {name: round(fmean(each[name] for each in those), 5) for name in those[0]}
        | {"date": day}
        for (question, depth, choice), those in found.items()
    ]


def prepared(table: str, split: int) -> tuple:
    """Return inputs and targets, to train on in the file's order and to test, and the outputs."""
    import numpy as np

    from fastnn.preprocessing import Chain

    X, y, X_test, y_test = sets.split(table, split)
    drawn = np.random.default_rng(0).permutation(len(X))[:MOST]
    rows = drawn[np.argsort(X.index[drawn])]
    X, y = X.iloc[rows], y[rows]
    chain = Chain(["one_hot", "impute", "standardize"])
    x, x_test = (each.astype("f4") for each in (chain.fit_transform(X), chain.transform(X_test)))
    if tabular.task_of(table) == "classification":
        return x, y, x_test, y_test, int(max(y.max(), y_test.max())) + 1
    center, scale = y.mean(), y.std()
    return x, (y - center) / scale, x_test, (y_test - center) / scale, 0


def train(data: tuple, question: Question, depth: int, threads: int) -> dict[str, dict]:
    """Return {choice: means over the seeds}."""
    if question.of_fit:
        together = [([choice], settings, [{}]) for choice, settings in question.choices.items()]
    else:
        together = [(list(question.choices), {}, list(question.choices.values()))]
    results = {}
    for choices, fitting, building in together:
        networks = [
            network(question, depth, data[-1], seed, **each)
            for each in building
            for seed in range(SEEDS)
        ]
        found = fitted(networks, data, threads, fitting)
        if not question.of_fit:
            del found["seconds"]
        for place, choice in enumerate(choices):
            seeds = slice(place * SEEDS, (place + 1) * SEEDS)
            results[choice] = {name: fmean(each[seeds]) for name, each in found.items()}
    return results


def fitted(networks: list, data: tuple, threads: int, settings: dict) -> dict[str, list[float]]:
    """Train networks together, and return numbers of each of them.

    Those are the error on test rows, the epochs, how far the score of the held-out rows is from
    that error, as the logarithm of their ratio, and processor seconds, the same for all.
    """
    import numpy as np

    import fastnn

    x, y, x_test, y_test, n_classes = data
    stops = [fastnn.EarlyStopping(patience=PATIENCE) for _ in networks]
    started = time.process_time()
    histories = fastnn.fit_many(
        networks, x, y, epochs=EPOCHS, validation_split=0.2, n_threads=threads,
        callbacks=[[stop] for stop in stops], **settings,
    )  # fmt: skip
    seconds = (time.process_time() - started) / len(networks)
    losses = np.array([each.evaluate(x_test, y_test) for each in networks])
    held_out = np.array([stop.best for stop in stops])
    if not n_classes:
        losses, held_out = (np.sqrt(each) / y_test.std() for each in (losses, held_out))
    return {
        "error": losses.tolist(),
        "epochs": [len(history.epoch) for history in histories],
        "off": abs(np.log(held_out / losses)).tolist(),
        "seconds": [seconds] * len(networks),
    }


def network(question, depth, n_classes, seed, start=None, last=None, **of_optimizer):
    """Return a new network; what is not given is fastnn's default."""
    import fastnn

    layers = [
        fastnn.Dense(UNITS, question.activation, kernel_initializer=start) for _ in range(depth)
    ]
    layers.append(fastnn.Dense(max(n_classes, 1), kernel_initializer=last or start))
    optimizer = getattr(fastnn, question.optimizer)(**of_optimizer)
    loss = "softmax_cross_entropy" if n_classes else "mse"
    return fastnn.Network(layers, loss=loss, optimizer=optimizer, seed=seed)
