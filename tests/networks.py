"""The table of networks that the promises are tested on.

Between them they use every layer, loss, optimizer, penalty, constraint, initializer, schedule and
transformer, and take every way that a network can be lowered to steps.  They are small: what takes
time is to compile.  `tests/test_promises.py` and `tests/test_bits.py` run all of them.
"""

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from fastnn import (
    GD,
    L1,
    L1L2,
    L2,
    LBFGS,
    SGD,
    Activation,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    BatchNormalization,
    CosineDecay,
    CosLog,
    Dense,
    Dropout,
    Embedding,
    ExponentialDecay,
    GroupL1,
    HierarchicalSoftmax,
    History,
    InverseTimeDecay,
    LayerNormalization,
    Lq,
    MaxNorm,
    NAdam,
    Network,
    NonNeg,
    OneCycle,
    ParametricActivation,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    RMSprop,
    Rprop,
    Scale,
    UnitNorm,
    WarmUp,
    activations,
    losses,
    preprocessing,
)  # fmt: skip
from tests.network_case import Case


def _penalized(units, activation=None):
    return Dense(units, activation, kernel_regularizer=L1L2(0.01, 0.02), bias_regularizer=L1(0.01))


SHAPES = {
    # Sizes and batches, which decide how threads share the work and where updates happen.
    "one weight": Case([Dense(1)], 1, inputs=1, batch_size=10),
    "batch of 1": Case([Dense(10, "relu"), Dense(1)], 1, "mae", inputs=13, batch_size=1),
    "batch of 10": Case([Dense(64, "relu"), Dense(1)], 1, "mae", inputs=20, batch_size=10),
    "one output": Case([Dense(1)], 1, optimizer=SGD(0.001), inputs=38, batch_size=1000),
    "narrow": Case(
        [Dense(1, "tanh"), Dense(10, "relu"), Dense(2)], 2, optimizer="adam", inputs=1,
        batch_size=7, weighted=True,
    ),
    "no bias": Case(
        [Dense(33, "sigmoid", False), Dense(3, None, False)], 3, inputs=17, weighted=True,
    ),
    "classes": Case(
        [Dense(65, "relu"), Dense(10, "softmax")], 10, "softmax_cross_entropy", SGD(0.1, 0.9),
        inputs=31, weighted=True,
    ),
    "own softmax": Case(
        [Dense(16, "softmax"), Dense(4, "softmax")], 4, optimizer=SGD(0.1, 0.9, True), inputs=5,
    ),
    "logistic": Case(
        [Dense(15, "tanh"), Dense(3, "sigmoid")], 3, "logistic", "adam", inputs=12, batch_size=64,
    ),
    "transposed copy": Case(
        [Dense(101, "relu"), Dense(99, "leaky_relu"), Dense(3)], 3, optimizer="adam", inputs=20,
        rows=130, batch_size=50,
    ),
    "copy by threads": Case(
        [Dense(101, "leaky_relu"), Dense(99, "relu"), Dense(3)], 3, inputs=20, rows=130,
        batch_size=130,
    ),
    "shared columns": Case([Dense(256, "relu"), Dense(3)], 3, inputs=90),
    "shared columns without bias": Case(
        [Dense(256, "tanh", False), Dense(2)], 2, inputs=90, weighted=True,
    ),
    "one batch": Case(
        [Dense(12, "relu"), Dense(5)], 5, optimizer=SGD(0.001), inputs=40, rows=130,
        batch_size=1000,
    ),
    "rows in their order": Case([Dense(12, "relu"), Dense(5)], 5, fit={"shuffle": False}),
    "whole batches, rows held out": Case(
        [Dense(12, "relu"), Dense(5)], 5, weighted=True,
        fit={"drop_last": True, "validation_split": 0.2}, options={"metrics": ["mae"]},
    ),
}  # fmt: skip

LAYERS = {
    "every layer": Case(
        [
            Dropout(0.2),
            Dense(19, use_bias=False, drop_connect=0.3, kernel_regularizer=L2(0.01)),
            BatchNormalization(momentum=0.8),
            Activation("relu"),
            Dropout(0.5, "test"),
            Dense(33, "tanh", drop_connect=0.5),
            BatchNormalization(center=False, scale=False),
            Dropout(0.25),
            Dense(3),
            Activation("softmax"),
        ],
        3, "softmax_cross_entropy", "adam",
    ),
    "normalization without center or scale": Case(
        [
            Dense(4, "tanh"), BatchNormalization(center=False), Dense(3),
            BatchNormalization(scale=False), Activation("sigmoid"), Dense(2),
        ],
        2, optimizer=SGD(0.01, 0.9),
    ),
    "normalized inputs and outputs": Case(
        [BatchNormalization(), Dense(5, "tanh"), Dense(2), BatchNormalization(epsilon=0.1)], 2,
    ),
    "layer normalization": Case(
        [
            LayerNormalization(), Dense(33, use_bias=False), LayerNormalization(epsilon=0.1),
            Activation("relu"), Dropout(0.25), LayerNormalization(center=False, scale=False),
            Dense(3, "softmax"),
        ],
        3, "softmax_cross_entropy", "adam", weighted=True,
    ),
    "layer normalization without center or scale": Case(
        [
            Dense(4, "tanh"), LayerNormalization(center=False), Dense(3),
            LayerNormalization(scale=False), Activation("sigmoid"), Dense(2),
            LayerNormalization(epsilon=1),
        ],
        2, optimizer=SGD(0.01, 0.9, global_clipnorm=0.1), batch_size=1,
    ),
    "scales and shares": Case(
        [
            Scale(), Dense(33), ParametricActivation("mish"), Dropout(0.25), Dense(9, "relu"),
            Scale(), ParametricActivation("relu", initial_share=0.75), Dense(3), Scale(),
        ],
        3, "softmax_cross_entropy", "adam", weighted=True,
    ),
    "factors": Case(
        [
            Scale(learning_rate_factor=6), Dense(9, bias_learning_rate_factor=0.1),
            ParametricActivation("mish", learning_rate_factor=0.1, weight_decay_factor=1),
            BatchNormalization(learning_rate_factor=2),
            Dense(2, kernel_learning_rate_factor=0.3, kernel_weight_decay_factor=0),
        ],
        2, optimizer=AdamW(CosineDecay(0.05, 10), 0.1),
    ),
    "rate, decay and dropout by schedule": Case(
        [
            Dropout(CosineDecay(0.4, 6, hold_steps=3)), Dense(9, "relu"), Dropout(WarmUp(0.5, 4)),
            Dense(2, bias_weight_decay_factor=0.5),
        ],
        2, optimizer=AdamW(CosLog(0.05, 16), CosineDecay(0.5, 8, hold_steps=4)), weighted=True,
    ),
    "factors in the product": Case(
        [Dense(6, "tanh", kernel_learning_rate_factor=0.1), Dense(2)], 2,
        optimizer=SGD(CosineDecay(0.05, 10)),
    ),
    "a share alone": Case([Dense(2), ParametricActivation("selu")], 2, optimizer=SGD(0.1)),
    "categories and numbers": Case(
        [
            PeriodicEmbedding(5, 2, columns=[6, 3]),
            PiecewiseLinearEmbedding([[-1.0, 0.0, 0.5], [0.0, 1.0]], 2, columns=[5, 7]),
            Embedding([4, 2], 3, columns=[1, 0]), Dense(6, "relu"), Dense(2),
        ],
        2, optimizer=Adam(0.01, global_clipnorm=1.0), categories=2, weighted=True,
    ),
    "categories": Case(
        [Embedding(3, 5, columns=[0]), Dense(2)], 2, optimizer=SGD(0.01), categories=1,
        batch_size=50,
    ),
    "dropout": Case(
        [
            Dropout(0.2), Dense(6, "tanh"), Dropout(0.5), Dense(5), Dropout(0.3, "test"),
            Activation("sigmoid"), Dense(2),
        ],
        2, fit={"shuffle": False},
    ),
    "drop connect": Case(
        [Dense(64, "tanh", drop_connect=0.4), Dense(2, drop_connect=0.2)], 2,
        optimizer=SGD(0.05, global_clipnorm=0.2),
    ),
    "activations by themselves": Case(
        [Dense(6), Activation("relu"), Dense(5), Activation("softplus"), Dense(2),
         Activation("linear")], 2,
    ),
}  # fmt: skip

LOSSES = {
    # Each has its own activation and initializers.
    "half mse, glorot": Case(
        [Dense(9, "tanh", kernel_initializer="glorot_normal"),
         Dense(2, kernel_initializer="glorot_uniform")],
        2, "half_mse",
    ),
    "huber, leaky relu, he": Case(
        [Dense(9, activations.LeakyReLU(0.01), kernel_initializer="he_normal"),
         Dense(2, kernel_initializer="he_uniform")],
        2, losses.Huber(0.3),
    ),
    "smooth l1, elu, orthogonal": Case(
        [Dense(9, "elu", kernel_initializer="orthogonal", bias_initializer="constant"), Dense(2)],
        2, losses.SmoothL1(0.3),
    ),
    "log-cosh, gelu, lecun": Case(
        [Dense(9, "gelu", kernel_initializer="lecun_normal"),
         Dense(2, kernel_initializer="lecun_uniform")],
        2, "log_cosh",
    ),
    "quantiles, gelu by tanh": Case(
        # With smaller weights a residual comes so near 0 that rounding decides its sign.
        [Dense(9, activations.GELU(approximate=True), kernel_initializer="he_uniform"),
         Dense(6, kernel_initializer="glorot_uniform")], 6,
        losses.Quantile([0.1, 0.5, 0.9]), Adam(0.01),
    ),
    "poisson, exponential, softplus": Case(
        [Dense(9, "softplus"), Dense(2, "exponential")], 2, "poisson",
    ),
    "gamma, exponential, tanh": Case(
        [Dense(9, "tanh"), Dense(2, "exponential")], 2, "gamma",
    ),
    "gaussian, silu, sparse": Case(
        [Dense(9, "silu", kernel_initializer="sparse"), Dense(4)], 4, "gaussian_nll",
    ),
    "signed error, sigmoid": Case([Dense(9, "sigmoid"), Dense(2)], 2, "signed_error"),
    "smoothed labels, silu": Case(
        [Dense(9, activations.SiLU()), Dense(4, "softmax")], 4, losses.SoftmaxCrossEntropy(0.1),
        weighted=True,
    ),
    "probabilities": Case(
        [Dense(9, "tanh"), Dense(4, "softmax")], 4, "probability_cross_entropy", weighted=True,
    ),
    "a sum of losses": Case(
        [_penalized(9, "tanh"), Dense(2)], 2, losses.HalfMSE(reduction="sum"), SGD(0.002),
        weighted=True,
    ),
    "log-cosh, selu, mish": Case(
        [Dense(9, "selu"), Dense(7, "mish"), Dense(2)], 2, "log_cosh", "adam",
    ),
    "class weights": Case(
        [Dense(9, "relu"), Dense(4, "softmax")], 4, "softmax_cross_entropy", "adam",
        fit={"class_weight": {1: 5.0}},
    ),
    "multiclass hinge, exponential": Case(
        [Dense(9, "exponential", kernel_initializer="normal"), Dense(4)], 4,
        losses.MulticlassHinge(0.3),
    ),
    "multiclass squared hinge": Case(
        [Dense(9, "tanh", kernel_initializer="uniform"), Dense(4)], 4, "multiclass_squared_hinge",
    ),
    "structured hinge, elu": Case(
        [Dense(9, activations.ELU(0.5)), Dense(3)], 3,
        losses.StructuredHinge([[0, 1, 2], [1, 0, 1], [4, 1, 0]]),
    ),
    "attribute hinge": Case(
        [Dense(9, "softmax"), Dense(3, kernel_initializer="zeros")], 3, "attribute_hinge",
    ),
}  # fmt: skip


def _with_penalties() -> dict[str, Case]:
    cases = {}
    for name, (first, last) in {
        "l1 shrink": (dict(kernel_regularizer=L1(0.01, "shrink")), {}),
        "l1 proximal": (
            dict(kernel_regularizer=L1(0.1, "proximal"), bias_regularizer=L1(0.1, "proximal")),
            {},
        ),
        "elastic net": (
            dict(kernel_regularizer=L1L2(0.1, 0.1, "shrink")),
            dict(kernel_regularizer=L1L2(0.1, 0.1, "proximal")),
        ),
        "lq": (dict(kernel_regularizer=Lq(0.1, 1.3), bias_regularizer=Lq(0.1, 3)), {}),
        "group l1": (
            dict(kernel_regularizer=GroupL1(0.1)),
            dict(kernel_regularizer=GroupL1(0.1, "input")),
        ),
        "group l1 and norms": (
            dict(kernel_regularizer=GroupL1(0.1, "input"), kernel_constraint=MaxNorm(1)),
            dict(kernel_constraint=UnitNorm()),
        ),
        "max norm": (dict(kernel_constraint=MaxNorm(0.8)), dict(kernel_constraint=MaxNorm(0.5))),
        "max norm of whole units": (
            dict(
                kernel_constraint=MaxNorm(0.3, include_bias=True), kernel_regularizer=GroupL1(0.01)
            ),
            dict(kernel_constraint=MaxNorm(0.2, include_bias=True)),
        ),
        "non-negative": (
            dict(
                kernel_constraint=NonNeg(), bias_constraint=NonNeg(), kernel_regularizer=GroupL1()
            ),
            {},
        ),
    }.items():
        layers = [Dense(33, "tanh", **first), Dense(7, "relu", **last), Dense(1, **last)]
        for how, optimizer in {
            "sgd": SGD(0.02),
            "momentum": SGD(0.01, 0.9),
            "adam": Adam(0.001),
        }.items():
            cases[f"{name}, {how}"] = Case(
                layers, 1, optimizer=optimizer, inputs=12, rows=60, batch_size=16
            )
    return cases


PENALTIES = _with_penalties() | {
    "l1 and l2, adam": Case([_penalized(17, "relu"), _penalized(1)], 1, optimizer="adam",
                            inputs=9, weighted=True),
    "l2, sgd": Case([Dense(6, "tanh", kernel_regularizer=L2(0.1)), Dense(2)], 2, "mae", inputs=9),
    "penalties of the network": Case(
        [
            Dense(3, "relu", kernel_regularizer=GroupL1(0.2, "input"), kernel_constraint=MaxNorm(3),
                  bias_regularizer=L1(0.1, "proximal"), bias_constraint=NonNeg()),
            Dense(2, kernel_regularizer=Lq(0.1, 0.7), kernel_constraint=UnitNorm()),
            Dense(1),
        ],
        1, optimizer=SGD(CosineDecay(0.05, 10)),
        options={"kernel_regularizer": L1L2(0.1, 0.2, "shrink"), "bias_regularizer": L2(0.1)},
    ),
    "proximal at a scheduled rate": Case(
        [Dense(9, "tanh", kernel_regularizer=L1(0.1, "proximal")),
         Dense(2, kernel_regularizer=GroupL1(0.1))],
        2, optimizer=Adam(CosineDecay(0.05, 10)),
    ),
}  # fmt: skip


RATE = WarmUp(CosineDecay(0.05, 30, 0.1), 5, 0.01)
_CLIPS: dict[str, dict[str, float]] = {
    "": {},
    ", clipped by value": {"clipvalue": 0.02},
    ", clipped by norm": {"global_clipnorm": 0.1},
}


def _with_optimizers() -> dict[str, Case]:
    layers = [Dense(11, "tanh", kernel_regularizer=L2(0.01)), Dense(2)]
    cases = {}
    for name, optimizer in {
        "sgd": SGD(RATE),
        "momentum": SGD(RATE, 0.9),
        "nesterov": SGD(0.05, 0.9, True),
        "gd": GD(0.1),
        "adagrad": Adagrad(RATE),
        "adadelta": Adadelta(1.0),
        "rmsprop": RMSprop(RATE),
        "rmsprop with momentum": RMSprop(0.01, momentum=0.5),
        "rmsprop centered": RMSprop(0.01, centered=True),
        "rmsprop centered, with momentum": RMSprop(0.01, momentum=0.5, centered=True),
        "rprop": Rprop(),
        "adam": Adam(InverseTimeDecay(0.05, 10, 1)),
        "amsgrad": Adam(ExponentialDecay(0.05, 10, 0.5, staircase=True), amsgrad=True),
        "adamw": AdamW(OneCycle(0.05, 30), 0.1),
        "nadam": NAdam(RATE),
        "lbfgs": LBFGS(3),
    }.items():
        whole = isinstance(optimizer, (GD, Rprop, LBFGS))
        case = Case(layers, 2, optimizer=optimizer, batch_size=None if whole else 20)
        for how, clip in _CLIPS.items():
            if clip and isinstance(optimizer, (Rprop, LBFGS)):
                continue
            clipped = type(optimizer)(**{**vars(optimizer), **clip})
            cases[f"{name}{how}"] = replace(case, optimizer=clipped)
    return cases


OPTIMIZERS = _with_optimizers()


def _tree(tree: Any, optimizer: Any, n_classes: int = 11) -> Case:
    frequencies = 2.0 ** np.arange(n_classes) if tree == "huffman" else None
    layers = [Dense(9, "tanh"), HierarchicalSoftmax(n_classes, tree, frequencies)]
    return Case(layers, n_classes, "softmax_cross_entropy", optimizer)


TREES = {
    "tree, sgd": _tree("balanced", SGD(0.3)),
    "tree, scheduled sgd": _tree("balanced", SGD(CosineDecay(0.3, 100))),
    "tree, momentum": _tree("balanced", SGD(0.3, momentum=0.5)),
    "tree, clipped by norm": _tree("balanced", SGD(0.3, global_clipnorm=0.1)),
    "tree, adam": _tree("balanced", Adam(0.02)),
    "huffman tree, adam": _tree("huffman", Adam(0.01)),
    "given tree, adam": _tree(((0, (3, 1)), ((2, 4), 5)), Adam(0.01), 6),
    "tree alone": Case([HierarchicalSoftmax(11)], 11, "softmax_cross_entropy", SGD(0.3)),
}

PREPARED = {
    "standardized": Case(
        [Dense(5, "tanh"), Dense(1)], 1, optimizer=Adam(0.01),
        fit={"validation_split": 0.2, "validation_shuffle": False},
        options={"preprocessing": "standardize", "metrics": ["mae", "r2"]},
    ),
    "principal components": Case(
        [Dense(5, "tanh"), Dense(1)], 1,
        options={"preprocessing": ["center", preprocessing.PCA(3)]},
    ),
    "whitened": Case(
        [Dense(5, "tanh"), Dense(1)], 1,
        options={"preprocessing": ["min_max", preprocessing.Whiten(2, eps=0.1)]},
    ),
    "encoded": Case(
        [Dense(5, "tanh"), Dense(1)], 1,
        options={"preprocessing": [
            "ordinal", preprocessing.OneHot(2), "target_mean", "robust_scale", "impute",
        ]},
    ),
}  # fmt: skip

NETWORKS = SHAPES | LAYERS | LOSSES | PENALTIES | OPTIMIZERS | TREES | PREPARED


@functools.cache
def trained(name: str, dtype: str, n_threads: int) -> tuple[Network, History, list[np.ndarray]]:
    """Train a network once for all tests, which only read it: return it, and what comes out."""
    case = NETWORKS[name]
    network = case.network(dtype=dtype, n_threads=n_threads)
    history = case.train(network)
    return network, history, case.results(network, history)
