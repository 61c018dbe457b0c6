"""Settings: declared once, and what follows from that, for every class of every family."""

import copy
import inspect
import itertools
import json
import math
import pickle
import re

import numpy as np
import pytest

import fastnn
from fastnn import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    optimizers,
    preprocessing,
    regularizers,
    schedules,
)
from fastnn.inputs.checks import boolean, positive_float, positive_int
from fastnn.inputs.settings import Configured, Stateful, look_up, optional, revision, setting, table
from fastnn.preprocessing import chain
from fastnn.reference import TWINS
from tests.configured import KINDS, NONE, defaults, made, other

SETTINGS = [(kind, name) for kind in KINDS for name in defaults(kind)]
FAMILIES = {
    activations.Activation: activations.get,
    losses.Loss: losses.get,
    initializers.Initializer: initializers.get,
    regularizers.Regularizer: lambda config: regularizers.get(config, "penalty"),
    constraints.Constraint: lambda config: constraints.get(config, "constraint"),
    schedules.Schedule: schedules.get,
    optimizers.Optimizer: optimizers.get,
    layers.Layer: lambda config: look_up(config, "layer", layers.Layer, layers.TABLE),
    preprocessing.Transformer: lambda config: chain.Chain([config]).steps[0],
}
STORED = tuple(FAMILIES)

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__qualname__)
each_setting = pytest.mark.parametrize(
    ("kind", "name"), SETTINGS, ids=lambda value: getattr(value, "__name__", value)
)


def same(one, two):
    """Whether two objects are of one class with equal settings, for those with a state too."""
    return one.snapshot() == two.snapshot()


def test_all_families_are_here():
    assert len(KINDS) > 70
    for family in (*FAMILIES, fastnn.Callback):
        assert any(issubclass(kind, family) for kind in KINDS), family


@each_kind
def test_the_signature_shows_every_setting(kind):
    parameters = inspect.signature(kind).parameters
    assert list(parameters) == list(made(kind).settings())
    assert all(parameter.annotation is not NONE for parameter in parameters.values())


@each_kind
def test_objects_with_the_same_settings_are_equal_unless_they_have_a_state(kind):
    one, two = made(kind), made(kind)
    assert same(one, two)
    assert (one == two) == (not isinstance(one, Stateful))
    assert one == one and one != "one"
    if one == two:
        assert hash(one) == hash(two)


@each_kind
def test_an_unknown_keyword_is_pythons_error(kind):
    message = "unexpected keyword argument 'colour'|takes no arguments"
    with pytest.raises(TypeError, match=message):
        made(kind, colour=3)


@each_kind
def test_a_pickle_is_the_same(kind):
    one = made(kind)
    again = pickle.loads(pickle.dumps(one))
    assert same(again, one) and repr(again) == repr(one)


@each_setting
def test_another_value_makes_another_object(kind, name):
    value = other(kind, name)
    one, changed = made(kind), made(kind, **{name: value})
    assert not same(one, changed) and one != changed
    assert same(changed, made(kind, **{name: value}))


@each_setting
def test_a_setting_may_be_set_and_a_copy_is_independent(kind, name):
    wanted = made(kind, **{name: other(kind, name)})
    one = made(kind)
    twin, before = copy.copy(one), one.snapshot()
    twin.set_params(**wanted.settings())
    assert same(twin, wanted) and one.snapshot() == before
    if name not in ("nesterov", "frequencies"):
        one.set_params(**{name: other(kind, name)})
        again = made(kind)
        setattr(again, name, other(kind, name))
        assert same(one, again) and not same(one, made(kind))


@pytest.mark.parametrize(
    ("kind", "name"),
    [case for case in SETTINGS if issubclass(case[0], STORED)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_settings_are_stored(kind, name):
    one = made(kind, **{name: other(kind, name)})
    get = next(get for family, get in FAMILIES.items() if issubclass(kind, family))
    config = json.loads(json.dumps(one.to_config()))
    again = chain.Chain(config["steps"]) if kind is preprocessing.Chain else get(config)
    assert same(one, again) and repr(one) == repr(again)


@each_setting
def test_a_bad_value_is_refused_at_once_and_changes_nothing(kind, name):
    one = made(kind)
    before = vars(one).copy()
    with pytest.raises((TypeError, ValueError)) as at_once:
        setattr(one, name, object())
    assert vars(one) == before
    with pytest.raises(type(at_once.value)) as made_so:
        made(kind, **{name: object()})
    text = re.sub("0x[0-9a-f]+", "0x", str(at_once.value))
    assert text == re.sub("0x[0-9a-f]+", "0x", str(made_so.value))
    assert name in text or name == "filepath"


@each_setting
def test_a_repr_gives_the_object_again(kind, name):
    one = made(kind, **{name: other(kind, name)})
    if issubclass(kind, layers.Layer) and kind.__repr__ is not layers.Layer.__repr__:
        assert repr(one).startswith(f"{kind.__name__}({next(iter(one.settings().values()))!r}"[:9])
        return
    names = {each.__name__: each for each in KINDS}
    assert same(eval(repr(one), names), one)


@each_kind
def test_params_are_scikit_learns(kind):
    one = made(kind)
    assert one.get_params(deep=False) == one.settings()
    assert one.get_params().items() >= one.settings().items()
    assert same(kind(**one.get_params(deep=False)), one)
    with pytest.raises(ValueError, match=f"a parameter of {kind.__name__} is 'colour', wanted one"):
        one.set_params(colour=3)


def test_scikit_learn_clones_them():
    clone = pytest.importorskip("sklearn.base").clone
    optimizer = fastnn.Adam(fastnn.CosineDecay(0.1, 10))
    assert clone(optimizer) == optimizer and clone(optimizer) is not optimizer
    scaler = preprocessing.MinMax((0, 1)).fit(np.eye(2))
    assert same(clone(scaler), scaler) and not clone(scaler).fitted


def test_nested_params():
    optimizer = fastnn.Adam(fastnn.CosineDecay(0.1, 100))
    schedule = optimizer.learning_rate
    assert optimizer.get_params()["learning_rate__decay_steps"] == 100
    optimizer.set_params(learning_rate__decay_steps=7, learning_rate__alpha=0.5, beta_1=0.5)
    assert optimizer == fastnn.Adam(fastnn.CosineDecay(0.1, 7, 0.5), 0.5)
    assert schedule.decay_steps == 100  # which others may have
    for params, message in [
        ({"beta_1": 0.1, "learning_rate__alpha": 3}, "alpha is 3"),
        ({"beta_1": 0.1, "learning_rate__beta": 3}, "a parameter of CosineDecay is 'beta'"),
        ({"beta_1": 0.1, "beta_2__beta": 3}, "beta_2 is 0.999, which has no parameter 'beta'"),
    ]:
        with pytest.raises(ValueError, match=message):
            optimizer.set_params(**params)
        assert optimizer.beta_1 == 0.5


def test_settings_that_go_together_are_checked_together():
    optimizer = fastnn.SGD(0.1)
    with pytest.raises(ValueError, match="nesterov=True wants momentum > 0"):
        optimizer.nesterov = True
    assert optimizer == fastnn.SGD(0.1)
    optimizer.set_params(nesterov=True, momentum=0.9)
    with pytest.raises(ValueError, match="nesterov=True wants momentum > 0"):
        optimizer.momentum = 0
    assert optimizer == fastnn.SGD(0.1, 0.9, True)
    optimizer.clipvalue = 1
    with pytest.raises(ValueError, match="clipvalue and global_clipnorm were both given"):
        optimizer.global_clipnorm = 1
    tree = fastnn.HierarchicalSoftmax(3)
    with pytest.raises(ValueError, match="go together"):
        tree.tree = "huffman"
    assert tree.path_lengths.tolist() == [2, 2, 1]
    tree.n_classes = 4
    assert tree.path_lengths.tolist() == [2, 2, 2, 2]


def test_the_default_start_follows_the_activation():
    layer = fastnn.Dense(3, "selu")
    assert layer.kernel_initializer == initializers.LecunNormal()
    layer.set_params(activation="relu", kernel_initializer=None)
    assert layer.kernel_initializer == initializers.VarianceScaling(0.6, "fan_in", "uniform")


class Base(Configured):
    first: float = setting(check=positive_float)
    last: bool = setting(default=False, check=boolean, kw_only=True)
    seen: int = setting(default=0, init=False)
    learned: int = setting(init=False)


class Derived(Base):
    second: int | None = setting(default=3, check=optional(positive_int))


def test_a_class_adds_to_the_settings_of_its_base():
    assert str(inspect.signature(Derived)) == (
        "(first: float, second: int | None = 3, *, last: bool = False) -> None"
    )
    one = Derived(2, 4, last=True)
    assert repr(one) == "Derived(first=2.0, second=4, last=True)"
    assert Derived(2, None).second is None
    with pytest.raises(TypeError, match=r"Derived.__init__\(\) missing 1 required"):
        Derived()
    with pytest.raises(TypeError, match=r"Derived.__init__\(\) takes from 2 to 3 positional"):
        Derived(1, 2, True)


def test_what_is_no_setting_is_an_attribute():
    one, two = Derived(2), Derived(2)
    assert one.seen == 0 and not hasattr(one, "learned")
    one.seen, one.learned = 5, 6
    assert one == two and one.settings() == two.settings()


class Own(fastnn.Schedule):
    def __init__(self, initial=0.1):
        self.initial = initial
        self.seen_ = 3


def test_a_class_may_write_its_own_init():
    one = Own(0.3)
    assert repr(one) == "Own(initial=0.3)" and one == Own(0.3) != Own(0.4)
    assert one.to_config() == {"name": "Own", "initial": 0.3}
    one.set_params(initial=0.5)
    assert copy.copy(one) == Own(0.5) == pickle.loads(pickle.dumps(one))

    class Wide(fastnn.Dense):
        def __init__(self, factor):
            super().__init__(10 * factor, "relu")
            self.factor = factor

    wide = Wide(3)
    assert wide.units == 30 and wide.settings()["factor"] == 3 and wide != Wide(4)
    with pytest.raises(ValueError, match="units is 0"):
        wide.units = 0

    class Counted:
        def __init__(self, delta):
            super().__init__(2 * delta)

    class Mixed(Counted, losses.Huber):
        pass

    assert Mixed(3).delta == 6 and Mixed(3) != losses.Huber(6)
    with pytest.raises(ValueError, match="delta is -2"):
        Mixed(-1)

    class Best(fastnn.callbacks.Monitor):
        def __init__(self):
            super().__init__("loss", 0.5, "min")

    network = fastnn.Network([fastnn.Dense(1)])
    best = Best()
    best.on_train_begin(network)
    assert [best.improved(epoch, {"loss": loss}) for epoch, loss in enumerate([3, 2, 1.9])] == [
        True, True, False,
    ]  # fmt: skip


def test_names_come_from_the_classes():
    class Family(Configured):
        name = ""

    class One(Family):
        name, aliases = "one", ("uno", "eins")

    class Two(One):
        name = "two"

    class Three(One):
        """Without a name of its own."""

    assert table(Family) == {"one": One, "two": Two, "uno": One, "eins": One}
    known = dict(activations.TABLE)

    class Mine(activations.Activation):
        name = "relu"

    assert known == activations.TABLE  # the user's own takes no name


X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(4, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda network: setattr(network.layers[0].activation, "negative_slope", 0.9),
        lambda network: setattr(network.layers[0], "activation", "tanh"),
        lambda network: network.layers[1].set_params(scaling="test"),
    ],
    ids=["nested", "layer", "params"],
)
def test_prediction_notices_a_change_however_deep(change):
    hidden = fastnn.Dense(4, activations.LeakyReLU(0.1))
    network = fastnn.Network([hidden, fastnn.Dropout(0.5), fastnn.Dense(1)])
    network.build(3)
    before = network.predict(X)
    assert network.predict(X).tobytes() == before.tobytes()
    change(network)
    fresh = fastnn.Network(network.layers)
    fresh.build(3)
    fresh.set_weights(network.get_weights())
    assert network.predict(X).tobytes() == fresh.predict(X).tobytes() != before.tobytes()


def test_a_change_that_was_taken_back_needs_no_new_program():
    network = fastnn.Network([fastnn.Dense(4, activations.LeakyReLU(0.1)), fastnn.Dense(1)])
    network.build(3)
    network.predict(X)
    number, predictor = revision(), network.model.predictor
    network.layers[0].units = 4
    assert revision() != number
    network.predict(X)
    assert network.model.predictor is predictor


def test_a_callback_that_sets_a_bad_rate_is_told_at_once():
    network = fastnn.Network([fastnn.Dense(1)])
    places = []

    def worse(epoch, logs):
        try:
            network.optimizer.learning_rate = -1
        except ValueError as error:
            places.append((epoch, str(error)))

    network.fit(X, X[:, :1], epochs=2, callbacks=[worse])
    message = "learning_rate is -1, wanted a finite number above 0"
    assert places == [(0, message), (1, message)]


def test_a_fit_notices_a_change_within_a_schedule():
    ends = []
    for factor in (1.0, 0.5):
        network = fastnn.Network([fastnn.Dense(1)])
        network.optimizer = fastnn.SGD(fastnn.ExponentialDecay(0.01, 100, 0.9))

        def change(epoch, logs, network=network, factor=factor):
            network.optimizer.learning_rate.initial_learning_rate = 0.01 * factor

        network.fit(X, X[:, :1], epochs=3, callbacks=[change])
        ends.append(network.get_weights()[0].tobytes())
    assert ends[0] != ends[1]


@pytest.mark.parametrize("name", activations.TABLE)
def test_the_facts_on_an_activation_are_right(name):
    activation = activations.get(name)
    low, high = activation.range
    t = np.linspace(-40, 40, 8001)[:, None]
    x = t if activation.elementwise else np.hstack([t, -t])
    y, dx = np.empty_like(x), np.empty_like(x)
    forward, backward = activation.forward, activation.backward
    given = activation.arguments
    if activation.slope is not None:
        forward, backward, given = "relu_forward", "relu_backward", (activation.slope,)
    TWINS[forward](x, *given, y)
    TWINS[backward](x, y, *given, np.ones_like(x), dx)
    for bound, end in ((low, y.min()), (high, y.max())):
        assert not math.isfinite(bound) or abs(end - bound) < 0.002
        assert math.isfinite(bound) or abs(end) >= 8
    assert low <= y.min() and y.max() <= high
    if activation.saturates:
        assert abs(dx[[0, -1]]).max() < 1e-9
    if activation.elementwise:
        flat = [abs(dx[end, 0]) < 1e-9 for end in (0, -1)]
        assert activation.saturates == all(flat)
    assert activation.kernel_initializer in {None, *initializers.INITIALIZERS}


def test_the_command_line_offers_what_the_classes_say():
    from fastnn.cli.options import loss_names, optimizer_names

    assert optimizer_names() == ["adam", "sgd"]
    every = {kind.name for kind in losses.TABLE.values()}
    assert every - set(loss_names()) == {"signed_error"}  # training it only diverges


def test_revisions_are_all_different():
    numbers = []
    one = Derived(2)
    for value in range(1, 6):
        one.second = value
        numbers.append(revision())
    assert all(a < b for a, b in itertools.pairwise(numbers))
