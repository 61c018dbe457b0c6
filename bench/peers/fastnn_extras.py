"""fastnn with the extras of :mod:`bench.extras`."""

from functools import partial

import fastnn
from bench.extras import EPSILON, STRENGTH
from bench.peers.fastnn_peer import LOSSES, FastnnTrainer

PENALTIES = {"l1": fastnn.L1(STRENGTH), "l2": fastnn.L2(STRENGTH)}
OPTIMIZERS = {
    "sgd": fastnn.SGD,
    "momentum": partial(fastnn.SGD, momentum=0.9),
    "nesterov": partial(fastnn.SGD, momentum=0.9, nesterov=True),
    "adagrad": partial(fastnn.Adagrad, epsilon=EPSILON),
    "adadelta": partial(fastnn.Adadelta, epsilon=EPSILON),
    "rmsprop": partial(fastnn.RMSprop, epsilon=EPSILON),
    "adam": partial(fastnn.Adam, epsilon=EPSILON),
    "adamw": partial(fastnn.AdamW, epsilon=EPSILON),
    "amsgrad": partial(fastnn.Adam, epsilon=EPSILON, amsgrad=True),
    "nadam": partial(fastnn.NAdam, epsilon=EPSILON),
}


def make(problem, extra, threads):
    return ExtraTrainer(problem, extra, threads)


class ExtraTrainer(FastnnTrainer):
    def __init__(self, problem, extra, threads):
        work = self.work = problem.work
        self.problem = problem
        last = "softmax" if work.loss == "softmax" else None
        bound = fastnn.MaxNorm(extra.max_norm) if extra.max_norm else None
        layers = []
        for n in work.sizes[1:-1]:
            if extra.batch_norm:
                layers += [fastnn.Dense(n, use_bias=False), fastnn.BatchNormalization()]
                layers.append(fastnn.Activation("relu"))
            else:
                layers.append(fastnn.Dense(n, "relu", kernel_constraint=bound))
            if extra.dropout:
                layers.append(fastnn.Dropout(extra.dropout))
        self.network = fastnn.Network(
            [*layers, fastnn.Dense(work.sizes[-1], last, kernel_constraint=bound)],
            loss=LOSSES[work.loss],
            optimizer=OPTIMIZERS[extra.optimizer](learning_rate=extra.rate(work)),
            kernel_regularizer=PENALTIES[extra.penalty] if extra.penalty else None,
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
