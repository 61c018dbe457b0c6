"""``explain``: list the steps of a training batch, and how long each of them takes."""

from argparse import Namespace

import numpy as np

import fastnn
from fastnn import losses


def explain(arguments: Namespace) -> None:
    """Print the program of a ReLU network of the given sizes, trained on random rows."""
    n_inputs, *hidden, n_outputs = arguments.sizes
    loss = arguments.loss or ("mae" if n_outputs == 1 else "softmax_cross_entropy")
    kind = losses.get(loss)
    network = fastnn.Network(
        [
            *(fastnn.Dense(units, "relu") for units in hidden),
            fastnn.Dense(n_outputs, kind.last_activation),
        ],
        loss=loss,
        optimizer=arguments.optimizer,
        n_threads=arguments.threads,
    )
    rng = np.random.default_rng(0)
    X = rng.standard_normal((arguments.rows, n_inputs), np.float32)
    if kind.target == "class":
        y = rng.integers(n_outputs, size=arguments.rows)
    else:
        shape = arguments.rows, network.loss.n_targets(n_outputs)
        y = 1 - rng.random(shape, np.float32)  # above 0, for any loss
        y = np.where(y > 0.5, 1, -1) if kind.target == "sign" else y
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
