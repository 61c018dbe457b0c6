"""What the caller has set for the whole process is neither used nor changed.

Every public entry runs twice: as it is, and where NumPy's errors and all warnings raise and the
random generators stand elsewhere.  Both times it must return the same bits and leave all as it was.
"""

import decimal
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import Dense, Network, datasets, initializers, metrics, preprocessing, schedules
from fastnn.diagnosis import check_gradients, check_units
from fastnn.optimizers.lbfgs import _calm
from fastnn.preprocessing import Chain, OneHot
from tests.around import around
from tests.cases import CASES, copied

ROOT = Path(__file__).parent.parent
TINY, HUGE = 1e-300, 1e300
X = np.array([[TINY, 1.0], [1.0, -1.0], [-1.0, TINY], [0.5, 2.0], [2.0, -0.5], [-2.0, 0.1]])
Y = np.array([[TINY], [1.0], [-1.0], [0.5], [-0.5], [2.0]])
SMALL = X * 1e-160
WEIGHT = np.array([1.0, TINY, 1.0, 1.0, 1.0, 1.0])
LABELS = np.array([0, 1, 1, 0, 1, 0])
P = np.array([[TINY, 1.0], [1.0, 0.0], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])


def network(*, built=True, **settings):
    made = Network([Dense(4, "relu"), Dense(1)], **settings)
    if built:
        made.build(2)
    return made


def fitted(*, epochs=2, **settings):
    made = network(built=False, **settings)
    history = made.fit(X, Y, epochs=epochs, sample_weight=WEIGHT, validation_data=(X, Y, WEIGHT))
    return history.history["loss"], made.get_weights(), made.epochs_done


def fitted_many():
    made = [network(built=False, seed=seed) for seed in range(2)]
    fastnn.fit_many(made, X, Y, epochs=2, n_threads=2)
    return [each.get_weights() for each in made]


def restored(folder):
    made = network()
    made.save(folder / "a")
    return fastnn.load(folder / "a").predict(X)


def set_to_tiny():
    made = network()
    made.set_weights([np.full(w.shape, TINY) for w in made.get_weights()])
    return made.compact().get_weights(), made.evaluate(X, Y, WEIGHT)


def transformed(transformer):
    out = transformer.fit_transform(SMALL)
    return out, transformer.inverse_transform(out), transformer.fit_transform(X)


def binned():
    bins = preprocessing.BinnedTarget(2).fit(Y)
    return bins.mean(P), bins.median(P), *bins.distribution(P)


def on_disk(folder):
    small = fastnn.data.to_memmap([(X, Y, WEIGHT)], folder / "small", dtype="float32")
    rows = fastnn.data.to_memmap([(X, Y, WEIGHT)], folder / "rows")
    made = network(built=False, preprocessing="standardize")
    made.fit(rows, epochs=2)
    return np.array(small.X), made.get_weights(), made.evaluate(rows), made.predict(rows)


def lbfgs():
    made = Network([Dense(1)], optimizer="lbfgs")
    made.fit(X, Y, epochs=3)
    return made.get_weights()


def noisy():
    made = Network([fastnn.Dropout(0.5), Dense(1)])
    made.build(2)
    return made.predict_mc(X, passes=3)


def flowing():
    graph = fastnn.flow.Graph(network())
    return graph.fprop(X, Y, WEIGHT), graph.bprop()


def started(how):
    made = network(built=False)
    how(made, X)
    return made.get_weights()


def exported(folder):
    layers = [fastnn.BatchNormalization(epsilon=TINY), fastnn.Dense(2)]
    given = fastnn.Network(layers)
    given.build(2)
    fastnn.export.c(given, folder / "a.c", int8=True)
    fastnn.export.python(given, folder / "a.py")
    return [(folder / name).read_text() for name in ("a.c", "a.py")]


def twins():
    rng = np.random.default_rng(0)
    for case in CASES:
        given = copied(case.make(rng, np.float32, *[3] * case.dimensions))
        for name, value in given.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                given[name] = value * np.float32(1e-30)
        case.reference(*given.values())
        yield [given[name] for name in case.outputs]


ENTRIES = {
    "fit": lambda _: fitted(),
    "fit with metrics, preprocessing and Adam": lambda _: fitted(
        metrics=["mae", "r2"], preprocessing="standardize", optimizer="adam"
    ),
    "fit in NumPy": lambda _: fitted(backend="numpy", kernel_regularizer="l1l2"),
    "fit that diverges": lambda _: network(optimizer=fastnn.SGD(HUGE)).fit(X, Y, epochs=9),
    "fit_many": lambda _: fitted_many(),
    "train_on_batch": lambda _: network().train_on_batch(X, Y, WEIGHT),
    "to_memmap, fit, evaluate, predict": on_disk,
    "a stream": lambda _: list(
        fastnn.data.stream([(X, Y)], batch_size=2, shuffle_window=4, dtype="float32")
    ),
    "a stream of what float32 cannot hold": lambda _: list(
        fastnn.data.stream([(X * HUGE, Y)], dtype="float32")
    ),
    "partial_fit": lambda _: network().partial_fit(X, Y).get_weights(),
    "L-BFGS": lambda _: lbfgs(),
    "predict a list": lambda _: network().predict([[TINY, 1]]),
    "predict in threads": lambda _: network(n_threads=2).predict(X, batch_size=1),
    "predict what float32 cannot hold": lambda _: network().predict([[HUGE, 1]]),
    "layer_outputs": lambda _: network().layer_outputs(X),
    "gradients": lambda _: network().gradients(X, Y, WEIGHT),
    "predict_mc": lambda _: noisy(),
    "minimize": lambda _: fastnn.minimize(lambda b: abs(b).sum(), [TINY, 1.0], "adam").path,
    "a flow graph": lambda _: flowing(),
    "evaluate": lambda _: network(metrics=["rmse"]).evaluate(X, Y, WEIGHT),
    "set_weights, compact": lambda _: set_to_tiny(),
    "explain": lambda _: str(network().explain(X, Y)),
    "export": exported,
    "save, load": restored,
    "pretrain": lambda _: started(fastnn.pretrain),
    "initialize_from_data": lambda _: started(fastnn.initialize_from_data),
    "diagnose": lambda _: str(fastnn.diagnose(network(), X, Y, epochs=2)),
    "check_gradients": lambda _: str(check_gradients(network(), X, Y)),
    "check_units": lambda _: str(check_units(network(), X)),
    "BinnedTarget": lambda _: binned(),
    "split": lambda _: datasets.train_test_split(X, Y),
    "load_diabetes": lambda _: datasets.load_diabetes().X,
    "schedules": lambda _: [
        schedules.ExponentialDecay(TINY, 1, 0.1)(90), schedules.CosineDecay(TINY, 9)(8),
    ],
    "twins": lambda _: list(twins()),
    **{
        f"transformer {name}": lambda _, kind=kind: transformed(kind())
        for name, kind in preprocessing.chain.TABLE.items() if name != "target_mean"
    },
    "encoded texts": lambda _: Chain(["target_mean", "impute", "robust_scale"]).fit_transform(
        [[str(row[0]), *row, None] for row in SMALL], SMALL[:, 0]
    ),
    "decoded texts": lambda _: str(OneHot().fit([["a"], [None]]).inverse_transform([[1], [TINY]])),
    **{
        f"metric {name}": lambda _, function=metrics.TABLE[name][0]: function(P, P[::-1], WEIGHT)
        for name in ("mae", "rmse", "r2", "accuracy", "log_loss")
    },
    "metric top_1": lambda _: metrics.TopK(1)(LABELS, P, WEIGHT),
    **{
        f"initializer {name}": lambda _, name=name: initializers.get(name)(
            (2, 3), np.random.default_rng(0)
        )
        for name in ("he_normal", "glorot_uniform", "orthogonal", "sparse", "constant")
    },
}  # fmt: skip
"""By name: what runs an entry, given a folder, and returns all that it computed."""


def ended(entry, folder):
    """Return what an entry computed, or its error, in a form to compare bit by bit."""
    with np.printoptions(floatmode="unique", threshold=sys.maxsize):
        try:
            return repr(entry(folder))
        except (ValueError, FloatingPointError) as error:
            return repr(error)


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_neither_uses_nor_changes_what_surrounds_it(name, tmp_path):
    before = around()
    expected = ended(ENTRIES[name], tmp_path)
    assert around() == before
    random.seed(1)
    np.random.seed(1)
    with np.errstate(all="raise", call=print), warnings.catch_warnings():
        warnings.simplefilter("error")
        before = around()
        found = ended(ENTRIES[name], tmp_path)
        assert around() == before
    assert found == expected


def test_importing_fastnn_and_scipy_changes_nothing():
    code = """
import sys, numba
from tests.around import around
before = around()
import fastnn
network = fastnn.Network([fastnn.Dense(1)], optimizer="lbfgs")
network.fit([[1.0], [2.0]], [[1.0], [3.0]])
assert "scipy" in sys.modules
print([name for name, value in around().items() if value != before[name]])
"""
    pytest.importorskip("scipy")
    command = [sys.executable, "-W", "error", "-c", code]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (printed.stdout, printed.stderr) == ("[]\n", "")


def test_warnings_filters_after_threads_that_search_lines_at_a_time():
    first, second = _calm(), _calm()
    before = list(warnings.filters)
    with first:
        second.__enter__()
    warnings.warn("The line search algorithm did not converge", RuntimeWarning, stacklevel=1)
    second.__exit__(None, None, None)
    assert warnings.filters == before


def test_callbacks_find_the_callers_error_state():
    """It is theirs, even in the threads of fit_many."""
    found = []

    def look(*_):
        found.append((np.geterr()["under"], decimal.getcontext().prec))

    with np.errstate(all="raise"), decimal.localcontext(prec=7):
        network(built=False).fit(X, Y, callbacks=[look])
        fastnn.fit_many([network(built=False)], X, Y, callbacks=[[look]])
    assert found == [("raise", 7)] * 2


def test_small_numbers_are_not_flushed_to_zero_in_any_thread():
    made = Network([Dense(1, use_bias=False)], n_threads=2)
    made.build(1)
    made.set_weights([[[1e-40]]])
    x = np.ones((20, 1), np.float32)
    assert (made.predict(x) == made.predict(x, batch_size=1)).all()
    assert (made.predict(x) == np.float32(1e-40)).all()
