"""Kernels that take views: correct for any strides, and the same bits however columns are split.

The engine passes them columns of a batch, to share an update among threads, and rows of the user's
arrays, with any strides.
"""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from fastnn import kernels
from tests.cases import BY_NAME, DTYPES, assert_agree, blank, copied, normal

SHAPES = (
    (1, 1, 1), (6, 5, 13), (33, 10, 1), (1, 16, 66),
    (40, 700, 1), (65, 600, 7), (40, 2100, 3), (64, 100, 300), (600, 200, 260),
)  # fmt: skip
LAYOUTS = {
    "transposed": lambda x: np.asfortranarray(x),
    "every other column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backward": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "repeated row": lambda x: as_strided(x, strides=(0, x.strides[1])),
}

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


@pytest.mark.parametrize(
    ("layout", "dtype"), [*((each, np.float32) for each in LAYOUTS), ("backward", np.float64)]
)
@pytest.mark.parametrize(
    "name",
    ["matmul_nn"]
    + [
        pytest.param(each, marks=pytest.mark.long)
        for each in ("matmul_tn", "matmul_nt", "matmul_tn_add")
    ],
)
def test_a_product_of_views_is_that_of_their_copies(name, layout, dtype):
    case = BY_NAME[name]
    for shape in SHAPES:
        arguments = case.make(np.random.default_rng(0), dtype, *shape)
        for names in (("a",), ("b",), ("a", "b")):
            views = {name: LAYOUTS[layout](arguments[name]) for name in names}
            expected, out = arguments["out"].copy(), arguments["out"].copy()
            case.reference(*(arguments | views | {"out": expected}).values())
            case.compiled(*(arguments | views | {"out": out}).values())
            assert_agree(case, shape, out, expected)


def _parts(n, count):
    edges = np.linspace(0, n, count + 1).astype(int)
    return [slice(*pair) for pair in zip(edges, edges[1:], strict=False)]


@each_dtype
@pytest.mark.parametrize("parts", [2, 3, 5])
@pytest.mark.parametrize("name", ["matmul_tn", "matmul_tn_add"])
def test_the_same_bits_however_the_columns_are_cut(name, parts, dtype):
    case = BY_NAME[name]
    for m, k, n in SHAPES:
        arguments = case.make(np.random.default_rng(1), dtype, m, k, n)
        whole, cut = arguments["out"].copy(), arguments["out"].copy()
        case.compiled(*(arguments | {"out": whole}).values())
        for part in _parts(m, parts):
            here = {"a": arguments["a"][:, part], "out": cut[part]}
            case.compiled(*(arguments | here).values())
        assert cut.tobytes() == whole.tobytes(), (m, k, n)


@pytest.mark.parametrize(("m", "k", "n"), [(40, 9, 70), (70, 9, 40), (3, 300, 1), (20, 300, 9)])
@pytest.mark.parametrize("name", ["nn", "tn", "nt", "tn_add", "dense"])
def test_threads_share_a_product_by_its_longer_axis(name, m, k, n):
    rng = np.random.default_rng(4)
    a, b, bias = (normal(rng, np.float32, *shape) for shape in ((m, k), (k, n), (n,)))
    given = {
        "nn": ("matmul_nn", a, b),
        "tn": ("matmul_tn", a.T.copy(), b),
        "nt": ("matmul_nt", a, b.T.copy()),
        "tn_add": ("matmul_tn_add", a.T.copy(), b, 0.5),
        "dense": ("dense_forward", a, b, bias, 0.0, 0),
    }[name]
    kernel, arguments = kernels.KERNELS[given[0]], given[1:]
    whole, shared = (np.ones((m, n), np.float32) for _ in range(2))
    kernel.compiled(*arguments, whole)
    for part in range(3):
        kernel._part(part, 3, *arguments, shared)
    assert shared.tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    "name", ["dropout", "batch_rows", "l2_gradient", "transpose", "softmax_cross_entropy_forward"]
)
def test_a_large_call_has_the_bits_of_one_thread(name):
    case, rng = BY_NAME[name], np.random.default_rng(3)
    arguments = case.make(rng, np.float32, *{1: (300_001,), 2: (601, 503)}[case.dimensions])
    whole = copied(arguments)
    case.compiled(*whole.values())
    for _ in range(3):  # helpers come late to the first
        shared = copied(arguments)
        kernels.KERNELS[name](*shared.values())
        for output in case.outputs:
            assert shared[output].tobytes() == whole[output].tobytes()


@each_dtype
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_column_sums_and_transposes_do_not_depend_on_the_cut(parts, dtype):
    for rows, columns in ((1, 5), (10, 1), (50, 17), (33, 64)):
        a = normal(np.random.default_rng(2), dtype, rows, columns)
        whole, cut = blank(dtype, columns), blank(dtype, columns)
        turned = blank(dtype, columns, rows)
        BY_NAME["column_sums"].compiled(a, 0, columns, whole)
        for part in _parts(columns, parts):
            BY_NAME["column_sums"].compiled(a, part.start, part.stop, cut)
        for part in _parts(rows, parts):
            BY_NAME["transpose"].compiled(a[part], turned[:, part])
        assert cut.tobytes() == whole.tobytes()
        np.testing.assert_array_equal(turned, a.T)


@pytest.mark.parametrize(
    "source",
    ["f4", "f8", "u2"]
    + [pytest.param(each, marks=pytest.mark.long) for each in ("i8", "i4", "u1", "i1")],
)
def test_rows_are_cast_as_they_are_gathered(source):
    data = np.random.default_rng(3).integers(0, 120, (20, 7)).astype(source)
    index = np.array([19, 0, 3, 3, 11])
    for view in (data, data[:, ::-1], data[::2].repeat(2, axis=0), np.asfortranarray(data)):
        out = blank(np.float32, 5, 7)
        BY_NAME["gather_rows"].compiled(view, index, out)
        np.testing.assert_array_equal(out, view[index].astype(np.float32))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9, 16, 17, 100, 1000, 4097])
def test_an_order_holds_every_row_once_and_depends_on_its_key(n):
    def order(seed, epoch):
        index = blank(np.int64, n)
        BY_NAME["batch_rows"].compiled(seed, epoch, n, 1, 0, index)
        return index.tolist()

    assert sorted(order(0, 0)) == list(range(n))
    if n >= 16:
        orders = [order(seed, epoch) for seed in (0, 1, 2**63 - 1) for epoch in (0, 1, 2)]
        assert len({tuple(each) for each in orders}) == len(orders)
        middle = blank(np.int64, n // 2)
        BY_NAME["batch_rows"].compiled(1, 2, n, 1, 3, middle)
        assert middle.tolist() == order(1, 2)[3 : 3 + n // 2]


def test_an_order_is_well_mixed():
    # Adjacent rows are no closer in the order than chance would put them.
    n, epochs = 1000, 50
    neighbors, firsts = [], []
    for epoch in range(epochs):
        index = blank(np.int64, n)
        BY_NAME["batch_rows"].compiled(7, epoch, n, 1, 0, index)
        neighbors.append(np.corrcoef(index[:-1], index[1:])[0, 1])
        firsts.append(index[:100].mean())
    assert abs(np.mean(neighbors)) < 4 / np.sqrt(n * epochs)
    assert abs(np.mean(firsts) - (n - 1) / 2) < 4 * n / np.sqrt(12 * 100 * epochs)
