"""Training writes only into arrays of its own, and only labels that were checked index memory."""

import copy
import os
import pickle
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import Adam, BatchNormalization, Dense, HierarchicalSoftmax, Network
from fastnn.inputs.checks import as_class_labels
from fastnn.losses import StructuredHinge
from fastnn.training import ownership

X = np.random.default_rng(0).standard_normal((60, 5), np.float32)
Y = X[:, :1] - X[:, 1:2]
LABELS = np.arange(60) % 3


def network(**options):
    made = Network([Dense(6, "relu"), BatchNormalization(), Dense(1)], optimizer=Adam(), **options)
    made.fit(X, Y, batch_size=20)
    return made


def arrays(one):
    return [a for p in one.model.all_parameters() for a in (p.value, *p.state.values())]


def bits(one):
    return [array.tobytes() for array in arrays(one)]


def trains_on(one):
    """Fit a network; return whether it gets the weights and state that it should."""
    alone = network()
    for each in (one, alone):
        each.fit(X, Y, batch_size=20)
    return bits(one) == bits(alone)


def crashes(function):
    """Return whether a child process that calls this fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] != 0


def out_of_band(kind):
    """Return a network whose arrays lie in buffers of this kind, and the buffers."""
    buffers: list = []
    data = pickle.dumps(network(), protocol=5, buffer_callback=buffers.append)
    buffers = [kind(each.raw()) for each in buffers]
    return pickle.loads(data, buffers=buffers), pickle.loads(data, buffers=buffers), buffers


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_pickled_buffers_apart_are_read_in_place_and_not_written(kind):
    one, two, buffers = out_of_band(kind)
    before, contents = bits(two), [bytes(each) for each in buffers]
    assert one.predict(X).tobytes() == network().predict(X).tobytes()
    assert np.shares_memory(arrays(one)[0], arrays(two)[0])
    assert trains_on(one)
    assert bits(two) == before and contents == [bytes(each) for each in buffers]
    two.set_weights([weights + 1 for weights in two.get_weights()])
    assert contents == [bytes(each) for each in buffers]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_joblibs_memory_maps(mode, tmp_path):
    joblib = pytest.importorskip("joblib")
    path = tmp_path / "network"
    joblib.dump(network(), path)
    stored = path.read_bytes()

    def use():
        one, two = joblib.load(path, mmap_mode=mode), joblib.load(path, mmap_mode=mode)
        assert isinstance(arrays(one)[0], np.memmap) and trains_on(one)
        two.set_weights([weights + 1 for weights in two.get_weights()])

    assert not crashes(use)
    assert path.read_bytes() == stored


def unaligned(array):
    placed = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    placed[...] = array
    return placed


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS = {
    "a caller's": np.copy,
    "read-only": read_only,
    "unaligned": unaligned,
    "in column order": lambda a: np.array(a, order="F"),
    "with gaps": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "of the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "of another type": lambda a: a.astype(np.float64),
}


@pytest.mark.parametrize("form", FORMS)
def test_arrays_that_are_put_there_by_hand(form):
    one = network()
    one.predict(X)
    given = []
    for parameter in one.model.all_parameters():
        given.append(FORMS[form](parameter.value))
        parameter.value = given[-1]
        for name, array in parameter.state.items():
            given.append(FORMS[form](array))
            parameter.state[name] = given[-1]
    before = [each.tobytes() for each in given]
    assert trains_on(one) and [each.tobytes() for each in given] == before
    assert all(each.flags.carray and each.dtype == np.float32 for each in arrays(one))


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"a caller's", "of another type"}))
def test_pickled_arrays_are_read_right(form):
    one = network()
    for parameter in one.model.all_parameters():
        vars(parameter)["value"] = FORMS[form](parameter.value)
    model = object.__new__(type(one.model))
    model.__setstate__(dict(vars(one.model)) | {"predictor": None})
    assert Network.of(model).predict(X).tobytes() == network().predict(X).tobytes()
    assert trains_on(Network.of(model))


def test_numbers_put_there_by_hand_count_at_once_and_need_the_shape():
    one = network()
    before = one.predict(X)
    last = one.model.parameters[2][1]
    last.value = last.value + 1
    np.testing.assert_allclose(one.predict(X), before + 1, rtol=1e-6)
    with pytest.raises(ValueError, match=r"bias got \(2,\), wanted \(1,\)"):
        last.value = np.zeros(2)
    last.state["m"] = np.zeros(2, np.float32)
    with pytest.raises(ValueError, match=r"optimizer's m of a bias is \(2,\), wanted \(1,\)"):
        one.fit(X, Y)


def test_networks_that_share_parameters_do_so_until_they_train():
    one, two = network(), network()
    two.model.parameters = one.model.parameters
    before = bits(one)
    assert trains_on(two) and bits(one) == before and trains_on(one)
    one, two = network(), network()
    two.model.parameters[0][0] = one.model.parameters[0][0]
    fastnn.fit_many([one, two], X, Y, batch_size=20)
    alone = network()
    alone.fit(X, Y, batch_size=20)
    assert bits(one) == bits(two) == bits(alone)


def test_what_is_put_there_during_a_fit_is_trained_from_then_on():
    one, start = network(), copy.copy(network())

    def back(epoch, logs):
        for own, first in zip(
            one.model.all_parameters(), start.model.all_parameters(), strict=True
        ):
            own.value = first.value
            own.state = dict(first.state)
        one.model.epochs, one.model.updates = start.model.epochs, start.model.updates

    one.fit(X, Y, epochs=2, batch_size=20, shuffle=False, callbacks=[back])
    assert bits(one) == bits(start)
    one.fit(X, Y, batch_size=20)
    assert bits(start) == bits(network()) and trains_on(start) and bits(one) == bits(start)


def test_nothing_is_copied_that_is_its_own():
    one = network()
    before = arrays(one)
    one.fit(X, Y)
    one.set_weights(one.get_weights())
    one.train_on_batch(X, Y)
    assert all(new is old for new, old in zip(arrays(one), before, strict=True))
    twin = copy.copy(one)
    before = arrays(twin)
    twin.fit(X, Y)
    assert all(new is old for new, old in zip(arrays(twin), before, strict=True))
    assert ownership.owned(one.model.parameters, one.model.own, one.dtype) is one.model.parameters


def classifier(last=None, loss="softmax_cross_entropy", **options):
    return Network([Dense(6, "relu"), last or Dense(3)], loss=loss, **options)


LOSSES = {
    "softmax_cross_entropy": classifier,
    "a tree": lambda **options: classifier(HierarchicalSoftmax(3), **options),
    "multiclass_hinge": lambda **options: classifier(loss="multiclass_hinge", **options),
}


@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
@pytest.mark.parametrize("name", LOSSES)
def test_labels_are_those_that_were_checked(name, dtype):
    y, held_out = LABELS.astype(dtype), LABELS[:9].astype(dtype)
    one, alone = LOSSES[name](metrics=["accuracy"]), LOSSES[name](metrics=["accuracy"])

    def write(epoch, logs):
        y[...] = held_out[...] = 2  # a label too, so that this fails without a crash if it counts

    how = {"epochs": 2, "shuffle": False}
    changed = one.fit(X, y, validation_data=(X[:9], held_out), callbacks=[write], **how)
    same = alone.fit(X, LABELS, validation_data=(X[:9], LABELS[:9]), **how)
    assert one.get_weights()[0].tobytes() == alone.get_weights()[0].tobytes()
    for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert changed.history[key] == same.history[key]
    assert (y == 2).all()


def test_the_door_copies_labels_before_it_checks_them():
    for y in (LABELS, LABELS.astype(np.uint8)[::-1]):
        labels = as_class_labels(y, 60, 3)
        assert labels.dtype == y.dtype and not np.shares_memory(labels, y)


def test_a_metric_that_writes_to_its_labels_writes_to_its_own():
    def spoil(y, prediction):
        assert y.tolist() == LABELS.tolist()
        y[...] = 2
        return 0.0

    one, alone = classifier(metrics=[spoil]), classifier()
    for each in (one, alone):
        each.fit(X, LABELS, epochs=2, shuffle=False)
    assert one.get_weights()[0].tobytes() == alone.get_weights()[0].tobytes()


def test_an_array_that_gets_another_shape_during_a_fit():
    x, y = X.copy(), Y.copy()
    one, alone = (Network([Dense(6, "relu"), Dense(1)]) for _ in range(2))

    def reshape(epoch, logs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            x.shape, y.shape = (30, 10), (1, 60)

    one.fit(x, y, epochs=2, callbacks=[reshape])
    alone.fit(X, Y, epochs=2)
    assert one.get_weights()[0].tobytes() == alone.get_weights()[0].tobytes()


def test_inputs_of_a_compact_network_cannot_be_changed_from_outside():
    one = Network([Dense(6, "relu"), Dense(1)])
    one.build(5)
    weights = one.get_weights()
    weights[0][1] = 0
    one.set_weights(weights)
    small = one.compact()
    before = small.predict(X).tobytes()
    small.inputs_[:] = 0
    assert small.inputs_.tolist() == [0, 2, 3, 4] and small.predict(X).tobytes() == before


def test_costs_that_were_changed_in_place_are_checked_again():
    one = classifier(loss=StructuredHinge([[0, 1, 2], [1, 0, 1], [4, 1, 0]]))
    one.fit(X, LABELS)
    for row in one.loss.cost:
        row.pop()
    with pytest.raises(ValueError, match=r"cost has shape \(3, 2\)"):
        one.fit(X, LABELS)
