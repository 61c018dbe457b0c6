"""Every attribute that can be set works from then on or raises; none is accepted and ignored."""

import copy
import re

import numpy as np
import pytest

import fastnn
from fastnn import (
    L2,
    LBFGS,
    SGD,
    Adam,
    AdamW,
    BatchNormalization,
    Dense,
    Dropout,
    GroupL1,
    HierarchicalSoftmax,
    LayerNormalization,
    MaxNorm,
    Network,
    NonNeg,
    PiecewiseLinearEmbedding,
    ReduceLROnPlateau,
    activations,
    fit_many,
    schedules,
)  # fmt: skip
from fastnn.layers import Layer
from fastnn.losses import Huber
from fastnn.preprocessing import Chain, MinMax
from tests.configured import KINDS, made, other

X = np.linspace(-1, 1, 36, dtype=np.float32).reshape(12, 3)
Y = X[:, :1] ** 2
CLASSES = np.arange(12) % 4


def network(layers=None, **options):
    options = {"optimizer": SGD(0.1), "backend": "numpy", "loss": Huber(1.0)} | options
    return Network([Dense(4, "elu"), Dense(1)] if layers is None else layers, **options)


def trained(*given, **options):
    made_one = network(*given, **options)
    made_one.fit(X, CLASSES if "class" in made_one.loss.target else Y, shuffle=False)
    return made_one


def bits(one):
    return [array.tobytes() for array in one.get_weights()]


def outcome(one):
    """Return what a network does next: its penalized loss, predictions, and an epoch more."""
    y = CLASSES if one.loss.target == "class" else Y
    found = [one.evaluate(X, y), one.predict(X).tobytes()]
    one.fit(X, y, batch_size=6)
    return [*found, *bits(one), one.predict(X).tobytes()]


def test_the_network_holds_the_callers_optimizer():
    optimizer = SGD(0.1)
    one, two = network(optimizer=optimizer), network(optimizer=optimizer)
    for each in (one, two):
        each.fit(X, Y)
        assert each.optimizer is optimizer
    optimizer.learning_rate = 1e-30
    for step in (one.fit, one.partial_fit, one.train_on_batch, two.fit):
        own = step.__self__
        before = bits(own)
        step(X, Y)
        assert bits(own) == before and own.optimizer is optimizer
    before = bits(one)

    def wake(epoch, logs):
        if epoch == 0:
            assert bits(one) == before
            optimizer.learning_rate = 0.1

    one.fit(X, Y, epochs=2, callbacks=[wake])
    assert bits(one) != before
    twin = copy.copy(one)
    assert twin.optimizer == optimizer and twin.optimizer is not optimizer
    twin.layers[0].activation, twin.loss.delta = "tanh", 3
    assert one.layers[0].activation.name == "elu" and one.loss.delta == 1


def test_reducing_the_rate_of_one_network_leaves_the_optimizer_of_others_alone():
    optimizer = SGD(0.1)
    one, two = network(optimizer=optimizer), network(optimizer=optimizer)
    reduce = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10)
    one.fit(X, Y, epochs=3, callbacks=[reduce])
    assert (one.optimizer.learning_rate, optimizer.learning_rate) == (0.025, 0.1)
    assert two.optimizer is optimizer
    one.fit(X, Y)
    assert one.optimizer.learning_rate == 0.025
    optimizer.learning_rate = 0.1  # what it was is a change too
    assert one.optimizer is optimizer
    one.fit(X, Y, epochs=2, callbacks=[reduce])
    one.optimizer = optimizer
    assert one.optimizer is optimizer


def test_an_optimizer_that_several_networks_have_cannot_change_within_fit_many():
    optimizer = SGD(0.1)

    def reducing():
        return [ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10)]

    both = [network(optimizer=optimizer, seed=seed) for seed in range(2)]
    fit_many(both, X, Y, epochs=3, callbacks=[reducing(), []])
    for seed, callbacks in enumerate([reducing(), []]):
        alone = network(optimizer=SGD(0.1), seed=seed)
        alone.fit(X, Y, epochs=3, callbacks=callbacks)
        assert bits(alone) == bits(both[seed])

    def change(epoch, logs):
        optimizer.learning_rate = 0.01

    with pytest.raises(fastnn.FitManyError) as caught:
        fit_many(both, X, Y, n_threads=1, callbacks=[[change], []])
    assert "was changed during fit_many" in str(caught.value.exceptions[0])


SETTINGS = {
    "loss": "mae",
    "optimizer": "adam",
    "kernel_regularizer": L2(10),
    "bias_regularizer": "l2",
    "seed": 5,
    "preprocessing": "standardize",
    "metrics": ["mae"],
    "layers": lambda: [Dense(4, "relu"), Dense(1)],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_an_assigned_attribute_is_used_from_then_on(name):
    value = SETTINGS[name]
    value = value() if callable(value) else value
    one, same = trained(), trained()
    setattr(one, name, value)
    if name == "preprocessing":  # fitted to the rows of the next fit
        one.fit(X, Y)
        same.fit(X, Y)
    changed, unchanged = outcome(one), outcome(same)
    assert changed != unchanged
    if name in ("loss", "optimizer", "kernel_regularizer", "bias_regularizer"):
        fresh = trained()
        options = {"optimizer": SGD(0.1), "loss": Huber(1.0)} | {name: value}
        again = network(fresh.layers, **options)
        again.build(3)
        again.set_weights(fresh.get_weights())
        again.model.epochs = 1
        assert outcome(again) == changed


def test_what_does_not_change_results_is_set_too():
    one = trained()
    one.n_threads, one.backend, one.extra = 1, "numpy", {"a": 1}
    assert (one.n_threads, one.backend, one.extra) == (1, "numpy", {"a": 1})
    one.metrics.append("mae")
    assert one.fit(X, Y).history.keys() == {"loss", "mae"}
    one.metrics = one.metrics
    assert [metric.name for metric in one.metrics] == ["mae"]


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        (
            "dtype",
            "float64",
            ValueError,
            "dtype is float64, but the network was built with float32",
        ),
        ("dtype", "float16", ValueError, "dtype is 'float16'"),
        ("loss", "softmax_cross_entropy", ValueError, "wants a unit for each class"),
        ("loss", 3, TypeError, "loss must be a name"),
        ("optimizer", "sdg", ValueError, "optimizer is 'sdg'"),
        ("kernel_regularizer", "l3", ValueError, "kernel_regularizer is 'l3'"),
        ("bias_regularizer", GroupL1(), ValueError, "a bias has no groups"),
        ("seed", -1, ValueError, "seed is -1"),
        ("n_threads", 0, ValueError, "n_threads is 0"),
        ("backend", "torch", ValueError, "backend is 'torch'"),
        ("preprocessing", "standardise", ValueError, "did you mean 'standardize'"),
        ("metrics", "mea", ValueError, "metrics is 'mea', wanted one of 'mae'"),
        ("metrics", ["accuracy"], ValueError, "metric 'accuracy' is for targets that are"),
        ("layers", [Dense(3), Dense(1)], ValueError, "layers[0].units is 3, but the network was"),
        ("layers", [Dense(1)], ValueError, "but the network was built with Dense, Dense"),
        ("layers", Dense(1), TypeError, "layers must be a sequence"),
        ("extra", 3, TypeError, "extra is 3, wanted a dict"),
        ("stop_training", 1, TypeError, "stop_training is 1"),
        ("epochs_done", 3, AttributeError, "epochs_done"),
        ("built", True, AttributeError, "built"),
        ("learning_rate", 0.1, AttributeError, "set network.optimizer.learning_rate"),
        ("optimiser", "adam", AttributeError, "did you mean 'optimizer'"),
        ("patience", 3, AttributeError, "Network has no attribute 'patience'"),
    ],
)
def test_what_cannot_be_raises_and_changes_nothing(name, value, error, said):
    one, same = trained(), trained()
    with pytest.raises(error, match=re.escape(said)):
        setattr(one, name, value)
    assert outcome(one) == outcome(same)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda n: n.layers.append(Dense(1)), "layers is [Dense(4, activation='elu'), Dense(1"),
        (lambda n: n.layers.__setitem__(0, 3), "layers[0] must be a Dense or another layer"),
        (lambda n: n.layers.pop(), "built with Dense, Dense"),
        (lambda n: setattr(n.layers[0], "units", 5), "layers[0].units is 5, but"),
        (lambda n: n.layers[0].set_params(use_bias=False), "layers[0].use_bias is False, but"),
        (lambda n: setattr(n.layers[0], "kernel_initializer", "zeros"), "kernel_initializer is Z"),
        (lambda n: setattr(n.layers[1], "activation", "softmax"), None),
        (lambda n: n.metrics.append("accuracy"), "metric 'accuracy' is for targets"),
    ],
)
def test_what_was_changed_in_place_is_checked_when_it_is_used(change, said, tmp_path):
    one = trained(loss="mse")
    kept = one.get_weights()
    change(one)
    uses = [
        lambda: one.fit(X, Y), lambda: one.evaluate(X, Y), lambda: one.predict(X),
        lambda: one.train_on_batch(X, Y), lambda: one.save(tmp_path / "n"), lambda: copy.copy(one),
        lambda: fit_many([network(loss="mse"), one], X, Y), lambda: one.layer_outputs(X),
    ]  # fmt: skip
    for use in uses:
        if said is None:
            use()
            continue
        with pytest.raises((ValueError, TypeError), match=re.escape(said)):
            use()
        assert all(map(np.array_equal, kept, one.get_weights()))


PLACES = {
    "drop_connect": 0.5, "rate": 0.2, "scaling": "test", "momentum": 0.2, "epsilon": 0.3,
    "activation": "sigmoid", "function": "sigmoid",
    "kernel_regularizer": L2(1), "bias_regularizer": L2(1),
    "kernel_constraint": MaxNorm(0.1), "bias_constraint": NonNeg(),
    "learning_rate_factor": 0.1, "weight_decay_factor": 2.0,
    "kernel_learning_rate_factor": 0.1, "kernel_weight_decay_factor": 2.0,
    "bias_learning_rate_factor": 0.1, "bias_weight_decay_factor": 2.0,
}  # fmt: skip
"""A value of each setting of layers that a trained network can use."""


def _with(kind):
    """Return the layers of a network that has one of this kind, and its place."""
    if kind is HierarchicalSoftmax:
        return [Dense(4), kind(4)], 1
    if kind is Dense:
        return [Dense(4, "elu"), Dense(1)], 0
    if kind is PiecewiseLinearEmbedding:
        return [Dense(4), kind([[0.0, 1.0]] * 4, 3), Dense(1)], 1
    return [Dense(4), made(kind), Dense(1)], 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, Layer)])
def test_each_setting_of_each_layer_works_or_raises(kind):
    for name in made(kind).settings():
        layers, place = _with(kind)
        options = {"loss": "softmax_cross_entropy"} if kind is HierarchicalSoftmax else {}
        if "decay" in name:
            options["optimizer"] = AdamW(0.1, 0.1)
        one = trained(layers, **options)
        same = copy.copy(one)
        if name not in PLACES:
            assert made(kind)._declared[name].building
            value = 5 if name == "n_classes" else other(kind, name)
            if name == "frequencies":
                one.layers[place].set_params(tree="huffman", frequencies=[4, 3, 2, 1])
            else:
                setattr(one.layers[place], name, [[0, 1], [2, 3]] if name == "tree" else value)
            if name == "tree":
                one.layers[place].tree = [[3, 1], [2, 0]]
            with pytest.raises(ValueError, match="but the network was built with"):
                outcome(one)
            continue
        setattr(one.layers[place], name, PLACES[name])
        assert outcome(one) != outcome(same), name


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"loss": Huber(1)}, lambda n: setattr(n.loss, "delta", 0.01)),
        ({}, lambda n: setattr(n.layers[0].activation, "alpha", 0.1)),
        ({"kernel_regularizer": L2(0.1)}, lambda n: setattr(n.kernel_regularizer, "l2", 5)),
        (
            {"optimizer": SGD(schedules.ExponentialDecay(0.1, 10, 0.5))},
            lambda n: setattr(n.optimizer.learning_rate, "decay_rate", 0.1),
        ),
        ({"optimizer": Adam(0.1)}, lambda n: n.optimizer.set_params(amsgrad=True)),
        ({"optimizer": SGD(0.1)}, lambda n: setattr(n.optimizer, "momentum", 0.9)),
    ],
)
def test_settings_of_nested_objects(options, change):
    one, same, during = (trained(**copy.deepcopy(options)) for _ in range(3))
    change(one)
    assert outcome(one) != outcome(same)
    again = trained(**copy.deepcopy(options))
    again.fit(X, Y, batch_size=6, shuffle=False)
    change(again)
    again.fit(X, Y, batch_size=6, shuffle=False)
    calls = [lambda epoch, logs: change(during) if epoch == 0 else None]
    during.fit(X, Y, epochs=2, batch_size=6, shuffle=False, callbacks=calls)
    assert bits(during) == bits(again)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__qualname__)
def test_a_misspelled_setting_is_refused(kind):
    one = made(kind)
    name = next(iter(one.settings()), "epsilon")[:-1] + "q"
    with pytest.raises(AttributeError, match=f"{kind.__name__} has no setting '{name}'"):
        setattr(one, name, 1)
    assert not hasattr(one, name)
    with pytest.raises(AttributeError, match="no setting 'trainable'"):
        one.trainable = False


@pytest.mark.parametrize(
    ("one", "name"),
    [(LBFGS(), "learning_rate"), (LBFGS(), "clipvalue"), (activations.get("relu"), "slope")],
)
def test_what_is_no_setting_of_this_class_is_refused(one, name):
    with pytest.raises(AttributeError, match=f"has no setting '{name}'"):
        setattr(one, name, 0.5)


def test_a_transformer_that_was_changed_after_it_was_fitted_says_so():
    scaler = MinMax().fit(X)
    scaler.feature_range = (0, 2)
    with pytest.raises(ValueError, match="was changed after it was fitted: call fit again"):
        scaler.transform(X)
    assert scaler.fit_transform(X).max() == 2
    one = trained(preprocessing=Chain([MinMax()]))
    before = one.predict(X)
    one.preprocessing.steps[0].feature_range = (0, 2)
    with pytest.raises(ValueError, match="was changed after it was fitted"):
        one.predict(X)
    one.preprocessing.steps[0].feature_range = (-1, 1)
    assert one.predict(X).tobytes() == before.tobytes()


@pytest.mark.parametrize("dtype", [None, 3, [3], np.float16, "f8x"])
def test_no_dtype_is_guessed(dtype):
    one = network()
    for give in (lambda: setattr(one, "dtype", dtype), lambda: network(dtype=dtype)):
        with pytest.raises((ValueError, TypeError), match="^dtype is .*, wanted one of 'float32'"):
            give()
    assert one.dtype == np.float32


def test_settings_cannot_be_deleted():
    one = trained()
    for owner, name in ((one.layers[0], "units"), (one.loss, "delta"), (one.optimizer, "momentum")):
        with pytest.raises(AttributeError, match=f"^{name} is a setting of .*, wanted a value"):
            delattr(owner, name)
    for name in ("loss", "layers", "seed"):
        with pytest.raises(AttributeError, match=name):
            delattr(one, name)
    one.fit(X, Y)


def test_before_it_is_built_everything_may_change():
    one = network()
    one.layers.insert(1, BatchNormalization())
    one.layers[0].units, one.dtype = 6, "float64"
    one.layers.append(LayerNormalization())
    one.layers.append(Dense(1))
    one.fit(X, Y)
    assert one.get_weights()[0].shape == (3, 6) and one.predict(X).dtype == np.float64
    two = network()
    two.layers.append(Dropout(0.5))
    with pytest.raises(ValueError, match="layers ends with Dropout"):
        two.fit(X, Y)
