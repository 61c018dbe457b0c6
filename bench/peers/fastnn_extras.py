"""fastnn with the extras of :mod:`bench.extras`."""

import fastnn
from bench.peers.fastnn_peer import LOSSES, OPTIMIZERS, FastnnTrainer


def make(problem, extra, threads):
    return ExtraTrainer(problem, extra, threads)


class ExtraTrainer(FastnnTrainer):
    def __init__(self, problem, extra, threads):
        work = self.work = problem.work
        self.problem = problem
        last = "softmax" if work.loss == "softmax" else None
        layers = []
        for n in work.sizes[1:-1]:
            if extra.batch_norm:
                layers += [fastnn.Dense(n, use_bias=False), fastnn.BatchNormalization()]
                layers.append(fastnn.Activation("relu"))
            else:
                layers.append(fastnn.Dense(n, "relu"))
            if extra.dropout:
                layers.append(fastnn.Dropout(extra.dropout))
        self.network = fastnn.Network(
            [*layers, fastnn.Dense(work.sizes[-1], last)],
            loss=LOSSES[work.loss],
            optimizer=OPTIMIZERS[work.optimizer](learning_rate=work.learning_rate),
            dtype=str(problem.dtype),
            n_threads=threads,
        )
        self.network.build(work.sizes[0])
        self.network.set_weights(extra.start(problem.start))

    def loss(self, weights):
        """Return the loss in prediction that a network with other weights has."""
        kept = self.network.get_weights()
        self.network.set_weights(weights)
        found = self.network.evaluate(self.problem.X, self.problem.y)
        self.network.set_weights(kept)
        return found
