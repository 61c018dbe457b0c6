"""fastnn itself, by its public interface."""

from functools import partial

import fastnn

LOSSES = {"mae": "mae", "mse": "mse", "softmax": "softmax_cross_entropy"}
OPTIMIZERS = {"sgd": fastnn.SGD, "adam": partial(fastnn.Adam, epsilon=1e-8)}
"""Adam with the epsilon that the others have."""


def make(problem, threads):
    return FastnnTrainer(problem, threads)


def make_mixed(problem, threads):
    return FastnnTrainer(problem, threads, "mixed_bfloat16")


def predictor(problem, threads):
    return FastnnTrainer(problem, threads).network.predict


class FastnnTrainer:
    shuffle = False

    def __init__(self, problem, threads, dtype=None):
        work = problem.work
        self.problem = problem
        last = "softmax" if work.loss == "softmax" else None
        self.network = fastnn.Network(
            [fastnn.Dense(n, activation="relu") for n in work.sizes[1:-1]]
            + [fastnn.Dense(work.sizes[-1], activation=last)],
            loss=LOSSES[work.loss],
            optimizer=OPTIMIZERS[work.optimizer](learning_rate=work.learning_rate),
            dtype=dtype or str(problem.dtype),
            n_threads=threads,
        )
        self.network.build(work.sizes[0])
        self.network.set_weights(problem.start)

    def run(self, epochs):
        self.network.fit(
            self.problem.X,
            self.problem.y,
            epochs=epochs,
            batch_size=self.problem.work.batch,
            shuffle=self.shuffle,
        )

    def weights(self):
        return self.network.get_weights()
