"""Networks of dtype "mixed_bfloat16": factors of products are rounded, all else is float32."""

import copy
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Adam, Dense, Network, reference
from fastnn.datasets import load_diabetes, load_digits
from fastnn.kernels import COMPILED
from tests.networks import NETWORKS

MIXED = "mixed_bfloat16"
EPS = 2.0**-8
"""Half the distance from 1 to the next bfloat16 number: the largest relative error of rounding."""
EXACT = {
    1 + EPS: 1.0,  # as near to the next number, which is odd
    1 + 3 * EPS: 1 + 4 * EPS,
    1 + 3.01 * EPS: 1 + 4 * EPS,
    1 - EPS / 2: 1.0,
    -np.pi: -3.140625,
    3.3895e38: 3.3895314e38,  # the largest bfloat16 number
    3.4e38: np.inf,
    -np.inf: -np.inf,
    1.2e-38: (1 + 6 * EPS) * 2.0**-126,
    1.1e-38: 0.0,  # not normal
}
NAMES = [
    "batch of 10", "narrow", "classes", "transposed copy", "shared columns", "drop connect",
    "every layer", "l2, sgd",
]  # fmt: skip
"""Networks that take every way to a product."""


@pytest.mark.parametrize("kernels", [COMPILED, reference.TWINS], ids=["compiled", "reference"])
def test_factors_are_rounded_to_the_nearest_and_to_even(kernels):
    one = np.ones((1, 1), np.float32)
    given = np.array([[*EXACT, np.nan]], np.float32)
    wanted = np.array([[*EXACT.values(), np.nan]], np.float32)
    for a, b, out in ((given, one, np.empty_like(given.T)), (one, given, np.empty_like(given))):
        kernels["bfloat16_matmul_tn"](a, b, out)
        np.testing.assert_array_equal(out.reshape(1, -1), wanted)


def test_a_comparison_uses_the_only_dtype_there_is():
    found = fastnn.compare_kernel("bfloat16_matmul_tn", shape=(40, 5, 6), dtype="float64")
    assert found.dtype == "float32" and found.agrees


@pytest.fixture(params=NAMES)
def case(request):
    return NETWORKS[request.param]


def test_results_do_not_depend_on_threads_and_agree_with_the_reference(case):
    found = []
    for options in ({"n_threads": 1}, {"n_threads": 2}, {"backend": "numpy"}):
        network = case.network(dtype=MIXED, **options)
        found.append(case.results(network, case.train(network)))
    for one, two, numpy in zip(*found, strict=True):
        assert one.tobytes() == two.tobytes()
        # A sum that differs in its last bit may be rounded to another bfloat16 number.
        assert np.abs(one - numpy).max() <= 4 * EPS * max(1, np.abs(numpy).max())
    assert all(array.dtype == np.float32 for array in network.get_weights())


def test_a_stored_run_goes_on(case, tmp_path):
    whole, half = (case.network(dtype=MIXED) for _ in range(2))
    case.train(whole)
    case.train(half, 2)
    half.save(tmp_path / "half")
    loaded = fastnn.load(tmp_path / "half")
    assert loaded.dtype == MIXED
    case.train(loaded, 2)
    x, _ = case.data()
    assert loaded.predict(x).tobytes() == whole.predict(x).tobytes()
    assert loaded.predict(x[:1]).tobytes() == whole.predict(x)[:1].tobytes()


def _network(**options):
    layers = [Dense(33, "relu"), Dense(3)]
    return Network(layers, **{"dtype": MIXED, "optimizer": SGD(0.1), **options})


X = np.random.default_rng(0).standard_normal((60, 10)).astype(np.float32)
Y = X[:, :3] ** 2


def test_every_product_of_a_dense_layer_rounds():
    kernels = [step.kernel for step in _network().explain(X, Y, batch_size=20).steps]
    products = [kernel for kernel in kernels if "matmul" in kernel or "dense" in kernel]
    forward, backward = ["bfloat16_dense_forward"] * 2, ["bfloat16_dense_backward"]
    assert products == [*forward, *backward, *["bfloat16_matmul_tn_add"] * 2]


def test_gradients_are_as_near_as_bfloat16_allows():
    ends = []
    for dtype in ("float64", MIXED):
        network = Network([Dense(33, "tanh"), Dense(3)], optimizer=SGD(0.1), dtype=dtype)
        network.build(10)
        start = network.get_weights()
        network.train_on_batch(X, Y)
        ends.append([a - b for a, b in zip(start, network.get_weights(), strict=True)])
    for exact, rounded in zip(*ends, strict=True):
        error = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
        assert EPS / 100 < error < EPS


def test_small_updates_are_not_lost():
    network = _network(optimizer=SGD(1e-6))
    network.build(10)
    start = network.get_weights()[0]
    network.fit(X, Y, epochs=5)
    moved = np.abs(network.get_weights()[0] - start)
    assert 0 < moved.max() < 1e-4


def test_accuracy_is_that_of_float32():
    digits, diabetes = load_digits(), load_diabetes()
    runs = [
        (digits.X / 16, digits.y, [Dense(32, "relu"), Dense(10)], "softmax_cross_entropy", 5),
        (diabetes.X, diabetes.y / 100, [Dense(16, "relu"), Dense(1)], "mse", 20),
    ]
    for x, y, layers, loss, epochs in runs:
        scores = []
        for dtype in ("float32", MIXED):
            scores.append([])
            for seed in range(4):
                network = Network(
                    layers, loss=loss, optimizer=Adam(0.01), seed=seed, dtype=dtype,
                    preprocessing="standardize", n_threads=1,
                )  # fmt: skip
                network.fit(x[:-100], y[:-100], epochs=epochs)
                scores[-1].append(network.evaluate(x[-100:], y[-100:]))
        plain, mixed = np.array(scores)
        assert (plain != mixed).all()
        assert abs(mixed.mean() - plain.mean()) < plain.std()


@pytest.mark.parametrize("options", [{}, {"preprocessing": "standardize"}, {"dtype": "float32"}])
def test_a_column_that_bfloat16_holds_roughly_is_told(options):
    years = np.column_stack([np.linspace(2000, 2024, 60), X[:, 0], np.full(60, 2000.0)])
    network = _network(**{"optimizer": SGD(1e-9), **options})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        network.fit(years, Y)
    said = [str(each.message) for each in told]
    assert len(said) == (not options)
    for each in said:
        assert each.startswith("X column 0 has numbers near 2e+03 that differ by at most 2e+01")


def test_copies_have_the_dtype(capsys):
    network = _network()
    network.fit(X, Y)
    others = copy.copy(network), pickle.loads(pickle.dumps(network)), network.clone()
    assert [other.dtype for other in others] == [MIXED] * 3
    assert network.predict(X).dtype == np.float32
    network.summary()
    assert MIXED in capsys.readouterr().out


def test_many_networks_get_the_weights_of_one_alone():
    networks = [_network(seed=seed) for seed in range(3)]
    fastnn.fit_many(networks, X, Y, epochs=2)
    alone = _network(seed=1)
    alone.fit(X, Y, epochs=2)
    assert alone.predict(X).tobytes() == networks[1].predict(X).tobytes()


def test_the_dtype_of_a_built_network_stays():
    network = _network()
    network.build(10)
    for dtype in ("float32", "float64"):
        with pytest.raises(ValueError, match=f"^dtype is {dtype}, but .* built with {MIXED}"):
            network.dtype = dtype
    network.dtype = MIXED
    with pytest.raises(ValueError, match="dtype is 'bfloat16', wanted one of .*'mixed_bfloat16'"):
        _network(dtype="bfloat16")


def test_a_line_search_wants_exact_products():
    with pytest.raises(ValueError, match=f"optimizer is LBFGS.* wants dtype .*, got '{MIXED}'"):
        _network(optimizer="lbfgs")


def test_estimators_take_it():
    estimators = pytest.importorskip("fastnn.sklearn")
    options = {"hidden_layer_sizes": (33,), "random_state": 0}
    plain, mixed = (estimators.MLPRegressor(dtype=dtype, **options) for dtype in ("float32", MIXED))
    found = [estimator.partial_fit(X, Y).predict(X) for estimator in (plain, mixed)]
    assert mixed.networks_[0].dtype == MIXED and mixed.coefs_[0].dtype == np.float32
    assert 0 < np.abs(found[0] - found[1]).max() < 8 * EPS
    with pytest.raises(ValueError, match="dtype is 'float16', wanted one of"):
        estimators.MLPRegressor(dtype="half", **options).fit(X, Y)


SAME_BITS = """
import hashlib
import numpy as np
from fastnn.kernels.gemm.tiles import BFLOAT16_PAIRS
from tests.cases import BY_NAME, shapes
digest = hashlib.sha256()
for name in sorted(name for name in BY_NAME if name.startswith("bfloat16")):
    for number, shape in enumerate(shapes(BY_NAME[name].dimensions)):
        made = BY_NAME[name].make(np.random.default_rng(number), "float32", *shape)
        BY_NAME[name].compiled(*made.values())
        digest.update(made["out"].tobytes())
print(BFLOAT16_PAIRS, digest.hexdigest())
"""


@pytest.mark.long
def test_the_instruction_gives_the_same_bits(monkeypatch):
    """Some processors have AVX512-BF16 and hide it, so this tries."""
    from llvmlite import binding as llvm

    features = llvm.get_host_cpu_features().flatten()
    monkeypatch.setenv("NUMBA_CPU_NAME", "cooperlake")
    found = []
    for change in ("-avx512bf16", "+avx512bf16"):
        changed = [each for each in features.split(",") if each[1:] != change[1:]]
        monkeypatch.setenv("NUMBA_CPU_FEATURES", ",".join([*changed, change]))
        run = [sys.executable, "-c", SAME_BITS]
        done = subprocess.run(run, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
        if change[0] == "+" and ("+avx512f" not in features or done.returncode < 0):
            return  # there is no such instruction
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.split())
    assert [uses for uses, _ in found] == ["False", "True"]
    assert found[0][1] == found[1][1]
