"""The one table of kernel cases: it drives the parity, gradient, edge and guard-page tests.

To add a kernel, write its compiled and its reference form and add one :class:`Case` to ``CASES``.
Its `make` is ``make(rng, dtype, *shape)`` and returns every argument by name, in the order of the
signature; arrays that the kernel only writes come from :func:`blank`.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

DTYPES = (np.float32, np.float64)
SIZES = (1, 2, 3, 5, 6, 7, 10, 13, 15, 16, 17, 31, 33, 63, 64, 65, 100)
"""Lengths worth trying: below, at and above the sizes of tiles and vectors, and odd."""
PRODUCTS = (
    (4, 0, 5), (4, 3, 0), (2, 0, 1),  # empty sums, empty results
    (5, 513, 10), (7, 600, 1), (1, 1030, 65),  # more terms than are worked on together
    (40, 530, 70), (100, 70, 257), (97, 130, 300),  # b asked for ahead, packed by the first tile
    (250, 70, 257), (520, 300, 257), (30, 1030, 257),  # a packed, blocks of rows
    (13000, 3, 10), (40, 2100, 10), (3, 2100, 1),  # narrow: turned around, deep, one column
)  # fmt: skip
"""Shapes (m, k, n) of matrix products that take every way through the code."""


class Case(NamedTuple):
    """One kernel, and how to call and judge it."""

    module: str
    """File of the kernel, below ``fastnn.kernels`` and ``fastnn.reference``."""
    name: str
    make: Callable[..., dict[str, Any]]
    outputs: tuple[str, ...]
    """Arguments that the kernel writes; all others must come back unchanged."""
    dimensions: int
    """How many sizes make up a shape; the first is the one that threads split."""
    tolerance: str | int = "absolute"
    """What may differ from the reference: see :func:`assert_agree`."""
    overlays: tuple[tuple[str, str], ...] = ()
    """(output, input) pairs that may be one and the same array."""
    whole: tuple[str, ...] = ()
    """Arrays that are not cut, but given whole to every part of a split call."""
    splits: bool = True
    """Whether a call may be split: all its arrays cut alike along their first axes."""
    float64: bool = False
    """Whether the kernel computes in float64 for float32 arrays as well."""

    @property
    def compiled(self) -> Callable[..., None]:
        """The kernel."""
        return getattr(importlib.import_module(f"fastnn.kernels.{self.module}"), self.name)

    @property
    def reference(self) -> Callable[..., None]:
        """Its NumPy twin."""
        return getattr(importlib.import_module(f"fastnn.reference.{self.module}"), self.name)


def blank(dtype, *shape):
    """Return an array filled with what no result should be: NaN, or the least integer."""
    dtype = np.dtype(dtype)
    return np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).min, dtype)


def normal(rng, dtype, *shape):
    """Return standard normal numbers."""
    return rng.standard_normal(shape, np.float32).astype(dtype)


def uniform(rng, dtype, *shape):
    """Return numbers between 0 and 1."""
    return rng.random(shape, np.float32).astype(dtype)


def shapes(dimensions, seed=0):
    """Return shapes that between them hold all of ``SIZES`` in every place, and zero rows."""
    rng = np.random.default_rng(seed)
    places = [rng.permutation(SIZES).tolist() for _ in range(dimensions)]
    listed = list(zip(*places, strict=True))
    more = PRODUCTS if dimensions == 3 else ()
    return [(1,) * dimensions, (0, *listed[0][1:]), *more, *listed]


def copied(arguments):
    """Return the arguments with arrays of their own."""
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in arguments.items()
    }


def assert_agree(case, shape, actual, expected):
    """Fail unless `actual` agrees with `expected` to the tolerance of the case.

    "exact": the same numbers.  "relative": every element to 8 eps of itself.  "absolute": to
    8 eps of the largest finite element, or of 1.  A number d: as "absolute", but 8 + shape[d] eps,
    for a sum over the size number d.  NaN and infinity must stand in the same places.
    """
    if case.tolerance == "exact" or actual.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    info = np.finfo(actual.dtype)
    terms = shape[case.tolerance] if isinstance(case.tolerance, int) else 0
    eps = float((8 + terms) * info.eps)
    finite = np.abs(expected[np.isfinite(expected)])
    least = float(info.tiny) if case.tolerance == "relative" else eps * finite.max(initial=1.0)
    np.testing.assert_allclose(actual, expected, rtol=eps, atol=least)


def _forward(rng, dtype, rows, n):
    return {"x": 2 * normal(rng, dtype, rows, n), "out": blank(dtype, rows, n)}


def _backward(rng, dtype, rows, n):
    return {
        "x": normal(rng, dtype, rows, n),
        "y": uniform(rng, dtype, rows, n),
        "dy": normal(rng, dtype, rows, n),
        "dx": blank(dtype, rows, n),
    }


def _with(place, extra, make):
    """Return `make` with the arguments `extra` inserted before the one named `place`.

    They are a dictionary, or a function (rng, dtype, *shape) that returns one.
    """

    def extended(rng, dtype, *shape):
        made = {}
        more = extra(rng, dtype, *shape) if callable(extra) else extra
        for name, value in make(rng, dtype, *shape).items():
            made |= (more if name == place else {}) | {name: value}
        return made

    return extended


def _loss_forward(rng, dtype, rows, n):
    return {
        "prediction": normal(rng, dtype, rows, n),
        "target": uniform(rng, dtype, rows, n),
        "row_loss": blank(dtype, rows),
    }


def _loss_backward(rng, dtype, rows, n):
    return {
        "prediction": normal(rng, dtype, rows, n),
        "target": uniform(rng, dtype, rows, n),
        "row_scale": uniform(rng, dtype, rows),
        "d": blank(dtype, rows, n),
    }


def _labeled(make):
    """Return `make` with class labels as its targets."""

    def labeled(rng, dtype, rows, n):
        return make(rng, dtype, rows, n) | {"target": rng.integers(0, n, rows)}

    return labeled


def _signed(make):
    """Return `make` with -1 and 1 as its targets."""

    def signed(rng, dtype, rows, n):
        targets = np.where(normal(rng, dtype, rows, n) > 0, 1, -1).astype(dtype)
        return make(rng, dtype, rows, n) | {"target": targets}

    return signed


def _wide(factor):
    """Return a change of `make`: a target's predictions are `factor` columns, blocks of n."""

    def change(make):
        def wide(rng, dtype, rows, n):
            narrow = {"target": uniform(rng, dtype, rows, n)}
            return make(rng, dtype, rows, factor * n) | narrow

        return wide

    return change


def _levels(rng, dtype, rows, n):
    return {"levels": np.array([0.125, 0.5, 0.875], dtype)}


def _cost(rng, dtype, rows, n):
    return {"cost": uniform(rng, dtype, n, n) * (1 - np.eye(n, dtype=dtype))}


_NODES = 6
_PARENT = np.array([0, 4, 4, 3, 5, 5, 2, 0, 0, 1, 1, 2, 3])
"""Above the 7 classes and then the 6 nodes of a tree of paths of 1 to 4 decisions."""


def _tree(rng, dtype, rows, k):
    """Return what the kernels of a tree take, by name."""
    depth = 5
    return {
        "rate": 0.3,
        "h": normal(rng, dtype, rows, k),
        "target": rng.integers(0, _NODES + 1, rows),
        "w": normal(rng, dtype, _NODES, k),
        "b": normal(rng, dtype, _NODES),
        "parent": _PARENT.copy(),
        "side": rng.choice([-1, 1], len(_PARENT)).astype(dtype),
        "row_scale": uniform(rng, dtype, rows),
        "z": blank(dtype, rows, depth),
        "row_loss": blank(dtype, rows),
        "slopes": normal(rng, dtype, rows, depth),
        "first": 1,
        "last": 4,
        "dw": normal(rng, dtype, _NODES, k),
        "db": normal(rng, dtype, _NODES),
        "dh": blank(dtype, rows, k),
    }


def _of_tree(names):
    """Return the `make` of the kernel with these arguments."""

    def make(rng, dtype, rows, k):
        made = _tree(rng, dtype, rows, k)
        return {name: made[name] for name in names.split()}

    return make


def _tree_probabilities(rng, dtype, rows, n):
    """Return a tree whose every node splits one class off."""
    return {
        "b": normal(rng, dtype, n),
        "first": np.zeros(n, np.int64),
        "second": np.arange(n, 0, -1),
        "z": normal(rng, dtype, rows, n),
        "out": blank(dtype, rows, n + 1),
    }


def _above_one(rng, dtype, n):
    """Return mean squares above the square of any mean that goes with them."""
    return 1 + uniform(rng, dtype, n)


def _penalty_value(rng, dtype, n):
    return {"strength": 0.3, "w": normal(rng, dtype, n), "total": np.array([0.7])}


def _penalty_gradient(rng, dtype, n):
    return {"strength": 0.3, "w": normal(rng, dtype, n), "dw": normal(rng, dtype, n)}


def _shrink(rng, dtype, n):
    return {"strength": 0.3, "w": normal(rng, dtype, n)}


def _bound(rng, dtype, n):
    return {"low": -0.5, "high": 1.0, "w": normal(rng, dtype, n)}


def _norms(letter):
    """Return a `make` for the norms of the columns (n) or rows (m) of a matrix."""

    def make(rng, dtype, m, n):
        size = n if letter == "n" else m
        ends = {"first": 0, "last": n} if letter == "n" else {}
        norms = {"before": blank(dtype, size), "after": blank(dtype, size)}
        return {"w": normal(rng, dtype, m, n), **ends, **norms}

    return make


def _norm_ratios(rng, dtype, n):
    before = uniform(rng, dtype, n)
    before[::5] = 0
    return {"before": before, "after": uniform(rng, dtype, n)}


def _scale_columns(rng, dtype, m, n):
    return {"factor": uniform(rng, dtype, n), "first": 0, "last": n, "w": normal(rng, dtype, m, n)}


def _scale_rows(rng, dtype, m, n):
    return {"factor": uniform(rng, dtype, m), "w": normal(rng, dtype, m, n)}


def _sgd(rng, dtype, n):
    return {"rate": 0.1, "dw": normal(rng, dtype, n), "w": normal(rng, dtype, n)}


def _momentum(rng, dtype, n):
    velocity = normal(rng, dtype, n)
    made = _with("dw", {"momentum": 0.9}, _sgd)(rng, dtype, n)
    return made | {"velocity": velocity, "w": made.pop("w")}


def _update(settings, **state):
    """Return a `make` for an optimizer's update: its settings, and how its state is drawn."""

    def make(rng, dtype, n):
        made = settings | {"dw": normal(rng, dtype, n)}
        made |= {name: draw(rng, dtype, n) for name, draw in state.items()}
        return made | {"w": normal(rng, dtype, n)}

    return make


_ADAM = {"rate": 0.01, "decay": 0.3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "step": 3}
_NADAM = {
    "rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8,
    "on_gradient": 0.6, "on_mean": 0.7, "step": 3,
}  # fmt: skip
_RMSPROP = {"rate": 0.01, "rho": 0.9, "epsilon": 1e-4}
_RMSPROP_MOMENTUM = {"rate": 0.01, "rho": 0.9, "momentum": 0.8, "epsilon": 1e-4}
_ADADELTA = {"rate": 0.5, "rho": 0.95, "epsilon": 1e-4}
_RPROP = {"shrink": 0.5, "grow": 1.2, "smallest": 1e-6, "largest": 50.0}


def _store(rng, dtype, n):
    dw, w = normal(rng, dtype, n), normal(rng, dtype, n)
    return {"dw": dw, "gradient": blank(dtype, n), "w": w}


def _scale_gradient(rng, dtype, n):
    return {"scale": 0.7, "dw": normal(rng, dtype, n)}


def _row_squares(rng, dtype, rows, n):
    return {"dw": normal(rng, dtype, rows, n), "squares": blank(np.float64, rows)}


def _norm_scale(rng, dtype, n):
    return {"limit": 0.9, "squares": uniform(rng, np.float64, n), "scale": blank(np.float64, 1)}


def _schedule(name, **settings):
    """Return the case of a schedule: rates from before its beginning to after its end."""

    def make(rng, dtype, n):
        return settings | {"first": 5, "step": 3, "out": blank(np.float64, n)}

    return Case("schedules", f"{name}_rate", make, ("out",), 1, splits=False)


def _warm_up(rng, dtype, n):
    made = {"start": 0.1, "steps": 9.0, "first": 5, "step": 3}
    return made | {"out": uniform(rng, np.float64, n)}


def _nadam_factors(rng, dtype, n):
    return {"beta1": 0.9, "decay": 0.004, "step": min(n, 500) + 1, "out": blank(np.float64, 2)}


def _product(left, right, **scale):
    """Return a `make` for a product of (m, k) by (k, n), either of them given transposed.

    With a scale it is added to what is there.
    """

    def make(rng, dtype, m, k, n):
        sizes = {"m": m, "k": k, "n": n}
        a, b = (normal(rng, dtype, *(sizes[letter] for letter in it)) for it in (left, right))
        out = normal(rng, dtype, m, n) if scale else blank(dtype, m, n)
        return {"a": a, "b": b, **scale, "out": out}

    return make


def _dense(rng, dtype, m, k, n):
    x, w, b = normal(rng, dtype, m, k), normal(rng, dtype, k, n), normal(rng, dtype, n)
    return {"x": x, "w": w, "b": b, "slope": 0.0, "prefetch_distance": m, "out": blank(dtype, m, n)}


def _dense_backward(rng, dtype, m, k, n):
    dz, w, x = normal(rng, dtype, m, k), normal(rng, dtype, n, k), normal(rng, dtype, m, n)
    return {"dz": dz, "w": w, "x": x, "slope": 0.1, "out": blank(dtype, m, n)}


def _transpose(rng, dtype, m, n):
    return {"a": normal(rng, dtype, m, n), "out": blank(dtype, n, m)}


def _batch_rows(rng, dtype, rows):
    key = {"seed": 2**63 - 3, "epoch": 5, "n": rows + 9, "shuffle": 1, "first": 7}
    return key | {"index": blank(np.int64, rows)}


def _gather_rows(rng, dtype, rows, n):
    index = rng.integers(0, rows + 3, rows)
    return {"source": normal(rng, dtype, rows + 3, n), "index": index, "out": blank(dtype, rows, n)}


def _gather(rng, dtype, rows):
    index = rng.integers(0, rows + 3, rows)
    return {"source": normal(rng, dtype, rows + 3), "index": index, "out": blank(dtype, rows)}


def _gather_columns(rng, dtype, rows, n):
    source, index = normal(rng, dtype, rows, n + 3), rng.integers(0, n + 3, n)
    return {"source": source, "index": index, "out": blank(dtype, rows, n)}


def _row_scales(rng, dtype, rows):
    weights = uniform(rng, dtype, rows + 3), uniform(rng, dtype, rows)
    return {"batch_weight": weights[0], "weight": weights[1], "scale": blank(dtype, rows)}


def _batch_loss(rng, dtype, rows):
    row_loss, weight = normal(rng, dtype, rows), uniform(rng, dtype, rows)
    return {"row_loss": row_loss, "weight": weight, "total": blank(np.float64, 2)}


def _claim_lines(rng, dtype, n):
    return {"a": normal(rng, dtype, n)}


def _flag_not_finite(rng, dtype, rows, n):
    return {"a": normal(rng, dtype, rows, n), "flag": blank(np.float64, 1)}


def _column_sums(rng, dtype, rows, n):
    return {"a": normal(rng, dtype, rows, n), "first": 0, "last": n, "out": blank(dtype, n)}


def _dropout(rng, dtype, rows, n):
    made = {"rate": 0.4, "scale": 1.0 / 0.6, "seed": 2**63 - 3, "layer": 2, "step": 5, "first": 7}
    return made | {"x": normal(rng, dtype, rows, n), "out": blank(dtype, rows, n)}


def _dropout_mean(rng, dtype, rows, n):
    return {"rate": 0.4, "x": normal(rng, dtype, rows, n), "out": blank(dtype, rows, n)}


def _statistics(rng, dtype, n):
    return {"mean": normal(rng, dtype, n), "inverse": uniform(rng, dtype, n)}


def _batch_moments(rng, dtype, rows, n):
    made = {"x": normal(rng, dtype, rows, n), "first": 0, "last": n}
    return made | {"mean": blank(dtype, n), "variance": blank(dtype, n)}


def _inverse_deviation(rng, dtype, n):
    return {"epsilon": 1e-3, "variance": uniform(rng, dtype, n), "inverse": blank(dtype, n)}


def _batch_norm_forward(rng, dtype, rows, n):
    made = {"x": normal(rng, dtype, rows, n), **_statistics(rng, dtype, n)}
    made |= {"gamma": normal(rng, dtype, n), "beta": normal(rng, dtype, n)}
    return made | {"out": blank(dtype, rows, n)}


def _batch_norm_gradients(rng, dtype, rows, n):
    made = {"x": normal(rng, dtype, rows, n), **_statistics(rng, dtype, n)}
    made |= {"dy": normal(rng, dtype, rows, n), "first": 0, "last": n}
    return made | {"dgamma": blank(dtype, n), "dbeta": blank(dtype, n)}


def _batch_norm_backward(rng, dtype, rows, n):
    made = {"x": normal(rng, dtype, rows, n), **_statistics(rng, dtype, n)}
    made |= {name: normal(rng, dtype, n) for name in ("gamma", "dgamma", "dbeta")}
    return made | {"batch": 9, "dy": normal(rng, dtype, rows, n), "dx": blank(dtype, rows, n)}


def _moving(rng, dtype, n):
    made = {"momentum": 0.9, "rows": 2, "value": normal(rng, dtype, n)}
    return made | {"moving": normal(rng, dtype, n)}


def _activation(name, tolerance, extra=None, module="activations"):
    extra = extra or {}
    forward = Case(
        module, f"{name}_forward", _with("out", extra, _forward), ("out",), 2,
        tolerance=tolerance, overlays=(("out", "x"),),
    )  # fmt: skip
    backward = Case(
        module, f"{name}_backward", _with("dy", extra, _backward), ("dx",), 2,
        tolerance=tolerance, overlays=(("dx", "dy"),),
    )  # fmt: skip
    return forward, backward


def _smooth(name, tolerance, extra=None):
    return _activation(name, tolerance, extra, "smooth_activations")


def _loss(module, name, backward_tolerance, change=lambda make: make, extra=None, whole=()):
    extra = extra or {}
    forward = Case(
        module, f"{name}_forward", _with("row_loss", extra, change(_loss_forward)), ("row_loss",),
        2, tolerance=1, whole=whole,
    )  # fmt: skip
    backward = Case(
        module, f"{name}_backward", _with("row_scale", extra, change(_loss_backward)), ("d",), 2,
        tolerance=backward_tolerance, overlays=(("d", "prediction"),), whole=whole,
    )  # fmt: skip
    return forward, backward


def _double(forward, backward):
    """Return the cases of a loss that is summed in float64."""
    return forward._replace(float64=True), backward


def _penalty(name, tolerance="absolute", **extra):
    value = Case(
        "regularizers", f"{name}_value", _with("w", extra, _penalty_value), ("total",), 1,
        tolerance=tolerance, splits=False, float64=True,
    )  # fmt: skip
    gradient = _with("w", extra, _penalty_gradient)
    return value, Case("regularizers", f"{name}_gradient", gradient, ("dw",), 1)


CASES = (
    *_activation("identity", "exact"),
    *_activation("relu", "exact", {"slope": 0.0}),
    *_activation("sigmoid", "relative"),
    *_activation("tanh", "absolute"),
    *_activation("softmax", 1),
    *_smooth("exponential", "relative"),
    *_smooth("elu", "absolute", {"alpha": 0.7}),
    *_smooth("softplus", "absolute"),
    *_smooth("silu", "absolute"),
    *_smooth("gelu", "absolute"),
    *_smooth("gelu_tanh", "absolute"),
    *_loss("losses", "mse", "relative"),
    *_loss("losses", "mae", "exact"),
    *_loss("losses", "half_mse", "relative"),
    *_double(*_loss("losses", "signed_error", "exact")),
    *_loss("robust_losses", "huber", "relative", extra={"delta": 0.6}),
    *_loss("robust_losses", "smooth_l1", "relative", extra={"beta": 0.6}),
    *_loss("robust_losses", "log_cosh", "absolute"),
    *_loss("robust_losses", "quantile", "exact", _wide(3), _levels, whole=("levels",)),
    *_loss("likelihoods", "softmax_cross_entropy", 1, _labeled, {"label_smoothing": 0.1}),
    *_loss("likelihoods", "logistic", "absolute"),
    *_loss("likelihoods", "poisson", "absolute"),
    *_loss("likelihoods", "gaussian_nll", "absolute", _wide(2)),
    *_loss("hinges", "multiclass_hinge", 1, _labeled, {"margin": 0.75}),
    *_loss("hinges", "multiclass_squared_hinge", 1, _labeled, {"margin": 0.75}),
    *_loss("hinges", "attribute_hinge", "exact", _signed),
    *_loss("hinges", "structured_hinge", "exact", _labeled, _cost, whole=("cost",)),
    *_penalty("l1"),
    *_penalty("l2"),
    *_penalty("lq", 0, q=1.5),
    Case("regularizers", "l1_shrink", _shrink, ("w",), 1),
    Case("regularizers", "l1_proximal", _with("strength", {"rate": 0.9}, _shrink), ("w",), 1,
         tolerance="exact"),
    Case("norms", "bound", _bound, ("w",), 1, tolerance="exact"),
    Case("norms", "column_norms", _norms("n"), ("before", "after"), 2, tolerance=0, splits=False),
    Case("norms", "row_norms", _norms("m"), ("before", "after"), 2, tolerance=1),
    Case("norms", "norm_ratios", _norm_ratios, ("after",), 1, tolerance="relative"),
    Case("norms", "scale_columns", _scale_columns, ("w",), 2, tolerance="exact",
         whole=("factor",)),
    Case("norms", "scale_rows", _scale_rows, ("w",), 2, tolerance="exact"),
    Case("updates", "sgd_update", _sgd, ("w",), 1),
    Case("updates", "momentum_update", _momentum, ("velocity", "w"), 1),
    Case("updates", "nesterov_update", _momentum, ("velocity", "w"), 1),
    Case(
        "updates", "rprop_update", _update(_RPROP, previous=normal, size=uniform),
        ("previous", "size", "w"), 1,
    ),
    Case("updates", "store_update", _store, ("gradient",), 1, tolerance="exact"),
    Case(
        "adaptive", "adagrad_update", _update({"rate": 0.1, "epsilon": 1e-4}, total=uniform),
        ("total", "w"), 1,
    ),
    Case(
        "adaptive", "adadelta_update", _update(_ADADELTA, square=uniform, change=uniform),
        ("square", "change", "w"), 1,
    ),
    Case(
        "adaptive", "rmsprop_update", _update(_RMSPROP, square=uniform), ("square", "w"), 1
    ),
    Case(
        "adaptive", "rmsprop_momentum_update",
        _update(_RMSPROP_MOMENTUM, square=uniform, velocity=normal),
        ("square", "velocity", "w"), 1,
    ),
    Case(
        "adaptive", "centered_rmsprop_update",
        _update(_RMSPROP, square=_above_one, mean=uniform), ("square", "mean", "w"), 1,
    ),
    Case(
        "adaptive", "centered_rmsprop_momentum_update",
        _update(_RMSPROP_MOMENTUM, square=_above_one, mean=uniform, velocity=normal),
        ("square", "mean", "velocity", "w"), 1,
    ),
    Case(
        "adaptive", "adam_update", _update(_ADAM, m=normal, v=uniform), ("m", "v", "w"), 1
    ),
    Case(
        "adaptive", "amsgrad_update", _update(_ADAM, m=normal, v=uniform, largest=uniform),
        ("m", "v", "largest", "w"), 1,
    ),
    Case(
        "adaptive", "nadam_update", _update(_NADAM, m=normal, v=uniform), ("m", "v", "w"), 1
    ),
    Case("clipping", "scale_gradient", _scale_gradient, ("dw",), 1, tolerance="exact"),
    Case("clipping", "row_squares", _row_squares, ("squares",), 2, tolerance=1, float64=True),
    Case(
        "clipping", "norm_scale", _norm_scale, ("scale",), 1, tolerance=0,
        splits=False, float64=True,
    ),
    _schedule("constant", initial=0.3),
    _schedule("inverse_time", initial=0.3, steps=7.0, decay=0.4, staircase=0),
    _schedule("exponential", initial=0.3, steps=7.0, decay=0.4, staircase=1),
    _schedule("cosine", initial=0.3, steps=20.0, alpha=0.1),
    _schedule("one_cycle", start=0.1, peak=0.5, end=0.01, turn=6.5, last=20.0),
    Case("schedules", "warm_up_rate", _warm_up, ("out",), 1, splits=False),
    Case("schedules", "nadam_factors", _nadam_factors, ("out",), 1, splits=False),
    Case(
        "matmul", "matmul_nn", _product("mk", "kn"), ("out",), 3, tolerance=1, whole=("b",)
    ),
    Case("matmul", "matmul_tn", _product("km", "kn"), ("out",), 3, tolerance=1, splits=False),
    Case(
        "matmul", "matmul_nt", _product("mk", "nk"), ("out",), 3, tolerance=1, whole=("b",)
    ),
    Case(
        "matmul", "matmul_tn_add", _product("km", "kn", scale=-0.3), ("out",), 3,
        tolerance=1, splits=False,
    ),
    Case("matmul", "dense_forward", _dense, ("out",), 3, tolerance=1, whole=("w", "b")),
    Case("matmul", "dense_backward", _dense_backward, ("out",), 3, tolerance=1, whole=("w",)),
    Case("matmul", "transpose", _transpose, ("out",), 2, tolerance="exact", splits=False),
    Case("rows", "batch_rows", _batch_rows, ("index",), 1, splits=False),
    Case("rows", "gather_rows", _gather_rows, ("out",), 2, tolerance="exact", whole=("source",)),
    Case("rows", "gather", _gather, ("out",), 1, tolerance="exact", whole=("source",)),
    Case("rows", "gather_columns", _gather_columns, ("out",), 2, tolerance="exact",
         whole=("index",)),
    Case("rows", "row_scales", _row_scales, ("scale",), 1, tolerance=0, whole=("batch_weight",)),
    Case("rows", "batch_loss", _batch_loss, ("total",), 1, tolerance=0, splits=False),
    Case("rows", "flag_not_finite", _flag_not_finite, ("flag",), 2, "exact", splits=False),
    Case("rows", "claim_lines", _claim_lines, ("a",), 1, tolerance="exact"),
    Case("rows", "column_sums", _column_sums, ("out",), 2, tolerance=0, splits=False),
    Case("dropout", "dropout", _dropout, ("out",), 2, tolerance="exact", splits=False),
    Case("dropout", "dropout_mean", _dropout_mean, ("out",), 2, overlays=(("out", "x"),)),
    Case(
        "hierarchical", "tree_forward", _of_tree("h target w b parent side z row_loss"),
        ("z", "row_loss"), 2, tolerance=1, whole=("w", "b", "parent", "side"),
    ),
    Case(
        "hierarchical", "tree_backward",
        _of_tree("target w parent side row_scale slopes dh"), ("slopes", "dh"), 2,
        whole=("w", "parent", "side"),
    ),
    Case(
        "hierarchical", "tree_update",
        _of_tree("rate h target parent slopes first last w b"), ("w", "b"), 2,
        tolerance=0, splits=False,
    ),
    Case(
        "hierarchical", "tree_gradient",
        _of_tree("h target parent slopes first last dw db"), ("dw", "db"), 2,
        tolerance=0, splits=False,
    ),
    Case(
        "hierarchical", "tree_probabilities", _tree_probabilities, ("z", "out"), 2,
        tolerance=1, whole=("b", "first", "second"),
    ),
    Case(
        "normalization", "batch_moments", _batch_moments, ("mean", "variance"), 2,
        tolerance=0, splits=False,
    ),
    Case("normalization", "inverse_deviation", _inverse_deviation, ("inverse",), 1),
    Case(
        "normalization", "batch_norm_forward", _batch_norm_forward, ("out",), 2,
        overlays=(("out", "x"),), whole=("mean", "inverse", "gamma", "beta"),
    ),
    Case(
        "normalization", "batch_norm_gradients", _batch_norm_gradients, ("dgamma", "dbeta"), 2,
        tolerance=0, splits=False,
    ),
    Case(
        "normalization", "batch_norm_backward", _batch_norm_backward, ("dx",), 2,
        overlays=(("dx", "dy"),), whole=("mean", "inverse", "gamma", "dgamma", "dbeta"),
    ),
    Case("normalization", "moving_update", _moving, ("moving",), 1),
)  # fmt: skip
BY_NAME = {case.name: case for case in CASES}
