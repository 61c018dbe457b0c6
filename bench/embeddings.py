"""How the time and memory of embedding a column of categories grow with their number."""

import time
import tracemalloc
from statistics import median

import numpy as np

import fastnn
from bench import tables
from bench.measure import alternate, in_process
from fastnn.tabular.encoding import Encoding

CATEGORIES = (10, 1_000, 100_000, 1_000_000)
UNITS, NUMBERS, BATCH, BATCHES = 8, 8, 256, 1_000
OPTIMIZERS = ("SGD", "Adam", "AdamW")
TEXTS = (25_000, 50_000, 100_000)
"""Different values of a column of texts, each of which two rows have."""
MB = 1e6


def network(optimizer: str, categories: int, threads: int) -> fastnn.Network:
    layers = [
        fastnn.Embedding(categories, UNITS, columns=[0]),
        fastnn.Dense(64, "relu"),
        fastnn.Dense(1),
    ]
    chosen = getattr(fastnn, optimizer)(1e-4)
    return fastnn.Network(layers, loss="mse", optimizer=chosen, seed=0, n_threads=threads)


def rows(categories: int, batches: int = BATCHES):
    """Return rows with a code of some category, each as likely, and numbers; and targets."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(batches * BATCH, 1 + NUMBERS)).astype(np.float32)
    X[:, 0] = rng.integers(categories, size=len(X))
    return X, X[:, 1:2] + X[:, 0:1] % 2


def main(threads: int, rounds: int, shortest: float):
    """Return {"networks": [{"optimizer", "categories", "bytes", "batch", "epoch", "call",
    "predict", "above"}], "encodings": [{"texts", "rows", "seconds", "above"}]}.

    "bytes" are those of the table and of the optimizer's state for it.  Times are medians in
    seconds: of a batch within an epoch, of what an epoch takes beyond its batches, of a call of
    ``train_on_batch``, and of a prediction of a batch.  "above" is the most memory
    that an epoch allocates above the network's own, in bytes.
    """
    runs, about, above = {}, {}, {}
    for optimizer in OPTIMIZERS:
        for categories in CATEGORIES:
            each = network(optimizer, categories, threads)
            (X, y), key = rows(categories), f"{optimizer} {categories}"
            small = X[:BATCH], y[:BATCH]
            each.train_on_batch(*small)
            table, *state = [each.model.parameters[0][0].value,
                             *each.model.parameters[0][0].state.values()]  # fmt: skip
            about[key] = {"optimizer": optimizer, "categories": categories,
                          "bytes": table.nbytes * (1 + len(state))}  # fmt: skip
            runs[f"{key} batch"] = _epochs(each, X, y)
            runs[f"{key} epoch"] = _epochs(each, *small)
            runs[f"{key} call"] = _calls(each.train_on_batch, *small)
            runs[f"{key} predict"] = _calls(each.predict, small[0])
            each.fit(X, y, batch_size=BATCH)
            tracemalloc.start()
            each.fit(X, y, batch_size=BATCH)
            above[key] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    times = alternate(runs, rounds, shortest)
    found = []
    for key, row in about.items():
        medians = {what: times[f"{key} {what}"]["median"] for what in ("epoch", "call", "predict")}
        whole = times[f"{key} batch"]["median"]
        medians["batch"] = (whole - medians["epoch"]) / (BATCHES - 1)
        found.append(row | medians | {"above": above[key]})
    return {"networks": found, "encodings": [_encoding(texts, rounds) for texts in TEXTS]}


def _encoding(texts: int, rounds: int) -> dict:
    """Return the median time and the memory of encoding a frame of a column of texts."""
    import pandas as pd

    rng, seconds = np.random.default_rng(0), []
    values = np.array([f"text {number}" for number in range(texts)], object)
    frame = pd.DataFrame({"text": rng.permutation(np.repeat(values, 2))})
    for _ in range(rounds):
        started = time.perf_counter()
        Encoding(None, 8).fit_transform(frame)
        seconds.append(time.perf_counter() - started)
    tracemalloc.start()
    Encoding(None, 8).fit_transform(frame)
    above = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"texts": texts, "rows": len(frame), "seconds": median(seconds), "above": above}


def _epochs(each, X, y):
    """Return a run of fits of one epoch."""

    def run(count):
        for _ in range(count):
            each.fit(X, y, batch_size=BATCH)

    return run


def _calls(call, *given):
    def run(count):
        for _ in range(count):
            call(*given)

    return run


def cells(entry) -> list[list[str]]:
    """Return the header and a row for each network: microseconds and megabytes."""
    found = [["optimizer", "categories", "a batch, us", "an epoch's own, us", "train_on_batch, us",
              "predict, us", "table and state, MB", "an epoch allocates, MB"]]  # fmt: skip
    for row in entry["networks"]:
        times = [tables.digits(1e6 * row[what]) for what in ("batch", "epoch", "call", "predict")]
        sizes = [tables.digits(row[what] / MB) for what in ("bytes", "above")]
        found.append([row["optimizer"], f"{row['categories']:,}", *times, *sizes])
    return found


def encoding_cells(entry) -> list[list[str]]:
    """Return the header and a row for each number of texts."""
    found = [["different texts", "rows", "seconds", "MB"]]
    for row in entry["encodings"]:
        sizes = [tables.digits(row["seconds"]), tables.digits(row["above"] / MB)]
        found.append([f"{row['texts']:,}", f"{row['rows']:,}", *sizes])
    return found


def block(entry) -> str:
    """Return the generated part of docs/embeddings.md."""
    about = f"Measured {entry['date']} on one thread of {tables.machine_line(entry['machine'])}"
    return "\n\n".join([
        about, tables.markdown(cells(entry)), "Encoding a frame of one column of texts:",
        tables.markdown(encoding_cells(entry)),
    ])  # fmt: skip


def run(threads: list[int], rounds: int, quick: bool) -> dict:
    """Return what a process of one thread measures."""
    return in_process("bench.embeddings", 1, rounds=rounds, shortest=0.02 if quick else 0.1)
