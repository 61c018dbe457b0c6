"""The public door: what is accepted without a copy, and the message of every refusal."""

import datetime
import re
import subprocess
import sys

import numpy as np
import pytest

from fastnn.inputs import checks
from fastnn.inputs.checks import (
    as_class_labels,
    as_inputs,
    as_regression_targets,
    as_sample_weight,
    as_weights,
)
from fastnn.inputs.targets import as_targets

NAN, INF = float("nan"), float("inf")
NUMBERS = "f4 f8 i1 i2 i4 i8 u1 u2 u4 u8".split()


def refuses(kind, message, function, *args, **kwargs):
    with pytest.raises(kind, match="^" + re.escape(message)) as caught:
        function(*args, **kwargs)
    assert type(caught.value) is kind


def read_only(array):
    array.flags.writeable = False
    return array


class Frame:
    """As much of a data frame as the door looks at."""

    def __init__(self, **columns):
        self.data = {name: np.array(values) for name, values in columns.items()}

    @property
    def columns(self):
        return list(self.data)

    def items(self):
        return self.data.items()

    def to_numpy(self):
        columns = list(self.data.values())
        if len({column.dtype for column in columns}) > 1:
            columns = [column.astype(object) for column in columns]
        return np.column_stack(columns)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a.T,
        lambda a: a[::-1],
        lambda a: a[:, ::-2],
        lambda a: a[3:4, :1],
        lambda a: np.asfortranarray(a),
        lambda a: np.broadcast_to(a[0], (5, 6)),
        read_only,
    ],
)
def test_numbers_of_any_strides_are_not_copied(dtype, view):
    X = view(np.arange(30, dtype=dtype).reshape(5, 6))
    taken = as_inputs(X)
    assert taken.ctypes.data == X.ctypes.data
    assert (taken.shape, taken.strides, taken.dtype) == (X.shape, X.strides, X.dtype)
    assert taken.flags.writeable == X.flags.writeable


def test_bools_are_seen_as_bytes():
    X = np.eye(3, dtype=bool)
    taken = as_inputs(X)
    assert taken.dtype == np.uint8 and np.shares_memory(taken, X)


def test_a_memory_map_is_not_copied(tmp_path):
    X = np.memmap(tmp_path / "X", dtype="f4", mode="w+", shape=(10, 3))
    taken = as_inputs(X)
    assert type(taken) is np.ndarray and np.shares_memory(taken, X)


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        ([[1, 2], [3, 4]], "i8"),
        ([[1.5, 2], [3, 4]], "f8"),
        (((1.0, 2.0), (3.0, 4.0)), "f8"),
        (np.array([[1, 2], [3, 4]], ">f8"), "f8"),
        (np.array([[1, 2], [3, 4]], ">i2"), "i2"),
        (np.array([[1, 2], [3, 4]], "f2"), "f4"),
        (np.array([[1, 2], [3, 4]], np.longdouble), "f8"),
        (np.array([[(0, 1), (0, 2)]], "i1,f8")["f1"], "f8"),
    ],
)
def test_other_numbers_are_converted(X, dtype):
    taken = as_inputs(X)
    np.testing.assert_array_equal(taken, np.asarray(X, "f8"))
    assert taken.dtype == np.dtype(dtype) and taken.dtype.isnative
    assert taken.flags.aligned and all(s % taken.itemsize == 0 for s in taken.strides)


def test_frames():
    mixed = Frame(a=[1, 2], b=[True, False], c=[0.5, 1.5])
    np.testing.assert_array_equal(as_inputs(mixed), [[1, 1, 0.5], [2, 0, 1.5]])
    message = "X has nan at row 1, column 1 ('b'), wanted finite numbers"
    refuses(ValueError, message, as_inputs, Frame(a=[1, 2], b=[0.0, NAN]))
    message = "X['b'] has 'x' (str) at row 1, wanted numbers"
    text = Frame(a=[1, 2], b=np.array([1, "x"], object))
    refuses(TypeError, message, as_inputs, text)
    message = "X['b'] has dtype object (int), wanted numbers: X['b'].astype(float)"
    refuses(TypeError, message, as_inputs, Frame(a=[1, 2], b=np.array([1, 2], object)))
    message = "X['b'] has dtype datetime64[s], wanted real numbers"
    dates = np.array(["2026-01-01"] * 2, "M8[s]")
    refuses(TypeError, message, as_inputs, Frame(a=[1, 2], b=dates))


def test_pandas():
    pandas = pytest.importorskip("pandas")
    floats = pandas.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"])
    assert np.shares_memory(as_inputs(floats), floats.to_numpy())
    mixed = pandas.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, 1.5]})
    np.testing.assert_array_equal(as_inputs(mixed), [[1, 1, 0.5], [2, 0, 1.5]])
    twice = pandas.DataFrame([[1, True]], columns=["a", "a"])
    np.testing.assert_array_equal(as_inputs(twice), [[1, 1]])
    missing = pandas.DataFrame({"a": pandas.array([1, None], "Int64"), "b": [True, False]})
    with pytest.raises((TypeError, ValueError), match=r"^X(\['a'\])? has .*(NA|nan).* at row 1"):
        as_inputs(missing)
    text = pandas.DataFrame({"a": [1, 2], "b": ["u", "v"]})
    message = "X['b'] has 'u' (str) at row 0, wanted numbers"
    refuses(TypeError, message, as_inputs, text)
    dates = pandas.DataFrame({"when": [datetime.datetime(2026, 1, 1)]})
    with pytest.raises(TypeError, match=r"^X\['when'\] has dtype datetime64\[.*\], wanted real"):
        as_inputs(dates)
    labels = as_class_labels(pandas.Series([0, 1, 1]), 3, 2)
    np.testing.assert_array_equal(labels, [0, 1, 1])
    np.testing.assert_array_equal(as_regression_targets(pandas.Series([1, 2]), 2, 1), [[1], [2]])
    assert as_inputs(pandas.DataFrame(columns=["a", "b"]), 2, empty=True).shape == (0, 2)


def test_polars():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    np.testing.assert_array_equal(as_inputs(frame), [[1, 0.5], [2, 1.5]])
    message = "X has nan at row 1, column 1 ('b'), wanted finite numbers"
    refuses(ValueError, message, as_inputs, polars.DataFrame({"a": [1, 2], "b": [0.5, None]}))
    message = "X['b'] has 'u' (str) at row 0, wanted numbers"
    refuses(TypeError, message, as_inputs, polars.DataFrame({"a": [1, 2], "b": ["u", "v"]}))
    np.testing.assert_array_equal(as_class_labels(polars.Series([0, 1]), 2, 2), [0, 1])


def test_torch():
    torch = pytest.importorskip("torch")
    X = torch.arange(6.0).reshape(2, 3)
    assert as_inputs(X).ctypes.data == X.data_ptr()
    assert as_inputs(X.T).shape == (3, 2)
    message = "X (Tensor) cannot be read as an array: "
    refuses(TypeError, message, as_inputs, X.clone().requires_grad_())
    np.testing.assert_array_equal(as_inputs(X.half()), X)
    message = "X (Tensor of torch.bfloat16) cannot be read as an array: "
    refuses(TypeError, message, as_inputs, X.bfloat16())


@pytest.mark.parametrize(
    ("kind", "X", "message"),
    [
        (
            ValueError,
            np.ones(5),
            "X has shape (5,), wanted 2-D (rows, columns): X.reshape(-1, 1) makes it one column, "
            "X[None, :] one row",
        ),
        (ValueError, [1, 2], "X has shape (2,), wanted 2-D (rows, columns): np.asarray(X).resh"),
        (
            ValueError,
            np.ones((2, 3, 4)),
            "X has shape (2, 3, 4), wanted 2-D (rows, columns): X.reshape(len(X), -1) makes",
        ),
        (ValueError, np.ones((0, 3)), "X has no rows, wanted at least one"),
        (ValueError, np.ones((0, 3), object), "X has no rows, wanted at least one"),
        (ValueError, np.ones((3, 0)), "X has no columns, wanted at least one"),
        (ValueError, [], "X has shape (0,), wanted 2-D"),
        (ValueError, [[1, 2], [3]], "X has rows of different lengths, wanted equal ones"),
        (TypeError, None, "X is None (NoneType), wanted an array of numbers"),
        (TypeError, 3.0, "X is 3.0 (float), wanted an array of numbers"),
        (TypeError, {"a": 1}, "X is {'a': 1} (dict), wanted an array of numbers"),
        (TypeError, "text", "X is 'text' (str), wanted an array of numbers"),
        (TypeError, [[1, None]], "X has None (NoneType) at row 0, column 1, wanted numbers"),
        (TypeError, [[1, "b"]], "X has 'b' (str) at row 0, column 1, wanted numbers"),
        (
            TypeError,
            [["1", "2"]],
            "X has dtype <U1, wanted numbers: np.asarray(X).astype(float)",
        ),
        (
            TypeError,
            np.array([[1, 2.5]], object),
            "X has dtype object (int), wanted numbers: X.astype(float)",
        ),
        (TypeError, np.array([[1j]]), "X has dtype complex128, wanted real numbers"),
        (TypeError, np.array([[0]], "M8[s]"), "X has dtype datetime64[s], wanted real numbers"),
        (TypeError, np.zeros((1, 1), "f4,f4"), "X has dtype [("),
        (
            TypeError,
            np.ma.masked_equal([[1, 2]], 2),
            "X is a masked array, wanted plain numbers: X.filled(value)",
        ),
        (ValueError, [[1.0, 2.0], [NAN, 0]], "X has nan at row 1, column 0, wanted finite"),
        (ValueError, [[1.0, -INF]], "X has -inf at row 0, column 1, wanted finite numbers"),
        (
            ValueError,
            [[1.0, 1e39]],
            "X has 1e+39 at row 0, column 1, wanted numbers that float32 can hold",
        ),
        (ValueError, np.array([[INF]], "f2"), "X has inf at row 0, column 0, wanted finite"),
    ],
)
def test_bad_inputs(kind, X, message):
    refuses(kind, message, as_inputs, X)


def test_a_sparse_matrix_is_refused():
    class csr_matrix:  # noqa: N801
        def toarray(self):
            return np.ones((2, 2))

    message = "X is a sparse csr_matrix, wanted a dense array: X.toarray()"
    refuses(TypeError, message, as_inputs, csr_matrix())


def test_inputs_of_the_wrong_width():
    message = "X has 199 columns, wanted 200 (the network was built for 200 inputs)"
    refuses(ValueError, message, as_inputs, np.ones((3, 199)), 200)
    message = "validation X has 2 columns, wanted 3"
    refuses(ValueError, message, as_inputs, np.ones((3, 2)), 3, name="validation X")


def test_float64_networks_take_large_values():
    assert as_inputs([[1e39]], dtype="float64")[0, 0] == 1e39


@pytest.mark.parametrize("shape", [(3_000_000, 1), (5000, 1000), (2, 600_000)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_last_number_is_looked_at(shape, order):
    X = np.zeros(shape, "f4", order=order)
    as_inputs(X)
    X[-1, -1] = INF
    message = f"X has inf at row {shape[0] - 1}, column {shape[1] - 1}, wanted finite numbers"
    refuses(ValueError, message, as_inputs, X)


def test_checking_a_memory_map_takes_no_memory(tmp_path):
    """64 MB in float64 are checked for a float32 network: no copy, no cast, no mask of them."""
    path = tmp_path / "X"
    np.memmap(path, dtype="f8", mode="w+", shape=(40_000, 200)).flush()
    program = f"""
import tracemalloc
import numpy as np
from fastnn.inputs.checks import as_inputs
X = np.memmap({str(path)!r}, dtype="f8", mode="r", shape=(40_000, 200))
tracemalloc.start()
as_inputs(X, 200, "float32")
print(tracemalloc.get_traced_memory()[1])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(result.stdout) < 4_000_000, result.stderr


def test_regression_targets():
    y = np.arange(6.0).reshape(3, 2)
    assert as_regression_targets(y, 3, 2).ctypes.data == y.ctypes.data
    check = as_regression_targets
    vector = y[:, 1]
    assert check(vector, 3, 1).shape == (3, 1) and np.shares_memory(check(vector, 3, 1), y)
    message = "y has shape (3,), wanted (3, 2) (targets of the network's outputs: 2)"
    refuses(ValueError, message, check, np.ones(3), 3, 2)
    message = "y has shape (3, 2), wanted (3,) or (3, 1) (targets of the network's outputs: 1)"
    refuses(ValueError, message, check, y, 3, 1)
    refuses(ValueError, "y has shape (3, 1, 1), wanted (3,)", check, y[:, :1, None], 3, 1)
    refuses(ValueError, "y has shape (1, 3), wanted (3,) or", check, np.ones((1, 3)), 3, 1)
    refuses(ValueError, "y has 3 rows, wanted 4 (as many as X)", check, vector, 4, 1)
    message = "y has nan at row 1, wanted finite numbers"
    refuses(ValueError, message, check, [1.0, NAN], 2, 1)
    message = "y has 3 rows, wanted 4 (as many as X)"
    refuses(ValueError, message, check, y, 4, 2)
    message = "y has nan at row 1, column 0, wanted finite numbers"
    refuses(ValueError, message, check, [[1.0], [NAN]], 2, 1)
    message = "y has 1e+39 at row 0, column 0, wanted numbers that float32 can hold"
    refuses(ValueError, message, check, [[1e39]], 1, 1)
    message = "validation y has None (NoneType) at row 0, column 0, wanted numbers"
    refuses(TypeError, message, check, [[None]], 1, 1, name="validation y")


def test_binary_targets():
    y = np.array([[0, 1], [0.5, 0]])
    np.testing.assert_array_equal(as_targets(y, "binary", 2, 2), y)
    np.testing.assert_array_equal(as_targets(y > 0, "binary", 2, 2), y > 0)
    message = "y has -1 at row 1, column 0, wanted numbers from 0 to 1: (y + 1) / 2 maps"
    refuses(ValueError, message, as_targets, [[1], [-1]], "binary", 2, 1)
    message = "y has 1.5 at row 1, column 1, wanted numbers from 0 to 1"
    refuses(ValueError, message, as_targets, [[0, 1], [1, 1.5]], "binary", 2, 2)
    np.testing.assert_array_equal(as_targets([0, 1], "binary", 2, 1), [[0], [1]])
    message = "y has 2 at row 1, wanted numbers from 0 to 1"
    refuses(ValueError, message, as_targets, [0, 2], "binary", 2, 1)


def test_positive_targets():
    as_targets([[1e-50]], "positive", 1, 1, np.float64)
    as_targets([[1e-40]], "positive", 1, 1, np.float32)
    as_targets([[1]], "positive", 1, 1)
    for bad in (0, -1.5, -0.0):
        message = f"y has {bad} at row 1, column 0, wanted numbers above 0"
        refuses(ValueError, message, as_targets, [[1], [bad]], "positive", 2, 1)
    message = "y has 1e-50 at row 0, column 0, wanted numbers that float32 can hold"
    refuses(ValueError, message, as_targets, [[1e-50]], "positive", 1, 1)


def test_class_labels():
    for dtype in (*NUMBERS[2:], "?"):
        y = np.array([0, 1, 1], dtype)[::-1]
        labels = as_class_labels(y, 3, 3)
        assert labels.dtype.kind in "iu" and not np.shares_memory(labels, y)
        np.testing.assert_array_equal(labels, [1, 1, 0])
    check = as_class_labels
    wanted = "wanted integer class labels of shape (3,)"
    message = f"y has dtype float64, {wanted}: y.astype(int) if the values are whole"
    refuses(TypeError, message, check, np.array([0.0, 1, 2]), 3, 3)
    message = f"y has shape (3, 3), {wanted}: y.argmax(axis=1) turns one-hot rows into labels"
    refuses(ValueError, message, check, np.eye(3), 3, 3)
    message = f"y has shape (3, 1), {wanted}: y[:, 0] makes it so"
    refuses(ValueError, message, check, np.zeros((3, 1), int), 3, 3)
    refuses(ValueError, f"y has shape (3, 2), {wanted}", check, np.zeros((3, 2), int), 3, 3)
    message = "y has label 3 at row 1, wanted 0 to 2 (the network has 3 outputs)"
    refuses(ValueError, message, check, [0, 3, -1], 3, 3)
    message = "y has label -1 at row 2, wanted 0 to 2"
    refuses(ValueError, message, check, [0, 2, -1], 3, 3)
    refuses(ValueError, "y has 2 rows, wanted 3 (as many as X)", check, [0, 1], 3, 3)
    refuses(TypeError, "y has 'cat' (str) at row 0, wanted numbers", check, ["cat"] * 3, 3, 3)
    assert len(check([0, 1], 2, 10**6)) == 2


def test_sample_weight():
    weights = as_sample_weight(np.array([1, 0, 2], "f4")[::-1], 3)
    assert weights.dtype == np.float64 and weights.flags.c_contiguous
    np.testing.assert_array_equal(weights, [2, 0, 1])
    check, name = as_sample_weight, "sample_weight"
    refuses(
        ValueError, f"{name} has shape (2, 1), wanted one weight a row, (2,)", check, [[1]] * 2, 2
    )
    refuses(ValueError, f"{name} has 1 rows, wanted 2 (as many as X)", check, [1], 2)
    refuses(ValueError, f"{name} has nan at row 1, wanted finite numbers", check, [1, NAN], 2)
    refuses(
        ValueError, f"{name} has -1.0 at row 1, wanted weights of at least 0", check, [1, -1], 2
    )
    refuses(ValueError, f"{name} is all zero, wanted at least one weight", check, [0, 0], 2)
    refuses(TypeError, f"{name} is None (NoneType), wanted an array", check, None, 2)


def test_weights():
    shapes = [(2, 3), (3,)]
    arrays = as_weights([np.ones((3, 2)).T, [1, 2, 3]], shapes, "f4")
    assert [a.shape for a in arrays] == shapes
    assert all(a.dtype == np.float32 and a.flags.c_contiguous for a in arrays)
    message = "weights has 1 arrays, wanted 2: (2, 3), (3,)"
    refuses(ValueError, message, as_weights, [np.ones((2, 3))], shapes, "f4")
    message = "weights[1] has shape (2,), wanted (3,)"
    refuses(ValueError, message, as_weights, [np.ones((2, 3)), [1, 2]], shapes, "f4")
    message = "weights[1] has nan at row 2, wanted finite numbers"
    refuses(ValueError, message, as_weights, [np.ones((2, 3)), [1, 2, NAN]], shapes, "f4")
    message = "weights[0] has 'a' (str) at row 0, wanted numbers"
    refuses(TypeError, message, as_weights, [["a"], [1]], shapes, "f4")
    refuses(TypeError, "weights is a int, wanted a list of arrays", as_weights, 3, shapes, "f4")
    refuses(TypeError, "weights is a str, wanted", as_weights, "ab", shapes, "f4")


@pytest.mark.parametrize(
    ("check", "value", "result"),
    [
        (checks.positive_int, 3, 3),
        (checks.positive_int, np.int32(3), 3),
        (checks.positive_int, np.array(3), 3),
        (checks.positive_int, 10**30, 10**30),
        (checks.non_negative_int, 0, 0),
        (checks.positive_float, 1, 1.0),
        (checks.positive_float, np.float32(0.5), 0.5),
        (checks.positive_float, np.array(0.5), 0.5),
        (checks.non_negative_float, 0, 0.0),
        (checks.finite_float, -2, -2.0),
        (checks.probability, 1, 1.0),
        (checks.fraction, 0, 0.0),
        (checks.boolean, np.True_, True),
        (checks.boolean, False, False),
    ],
)
def test_scalars(check, value, result):
    taken = check(value, "it")
    assert taken == result and type(taken) is type(result)


@pytest.mark.parametrize(
    ("kind", "check", "value", "message"),
    [
        (ValueError, "positive_int", 0, "is 0, wanted a whole number of at least 1"),
        (ValueError, "non_negative_int", -1, "is -1, wanted a whole number of at least 0"),
        (TypeError, "positive_int", 2.0, "is 2.0 (float), wanted a whole number of at least 1"),
        (TypeError, "positive_int", True, "is True (bool), wanted a whole number"),
        (TypeError, "positive_int", np.True_, "is np.True_ (bool), wanted a whole number"),
        (TypeError, "positive_int", np.array(True), "is array(True) (ndarray), wanted a whole"),
        (TypeError, "positive_int", "3", "is '3' (str), wanted a whole number"),
        (TypeError, "positive_int", None, "is None (NoneType), wanted a whole number"),
        (TypeError, "positive_int", [3], "is [3] (list), wanted a whole number"),
        (ValueError, "positive_float", 0, "is 0, wanted a finite number above 0"),
        (ValueError, "positive_float", -0.1, "is -0.1, wanted a finite number above 0"),
        (ValueError, "positive_float", NAN, "is nan, wanted a finite number above 0"),
        (ValueError, "non_negative_float", INF, "is inf, wanted a finite number of at least 0"),
        (ValueError, "non_negative_float", -1, "is -1, wanted a finite number of at least 0"),
        (ValueError, "finite_float", -INF, "is -inf, wanted a finite number"),
        (TypeError, "positive_float", True, "is True (bool), wanted a finite number above 0"),
        (TypeError, "positive_float", "0.1", "is '0.1' (str), wanted a finite number above 0"),
        (TypeError, "positive_float", None, "is None (NoneType), wanted a finite number"),
        (TypeError, "positive_float", [0.1], "is [0.1] (list), wanted a finite number"),
        (TypeError, "positive_float", 1j, "is 1j (complex), wanted a finite number"),
        (ValueError, "probability", 1.1, "is 1.1, wanted a number from 0 to 1"),
        (ValueError, "fraction", 1, "is 1, wanted a number from 0 up to but not including 1"),
        (ValueError, "fraction", NAN, "is nan, wanted a number from 0 up to but not including 1"),
        (TypeError, "boolean", 1, "is 1 (int), wanted True or False"),
        (TypeError, "boolean", None, "is None (NoneType), wanted True or False"),
    ],
)
def test_bad_scalars(kind, check, value, message):
    refuses(kind, f"momentum {message}", getattr(checks, check), value, "momentum")


def test_one_of():
    choices = {"mae": 1, "mse": 2, "softmax_cross_entropy": 3}
    assert checks.one_of("mae", "loss", choices) == "mae"
    wanted = "wanted one of 'mae', 'mse', 'softmax_cross_entropy'"
    message = f"loss is 'Softmax_crossentropy', {wanted}; did you mean 'softmax_cross_entropy'?"
    refuses(ValueError, message, checks.one_of, "Softmax_crossentropy", "loss", choices)
    refuses(TypeError, f"loss is None (NoneType), {wanted}", checks.one_of, None, "loss", choices)
    with pytest.raises(ValueError, match=re.escape(wanted) + "$"):
        checks.one_of("qqq", "loss", choices)
