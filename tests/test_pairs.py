"""Optimizers, layers, penalties and constraints in pairs: whatever can be built can be trained."""

import itertools

import numpy as np

from fastnn import (
    L1,
    L2,
    SGD,
    Activation,
    Adam,
    BatchNormalization,
    Dense,
    Dropout,
    GroupL1,
    HierarchicalSoftmax,
    LayerNormalization,
    Lq,
    MaxNorm,
    Network,
    NonNeg,
    ParametricActivation,
    Scale,
    UnitNorm,
    optimizers,
)  # fmt: skip

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
LABELS = np.arange(8) % 3
OPTIMIZERS = [
    *[kind() for kind in optimizers.TABLE.values()],
    SGD(0.1, 0.9, True, global_clipnorm=1.0), Adam(0.1, amsgrad=True, clipvalue=0.1),
]  # fmt: skip
LAYERS = {
    "none": [],
    "dense": [Dense(4, "tanh", drop_connect=0.3)],
    "batch": [BatchNormalization()],
    "bare batch": [BatchNormalization(center=False, scale=False)],
    "layer": [LayerNormalization()],
    "bare layer": [LayerNormalization(center=False, scale=False)],
    "dropout": [Dropout(0.3, "test")],
    "activation": [Dense(3), Activation("elu")],
    "parametric": [Scale(), ParametricActivation("elu")],
    "all": [Dropout(0.3), Dense(4), BatchNormalization(), Activation("relu"), LayerNormalization()],
}
LAST = {"linear": lambda **own: Dense(3, **own), "tree": lambda **own: HierarchicalSoftmax(3)}
PENALTIES = [
    None, L1(0.1), L1(0.1, "shrink"), L1(0.1, "proximal"), L2(0.1), Lq(0.1, 0.5), GroupL1(0.1),
    GroupL1(0.1, per="input"),
]  # fmt: skip
CONSTRAINTS = [None, MaxNorm(0.5), UnitNorm(), NonNeg()]
WHERE = ["layer", "network"]
CHOICES = [OPTIMIZERS, list(LAYERS), list(LAST), PENALTIES, CONSTRAINTS, WHERE]


def pairwise(sizes):
    """Yield rows of places such that each pair of places of two columns is in one of them."""
    left = {
        (a, i, b, j)
        for a, b in itertools.combinations(range(len(sizes)), 2)
        for i, j in itertools.product(range(sizes[a]), range(sizes[b]))
    }
    while left:
        a, i, b, j = min(left)
        row = {a: i, b: j}
        for column in sorted(set(range(len(sizes))) - {a, b}, key=lambda each: -sizes[each]):
            row[column] = max(
                range(sizes[column]), key=lambda value: _new(left, row | {column: value}, column)
            )
        left -= set(_pairs(row))
        yield [row[column] for column in range(len(sizes))]


def _pairs(row):
    return [(a, row[a], b, row[b]) for a, b in itertools.combinations(sorted(row), 2)]


def _new(left, row, column):
    return sum(pair in left for pair in _pairs(row) if column in (pair[0], pair[2]))


def build(optimizer, layers, last, penalty, constraint, where, backend="numpy"):
    own = {"kernel_constraint": constraint} if constraint else {}
    if where == "layer" and penalty:
        own["kernel_regularizer"] = penalty
    return Network(
        [*LAYERS[layers], LAST[last](**own)],
        loss="softmax_cross_entropy",
        optimizer=optimizer,
        kernel_regularizer=penalty if where == "network" else None,
        backend=backend,
        n_threads=1,
    )


def check(network):
    """Train in one piece and in two; all is finite and the same."""
    options = {"loss": network.loss, "optimizer": network.optimizer, "backend": network.backend}
    twin = Network(network.layers, kernel_regularizer=network.kernel_regularizer, **options)
    history = network.fit(X, LABELS, epochs=2).history["loss"]
    pieces = [twin.fit(X, LABELS, epochs=1).history["loss"] for _ in history]
    assert history == sum(pieces, []) and np.isfinite(history).all()
    for one, two in zip(network.get_weights(), twin.get_weights(), strict=True):
        assert one.tobytes() == two.tobytes() and np.isfinite(one).all()
    assert np.isfinite(network.predict(X)).all()


def test_every_pair_trains_or_is_refused_when_it_is_built():
    rows, refused = list(pairwise([len(each) for each in CHOICES])), 0
    assert len(rows) > len(OPTIMIZERS) * len(LAYERS) - 1
    for row in rows:
        chosen = [choice[place] for choice, place in zip(CHOICES, row, strict=True)]
        try:
            network = build(*chosen)
        except ValueError as error:
            assert "takes no" in str(error), error
            refused += 1
            continue
        check(network)
    assert refused < len(rows) / 4


def test_compiled():
    check(build(optimizers.get("lbfgs"), "batch", "linear", None, None, "layer", "numba"))


def test_lbfgs_tracks_the_statistics_of_the_new_weights_once_per_iteration():
    layers = [Dense(2), BatchNormalization(), Dense(1)]
    network = Network(layers, optimizer="lbfgs", dtype="float64", backend="numpy")
    y = X[:, :1] ** 2
    network.build(3)
    network.fit(X, y)
    w, b, gamma, beta, mean, variance = network.get_weights()[:6]
    hidden = X @ w + b
    np.testing.assert_allclose(mean, 0.01 * hidden.mean(axis=0))
    np.testing.assert_allclose(variance, 0.99 + 0.01 * hidden.var(axis=0))
