"""``explain``: list the steps of a training batch, and how long each of them takes."""

from argparse import Namespace

import numpy as np

import fastnn


def explain(arguments: Namespace) -> None:
    """Print the program of a ReLU network of the given sizes, trained on random rows."""
    n_inputs, *hidden, n_outputs = arguments.sizes
    loss = arguments.loss or ("mae" if n_outputs == 1 else "softmax_cross_entropy")
    classes = loss == "softmax_cross_entropy"
    network = fastnn.Network(
        [
            *(fastnn.Dense(units, "relu") for units in hidden),
            fastnn.Dense(n_outputs, "softmax" if classes else None),
        ],
        loss=loss,
        optimizer=arguments.optimizer,
        n_threads=arguments.threads,
    )
    rng = np.random.default_rng(0)
    X = rng.standard_normal((arguments.rows, n_inputs), np.float32)
    if classes:
        y = rng.integers(n_outputs, size=arguments.rows)
    else:
        y = rng.standard_normal((arguments.rows, n_outputs), np.float32)
    explanation = network.explain(
        X,
        y,
        batch_size=arguments.batch_size,
        shuffle=arguments.shuffle,
        measure=arguments.times,
    )
    print(explanation)
    if arguments.code:
        print(f"\n{explanation.code}", end="")
