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
    (40, 530, 70), (100, 70, 257), (97, 130, 300),  # packed: one factor, the other, both
    (250, 70, 257), (520, 300, 257), (30, 1030, 257),  # in several blocks
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
    """Return `make` with the arguments `extra` inserted before the one named `place`."""

    def extended(rng, dtype, *shape):
        made = {}
        for name, value in make(rng, dtype, *shape).items():
            made |= (extra if name == place else {}) | {name: value}
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


def _adam(rng, dtype, n):
    made = {"rate": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "step": 3}
    made |= {"dw": normal(rng, dtype, n), "m": normal(rng, dtype, n)}
    return made | {"v": uniform(rng, dtype, n), "w": normal(rng, dtype, n)}


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
    return {"x": x, "w": w, "b": b, "slope": 0.0, "out": blank(dtype, m, n)}


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


def _column_sums(rng, dtype, rows, n):
    return {"a": normal(rng, dtype, rows, n), "first": 0, "last": n, "out": blank(dtype, n)}


def _activation(name, tolerance, extra=None):
    extra = extra or {}
    forward = Case(
        "activations", f"{name}_forward", _with("out", extra, _forward), ("out",), 2,
        tolerance=tolerance, overlays=(("out", "x"),),
    )  # fmt: skip
    backward = Case(
        "activations", f"{name}_backward", _with("dy", extra, _backward), ("dx",), 2,
        tolerance=tolerance, overlays=(("dx", "dy"),),
    )  # fmt: skip
    return forward, backward


def _loss(name, backward_tolerance, change=lambda make: make):
    forward = Case(
        "losses", f"{name}_forward", change(_loss_forward), ("row_loss",), 2, tolerance=1
    )
    backward = Case(
        "losses", f"{name}_backward", change(_loss_backward), ("d",), 2,
        tolerance=backward_tolerance, overlays=(("d", "prediction"),),
    )  # fmt: skip
    return forward, backward


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
    *_loss("mse", "relative"),
    *_loss("mae", "exact"),
    *_loss("softmax_cross_entropy", 1, _labeled),
    *_loss("logistic", "absolute"),
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
    Case("updates", "adam_update", _adam, ("m", "v", "w"), 1),
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
    Case("matmul", "transpose", _transpose, ("out",), 2, tolerance="exact", splits=False),
    Case("rows", "batch_rows", _batch_rows, ("index",), 1, splits=False),
    Case("rows", "gather_rows", _gather_rows, ("out",), 2, tolerance="exact", whole=("source",)),
    Case("rows", "gather", _gather, ("out",), 1, tolerance="exact", whole=("source",)),
    Case("rows", "gather_columns", _gather_columns, ("out",), 2, tolerance="exact",
         whole=("index",)),
    Case("rows", "row_scales", _row_scales, ("scale",), 1, tolerance=0, whole=("batch_weight",)),
    Case("rows", "batch_loss", _batch_loss, ("total",), 1, tolerance=0, splits=False),
    Case("rows", "column_sums", _column_sums, ("out",), 2, tolerance=0, splits=False),
)  # fmt: skip
BY_NAME = {case.name: case for case in CASES}
