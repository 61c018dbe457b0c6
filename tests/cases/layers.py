"""Dropout, normalization, scales, shares of activations and hierarchical softmax."""

import numpy as np

from tests.cases.base import case, constant, empty, normal, of, uniform

_NODES = 6
_PARENT = np.array([0, 4, 4, 3, 5, 5, 2, 0, 0, 1, 1, 2, 3])
"""Above the 7 classes and then the 6 nodes of a tree of paths of 1 to 4 decisions."""


def tree(name, **differences):
    """Return the case of a kernel on that tree."""
    given = {"target": _classes, "parent": constant(_PARENT), **differences}
    return case(name, sizes={"n": _NODES, "d": 5}, **given)


def _classes(rng, _, rows):
    return rng.integers(0, _NODES + 1, rows)


def _sides(rng, dtype, places):
    return rng.choice([-1, 1], places).astype(dtype)


def _slopes(rng, dtype, *shape):
    """Return derivatives of logistic losses, which lie between -1 and 1."""
    return 2 * uniform(rng, dtype, *shape) - 1


def _zeros(rng, _, n):
    return np.zeros(n, np.int64)


def _split_off(rng, _, n):
    return np.arange(n, 0, -1)


def _codes(rng, dtype, *shape):
    """Return categories, of which some are unknown."""
    return rng.choice([0, 1, 2, 4, -1, 0.5, 1e30], shape).astype(dtype)


def _begins(rng, _, n):
    return np.arange(n) * 4


def _places(rng, _, *shape):
    """Return rows of a table, each at most once, and numbers of no row."""
    return (
        rng.permutation(2 * np.prod(shape, dtype=int))[: np.prod(shape, dtype=int)].reshape(shape)
        - 3
    )


def _rows_after(rng, _, rows, columns):
    return rng.integers(-1, rows + 2, (rows, columns))


def _reversed(rng, _, n):
    return np.arange(n)[::-1].copy()


def _any_rows(rng, _, n):
    return rng.integers(-2, n + 2, n)


def _below(rng, dtype, *shape):
    return rng.choice([0, -np.inf], shape).astype(dtype)


def _above(rng, dtype, *shape):
    return rng.choice([1, np.inf], shape).astype(dtype)


_NUMBERS = {"c": 3, "n": 4, "d": 7}
_TABLE = {"c": 3, "n": 4, "r": 12}
_SOME_NODES = {"first": 1, "last": 4}

CASES = (
    case(
        "dropout", tolerance="exact", rate=0.4, scale=1.0 / 0.6, seed=2**63 - 3, layer=2, step=5,
        first=7,
    ),
    case("dropout_mean", rate=0.4),
    case("batch_moments", terms="m", first=0, last="n", float64=True),
    case("merge_moments", rows=5, more=3, variance_of_more=uniform, variance=uniform),
    case("inverse_deviation", epsilon=1e-3, variance=uniform),
    case("batch_norm_forward", inverse=uniform),
    case("batch_norm_gradients", terms="m", inverse=uniform, first=0, last="n", float64=True),
    case("batch_norm_backward", inverse=uniform, batch=9),
    case("moving_update", momentum=0.9, rows=2),
    case("layer_norm_forward", terms="n", epsilon=1e-3, float64=True),
    case("layer_norm_gradients", terms="m", inverse=uniform, first=0, last="n", float64=True),
    case("layer_norm_backward", terms="n", inverse=uniform),
    case("scale_units", tolerance="exact"),
    case("scale_units_gradient", terms="m", first=0, last="n", float64=True),
    case("blend_units"),
    case("blend_units_gradient", terms="m", first=0, last="n", float64=True),
    case("append_columns", tolerance="exact", sizes={"n": "p+2", "q": "p+1"}),
    case("split_columns", tolerance="exact", sizes={"n": "p+2", "q": "p+1"}, index=_reversed),
    case("embedding_forward", tolerance="exact", sizes=_TABLE, x=_codes, begin=_begins),
    case(
        "embedding_links", sizes=_TABLE | {"b": "m+2"}, x=_codes, begin=_begins, first=0, last="c",
        slot=_any_rows, place=of(np.int64, empty), following=of(np.int64, empty),
    ),
    case(
        "embedding_gradient", terms="m", sizes={"c": 3, "b": "m+2"}, place=_places,
        following=_rows_after, first=0, last=10**6,
    ),
    case("embedding_take", tolerance="exact", place=_places),
    case("embedding_put", tolerance="exact", sizes={"r": "m+9"}, place=_places),
    case("periodic_forward", terms="f", sizes=_NUMBERS),
    case("periodic_backward", sizes=_NUMBERS),
    case("periodic_inputs", terms="f", sizes={"c": 3, "n": 4}),
    case(
        "periodic_gradients", terms="m", sizes={"c": 3, "n": 4}, first=0, last="c", float64=True,
    ),
    case("block_gradients", terms="m", sizes={"f": 7, "k": 100}, first=0, last="d", float64=True),
    case("piecewise_forward", terms="f", sizes=_NUMBERS, low=_below, high=_above),
    case("piecewise_inputs", terms="f", sizes=_NUMBERS, h=uniform, low=_below, high=_above),
    tree("tree_forward", terms="k", side=_sides),
    tree("tree_backward", side=_sides, row_scale=uniform),
    tree("tree_update", terms="m", float64=True, rate=0.3, slopes=_slopes, **_SOME_NODES),
    tree(
        "tree_gradient", terms="m", float64=True, slopes=_slopes, dw=normal, db=normal,
        **_SOME_NODES,
    ),
    # Every node of this one splits one class off.
    case("tree_probabilities", terms="n", first=_zeros, second=_split_off),
)  # fmt: skip
