"""Very many classes: an epoch with the hierarchical softmax against one with the full softmax."""

import numpy as np

import fastnn
from bench.measure import alternate

CLASSES, HIDDEN, INPUTS, ROWS, BATCH = 22_000, 128, 64, 10_000, 128
LABEL = f"{INPUTS}-{HIDDEN}-{CLASSES}, {ROWS:,} rows, batches of {BATCH}"
OUTPUTS = {
    "fastnn": fastnn.HierarchicalSoftmax(CLASSES),
    "softmax": fastnn.Dense(CLASSES, "softmax"),
}


def main(threads: int, dtype: str, rounds: int, shortest: float):
    """Return {contender: {"median", "q1", "q3"}}, in seconds per epoch."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((ROWS, INPUTS)).astype(dtype), rng.integers(0, CLASSES, ROWS)

    def trainer(output):
        network = fastnn.Network(
            [fastnn.Dense(HIDDEN, "relu"), output],
            loss="softmax_cross_entropy",
            dtype=dtype,
            n_threads=threads,
        )
        network.fit(x[:BATCH], y[:BATCH], batch_size=BATCH)
        return lambda epochs: network.fit(x, y, epochs=epochs, batch_size=BATCH)

    runs = {name: trainer(output) for name, output in OUTPUTS.items()}
    return alternate(runs, rounds, shortest)
