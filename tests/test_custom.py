"""Users' own functions: equal ones share compiled code, and they are pickled with networks."""

import copy
import gc
import math
import pickle
import threading
import weakref

import numba
import numpy as np
import pytest

from fastnn import Dense, Network, activations, metrics
from fastnn.engine.arguments import Whole
from fastnn.engine.steps import Step
from fastnn.inputs import custom
from fastnn.inputs.same_code import same_code

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
FACTOR, LIST, LOCK = 2.0, [1.0], threading.Lock()


@numba.njit
def square(x):
    return x * x


@numba.njit
def slope(x, y):
    return 2 * x


@pytest.fixture(scope="module")
def own():
    return activations.Custom(square, slope)


def _made(source, *, flags=None, **names):
    space = {}
    exec(source, names, space)
    return numba.njit(**(flags or {}))(space["f"])


PLAIN = "def f(x): return a * x"
ALIKE = [
    lambda: _made(PLAIN, a=2.0),
    lambda: _made("def f(x): return math.exp(x) + np.pi", math=math, np=np),
    lambda: _made(PLAIN, a=math.nan),
    lambda: _made(PLAIN, a=_made(PLAIN, a=1)),
    lambda: _made("def f(x, a=3): return a * x"),
    lambda: _made(PLAIN, a=(1, 2.0), flags={"fastmath": {"nsz", "contract"}}),
]


@pytest.mark.parametrize("make", ALIKE)
def test_functions_defined_twice_are_equal(make):
    assert same_code(make()) == same_code(make()) is not None


def test_functions_that_compute_different_numbers_are_not():
    different = [make() for make in ALIKE] + [
        _made(PLAIN, a=2),
        _made(PLAIN, a=True),
        _made(PLAIN, a=1),
        _made(PLAIN, a=0.0),
        _made(PLAIN, a=-0.0),
        _made("def f(x): return b * x", b=2.0),
        _made("def f(x): return -a * x", a=2.0),
        _made("def f(x): return 2.0 * x"),
        _made("def f(x): return 2 * x"),
        _made(PLAIN, a=_made(PLAIN, a=2)),
        _made("def f(x, a=4): return a * x"),
        _made("def f(x, a=3.0): return a * x"),
        _made("def f(x): return math.log(x) + np.pi", math=math, np=np),
        _made(PLAIN, a=2.0, flags={"fastmath": True}),
        _made(PLAIN, a=2.0, flags={"error_model": "numpy"}),
    ]
    codes = [same_code(function) for function in different]
    assert None not in codes
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    "value",
    [np.ones(2), custom, threading.Lock(), lambda x: x],
    ids=lambda v: type(v).__name__,
)
def test_a_function_that_refers_to_what_may_change_equals_only_itself(value):
    assert same_code(_made(PLAIN, a=value)) is None
    assert same_code(_made("def f(x): return (lambda: a)() * x", a=2.0)) is None  # looks no deeper


def test_the_global_variables_of_the_moment_count():
    space = {"a": 2.0}
    exec(PLAIN, space)
    first = same_code(numba.njit(space["f"]))
    space["a"] = 3.0
    second = numba.njit(space["f"])
    assert same_code(second) != first
    space["a"] = 2.0
    assert same_code(second) != first == same_code(numba.njit(space["f"]))


def test_what_was_compiled_before_equals_only_itself():
    # Its global variables may have had other values then.
    outer = "def f(x): return a(x)"
    function = _made(PLAIN, a=2.0)
    function(1.0)
    assert same_code(function) is same_code(_made(outer, a=function)) is None
    known = _made(PLAIN, a=2.0)
    assert same_code(known) == same_code(_made(PLAIN, a=2.0))
    assert same_code(_made(outer, a=known)) == same_code(_made(outer, a=_made(PLAIN, a=2.0)))


def test_a_function_that_calls_itself():
    function = _made("def f(x): return x if x < 1 else f(x - 1)")
    function.py_func.__globals__["f"] = function
    assert same_code(function) is None


def test_equal_functions_share_what_is_compiled(own):
    again = activations.Custom(numba.njit(square.py_func), numba.njit(slope.py_func), "again")
    assert again != own
    assert again.forward[0] is own.forward[0] and again.backward[0] is own.backward[0]


def test_what_is_not_shared_goes_with_the_object():
    function = _made(PLAIN, a=np.ones(2))
    kernel, twin = custom._elementwise_forward(function)
    assert custom._elementwise_forward(function)[0] is kernel
    assert Step((kernel, twin), (Whole(X), Whole(X))).code
    left = [weakref.ref(each) for each in (function, kernel)]
    del function, kernel, twin
    gc.collect()
    assert [each() for each in left] == [None, None]


def mean_error(y, prediction):
    return np.abs(y - prediction).mean()


def _network(own):
    metrics = [mean_error, lambda y, prediction: FACTOR * (y - prediction).max()]
    return Network([Dense(2, own), Dense(1)], metrics=metrics, seed=1)


def test_a_network_with_functions_can_be_pickled(own):
    network = _network(own)
    network.fit(X, X[:, :1])
    stored = pickle.dumps(network)
    numba.core.dispatcher.Dispatcher._memo.clear()  # as in another process
    again = pickle.loads(stored)
    made = again.layers[0].activation
    assert made is not own and made.name == own.name and made.functions_[0] is not square
    assert np.array_equal(again.predict(X), network.predict(X))
    y = X[:, :1]
    assert [each.fit(X, y).history["mean_error"] for each in (again, network)][0]
    for ours, theirs in zip(network.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_copy_has_the_same_functions(own):
    for twin in (
        copy.copy(own),
        copy.deepcopy(own),
        copy.deepcopy(_network(own)).layers[0].activation,
    ):
        assert twin is own


def test_what_cannot_be_pickled_is_said(own, monkeypatch):
    metric = metrics.get(lambda y, prediction: LOCK.locked(), "real")
    monkeypatch.setattr(own, "functions_", (LOCK, LOCK))
    for part, name in ((metric, r"the metric '<lambda>'"), (own, r"Custom\('square'\)")):
        message = f"{name} cannot be pickled, because it uses .*lock.*; it may use numbers"
        with pytest.raises(pickle.PicklingError, match=message):
            pickle.dumps(part)
