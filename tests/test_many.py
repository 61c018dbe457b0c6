"""Many networks at once: each trains as if alone, even if others fail."""

import tracemalloc

import numpy as np
import pytest

import fastnn
from fastnn import L1L2, SGD, Adam, Callback, Dense, FitManyError, Network, fit_many
from fastnn.inputs import checks

ROWS = 90
RNG = np.random.default_rng(0)
X = RNG.standard_normal((ROWS, 6), np.float32)
Y = np.abs(X[:, :1] * X[:, 1:2])
LABELS = np.arange(ROWS) % 3
WEIGHT = np.linspace(0, 1, ROWS)


def _regressions():
    """Return networks that differ in all in which they may."""
    return [
        Network([Dense(8, "relu"), Dense(1)], loss="mae", seed=1),
        Network([Dense(8, "relu"), Dense(1)], loss="mae", seed=2, n_threads=2),
        Network([Dense(1)], optimizer=Adam(0.01), dtype="float64"),
        Network([Dense(40, "tanh", kernel_regularizer=L1L2(0.01, 0.1)), Dense(1)]),
        Network([Dense(5), Dense(7, "sigmoid"), Dense(1)], optimizer=SGD(0.1, 0.9, True)),
        Network([Dense(3, "relu"), Dense(1)], backend="numpy"),
    ]


def _classifiers():
    options = {"loss": "softmax_cross_entropy", "optimizer": "adam"}
    return [Network([Dense(9, "relu"), Dense(3)], seed=seed, **options) for seed in range(3)]


def _bits(network):
    return b"".join(array.tobytes() for array in network.get_weights())


@pytest.mark.parametrize(
    ("make", "y", "options"),
    [
        (_regressions, Y, {}),
        (_regressions, Y, {"validation_split": 0.3, "sample_weight": WEIGHT}),
        (_regressions, Y, {"validation_data": (X[:9], Y[:9]), "shuffle": False}),
        (_classifiers, LABELS, {"validation_split": 0.1}),
    ],
)
@pytest.mark.parametrize("n_threads", [1, 2, 7, None])
def test_each_network_is_trained_as_if_alone(make, y, options, n_threads):
    options = {"epochs": 3, "batch_size": 16} | options
    alone, together = make(), make()
    expected = []
    for network in alone:
        network.n_threads = 1
        expected.append(network.fit(X, y, **options))
    for _ in range(2):  # a second call goes on
        histories = fit_many(together, X, y, n_threads=n_threads, **options)
        assert [one.history for one in histories] == [one.history for one in expected]
        assert list(map(_bits, together)) == list(map(_bits, alone))
        expected = [network.fit(X, y, **options) for network in alone]
    assert together[1].n_threads == (2 if make is _regressions else None)


def test_data_are_checked_once_and_not_copied(monkeypatch):
    calls = []
    check = checks.as_inputs

    def counted(*args, **options):
        calls.append(args)
        return check(*args, **options)

    monkeypatch.setattr(checks, "as_inputs", counted)
    fit_many(_regressions()[:5], X, Y, batch_size=64)  # what is compiled now need not be later
    x, y = np.ones((200_000, 10), np.float32), np.ones((200_000, 1), np.float32)
    networks = _regressions()[:5]
    calls.clear()
    tracemalloc.start()
    fit_many(networks, x, y, batch_size=64, n_threads=2)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(calls) == 1
    assert most < x.nbytes / 4


def test_a_network_that_fails_costs_the_others_nothing():
    rates = [0.01, 1e30, 0.02, 1e32, 0.03]
    make = [lambda rate=rate: Network([Dense(4), Dense(1)], optimizer=SGD(rate)) for rate in rates]
    together = [each() for each in make]
    with pytest.raises(FitManyError, match=r"2 of 5 networks failed: networks\[1, 3\]") as caught:
        fit_many(together, X, Y, epochs=4, n_threads=2)
    error = caught.value
    assert error.positions == [1, 3]
    assert [type(each) for each in error.exceptions] == [FloatingPointError] * 2
    assert error.exceptions[1].__notes__ == ["in networks[3]"]
    assert [len(history.epoch) for history in error.histories] == [4, 0, 4, 0, 4]
    for number, network in enumerate(together):
        alone = make[number]()
        if number in error.positions:
            with pytest.raises(FloatingPointError):
                alone.fit(X, Y, epochs=4)
        else:
            assert alone.fit(X, Y, epochs=4).history == error.histories[number].history
        assert _bits(network) == _bits(alone)


class _Recorder(Callback):
    def __init__(self, action=lambda network, epoch: None):
        self.action, self.epochs = action, []

    def on_epoch_end(self, epoch, logs):
        self.epochs.append(logs["val_loss"])
        self.action(self.network, epoch)


def test_each_network_has_its_own_callbacks():
    def stop(network, epoch):
        network.stop_training = epoch == 1

    def fail(network, epoch):
        raise RuntimeError("enough")

    seen, recorders = [], [_Recorder(), _Recorder(stop), _Recorder(fail)]
    networks = [Network([Dense(1)], seed=seed) for seed in range(4)]
    callbacks = [[recorder] for recorder in recorders] + [
        (lambda epoch, logs: seen.append(networks[3].predict(X)[0, 0]),)
    ]
    with pytest.raises(FitManyError) as caught:
        fit_many(networks, X, Y, epochs=5, callbacks=callbacks, validation_split=0.2)
    assert caught.value.positions == [2] and str(caught.value.exceptions[0]) == "enough"
    lengths = [len(history.epoch) for history in caught.value.histories]
    assert lengths == [5, 2, 1, 5] == [*(len(each.epochs) for each in recorders), len(set(seen))]
    for recorder, network, history in zip(
        recorders, networks, caught.value.histories, strict=False
    ):
        assert recorder.network is network
        assert recorder.epochs == history.history["val_loss"]


def test_verbose_prints_a_line_for_each_network(capsys):
    networks = [Network([Dense(1)], seed=seed) for seed in range(3)]
    histories = fit_many(networks, X, Y[:, 0], epochs=2, verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == [f"networks[{n}]: {history}" for n, history in enumerate(histories)]
    fit_many(networks, X, Y)
    assert capsys.readouterr().out == ""


_ONE = Network([Dense(1)])
_HOOK = _Recorder()
BAD = [
    (ValueError, ("networks", "empty"), {"networks": []}),
    (TypeError, ("networks", "Network"), {"networks": _ONE}),
    (TypeError, ("networks", "int"), {"networks": 3}),
    (TypeError, ("networks[1]", "Dense"), {"networks": [_ONE, Dense(1)]}),
    (ValueError, ("networks[2]", "networks[0]"), {"networks": [_ONE, Network([Dense(1)]), _ONE]}),
    (ValueError, ("networks[1]", "3 outputs", "1"), {"networks": [_ONE, Network([Dense(3)])]}),
    (ValueError, ("networks[1]", "class", "real"), {"networks": [Network([Dense(3)]),
                                                              *_classifiers()[:1]]}),
    (ValueError, ("X", "nan", "row 0"), {"X": np.full((ROWS, 6), np.nan)}),
    (ValueError, ("X", "1e+39", "float32"), {"X": np.full((ROWS, 6), 1e39)}),
    (ValueError, ("y", "(90, 2)", "(90, 1)"), {"y": np.ones((ROWS, 2))}),
    (ValueError, ("epochs", "0"), {"epochs": 0}),
    (ValueError, ("verbose", "2", "0 or 1"), {"verbose": 2}),
    (ValueError, ("n_threads", "0"), {"n_threads": 0}),
    (TypeError, ("callbacks", "int"), {"callbacks": 3}),
    (TypeError, ("callbacks", "_Recorder"), {"callbacks": _HOOK}),
    (ValueError, ("callbacks", "1 lists", "6"), {"callbacks": [[]]}),
    (TypeError, ("callbacks[0]", "_Recorder"), {"callbacks": [_HOOK] * 6}),
    (TypeError, ("callbacks", "7"), {"callbacks": [[7]] * 6}),
    (ValueError, ("callbacks[1]", "callbacks[0]"), {"callbacks": [[_HOOK]] * 6}),
]  # fmt: skip


@pytest.mark.parametrize(("error", "said", "changed"), BAD)
def test_bad_input_changes_nothing(error, said, changed):
    arguments = {"networks": _regressions(), "X": X, "y": Y} | changed
    with pytest.raises(error) as caught:
        fit_many(**arguments)
    for part in said:
        assert part in str(caught.value)
    networks = arguments["networks"]
    if isinstance(networks, list):
        assert not any(network.built for network in networks if isinstance(network, Network))


def test_a_network_built_for_another_width():
    networks = [Network([Dense(1)], dtype="float64"), Network([Dense(1)])]
    networks[0].build(5)
    with pytest.raises(ValueError, match=r"X has 6 columns, but networks\[0\] was built for 5"):
        fit_many(networks, X, Y)
    assert not networks[1].built


def test_the_name_is_public():
    assert fastnn.fit_many is fit_many and "fit_many" in fastnn.__all__
