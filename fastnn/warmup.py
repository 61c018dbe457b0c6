"""Fill the compile cache, so that later processes do not wait for the compiler."""

import gc
import multiprocessing
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np

from fastnn import activations, constraints, losses, optimizers, regularizers, schedules
from fastnn.engine import cores
from fastnn.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    HierarchicalSoftmax,
    LayerNormalization,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    Scale,
)
from fastnn.network import Network
from fastnn.preprocessing import PCA
from fastnn.training.attributes import DTYPES


def warmup() -> None:
    """Compile what the built-in layers, losses and optimizers need, in both dtypes.

    It trains tiny networks that together use every built-in, on data of both float types, in as
    many processes as there are cores.
    """
    start = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores.usable(), start, gc.disable) as pool:
        # What all networks need comes first: several processes would compile it.
        for jobs in (
            (_common,),
            (_optimizers, _normalization, _embeddings, _losses, _penalties, _trees),
        ):
            list(pool.map(_call, *zip(*product(jobs, ("float32", "float64")), strict=True)))


def _call(job: Callable[[str, np.ndarray], None], dtype: str) -> None:
    job(dtype, np.random.default_rng(0).standard_normal((4, 3)).astype(dtype))


def _common(dtype: str, x: np.ndarray) -> None:
    for name, (kind, _) in DTYPES.items():
        if kind != dtype:
            continue
        network = Network([Dense(2, "relu"), Dense(2)], dtype=name)
        network.fit(x, x[:, :2], sample_weight=np.ones(4))
        for _ in range(3):
            network.train_on_batch(x, x[:, :2])
        network.evaluate(x, x[:, :2])
        network.predict(x)


def _losses(dtype: str, x: np.ndarray) -> None:
    for loss in (kind() for kind in dict.fromkeys(losses.TABLE.values())):
        y = [0, 1, 1, 0] if loss.target == "class" else np.ones((4, loss.n_targets(2)))
        network = Network([Dense(2, loss.activation)], loss=loss, dtype=dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for losses that nobody should use
            network.fit(x, np.asarray(y), sample_weight=np.ones(4))
            for _ in range(3):  # the third is a short fit
                network.train_on_batch(x, np.asarray(y))
        network.evaluate(x, np.asarray(y))


def _optimizers(dtype: str, x: np.ndarray) -> None:
    names = sorted({activation.name for activation in activations.TABLE.values()})
    other = x.astype("float64" if dtype == "float32" else "float32")
    for optimizer in _all_optimizers():
        layers = [Dense(4, name, kernel_regularizer="l1l2") for name in names]
        network = Network([*layers, Dense(2)], optimizer=optimizer, dtype=dtype)
        network.fit(other, other[:, :2])
        network.predict(other)


def _normalization(dtype: str, x: np.ndarray) -> None:
    normalized = [Dense(4, drop_connect=0.5), BatchNormalization(), Activation("relu")]
    rate = schedules.CosineDecay(0.1, 10)
    others = [Dropout(0.5), *normalized, Dropout(0.5, "test"), Dense(3, drop_connect=0.5)]
    others += [
        Dropout(rate),
        LayerNormalization(),
        Scale(learning_rate_factor=6),
        ParametricActivation("mish"),
    ]
    network = Network([*others, Dense(2)], optimizer=optimizers.Adam(rate), dtype=dtype)
    network.fit(x, x[:, :2])
    network.evaluate(x, x[:, :2])
    network.predict(x)
    network.gradients(x, x[:, :2])
    network.predict_mc(x, passes=2)
    PCA().fit(x).inverse_transform(x)


def _embeddings(dtype: str, x: np.ndarray) -> None:
    bins = PiecewiseLinearEmbedding([[0.0, 1.0]], 2, columns=[2])
    embeddings = [PeriodicEmbedding(columns=[1]), bins, Embedding(2, 3, columns=[0])]
    network = Network([*embeddings, Dense(2)], optimizer="adam", dtype=dtype)
    network.fit(x, x[:, :2])
    network.predict(x)


def _trees(dtype: str, x: np.ndarray) -> None:
    for name in ("sgd", "adam"):  # one trains only paths, the other the whole tree
        classes = [Dense(4), HierarchicalSoftmax(3)]
        network = Network(classes, loss="softmax_cross_entropy", optimizer=name, dtype=dtype)
        network.fit(x, np.array([0, 1, 2, 0]), validation_split=0.5)
        network.predict(x)


def _penalties(dtype: str, x: np.ndarray) -> None:
    penalties: list[regularizers.Regularizer]
    penalties = [regularizers.L1(method=method) for method in regularizers.METHODS]
    penalties += [regularizers.GroupL1(per=per) for per in ("unit", "input")]
    penalties += [kind() for kind in regularizers.TABLE.values()]
    layers = [Dense(4, kernel_regularizer=penalty) for penalty in penalties]
    layers += [Dense(4, kernel_constraint=name) for name in constraints.TABLE]
    layers.append(Dense(4, kernel_constraint=constraints.MaxNorm(include_bias=True)))
    network = Network([*layers, Dense(2)], dtype=dtype)
    network.fit(x, x[:, :2])
    first, *rest = network.get_weights()
    network.set_weights([first * [[1], [0], [0]], *rest])
    network = network.compact()
    network.fit(x, x[:, :2])
    network.predict(x)


def _all_optimizers() -> list[optimizers.Optimizer]:
    """Return optimizers that together use every update and schedule kernel."""
    rmsprop = [(momentum, centered) for momentum in (0.0, 0.9) for centered in (False, True)]
    rates = [
        schedules.InverseTimeDecay(0.1, 10, 1),
        schedules.ExponentialDecay(0.1, 10, 0.5),
        schedules.CosineDecay(0.1, 10),
        schedules.CosLog(0.1, 10),
        schedules.OneCycle(0.1, 10),
        schedules.WarmUp(0.1, 10),
    ]
    found = [kind() for kind in optimizers.TABLE.values() if not kind.searches]
    found += [
        optimizers.SGD(momentum=0.9),
        optimizers.SGD(momentum=0.9, nesterov=True),
        optimizers.Adam(amsgrad=True),
        *(optimizers.RMSprop(momentum=m, centered=c) for m, c in rmsprop),
        *(optimizers.SGD(rate) for rate in rates),
        optimizers.Adam(rates[0]),
        optimizers.AdamW(rates[0], rates[0]),
        optimizers.Adam(clipvalue=1),
        optimizers.Adam(global_clipnorm=1),
    ]
    return found
