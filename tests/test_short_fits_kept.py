"""Kept programs of short fits: what they keep, share and let go."""

import gc
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import SGD, Dense, Network
from fastnn.training import pool
from tests.test_short_fits import LABELS, RNG, X, Y, made, state


def test_a_program_that_another_network_has_used_does_the_same():
    y = RNG.normal(size=(12, 3)).astype(np.float32)
    pairs = [(X, X), (X, y), (X[::-1].copy(), X), (X, X)]

    def make():
        return Network([Dense(5, "relu"), Dense(3)], optimizer="adam", seed=4)

    expected = []
    for x, target in pairs:
        pool.clear()
        network = make()
        network.fit(x, target, epochs=3, validation_data=(target, x))
        expected.append((state(network), network.evaluate(x, target)))
    for (x, target), wanted in zip(pairs, expected, strict=True):
        network = make()
        network.fit(x, target, epochs=3, validation_data=(target, x))
        assert (state(network), network.evaluate(x, target)) == wanted


def test_state_of_other_kinds_of_arrays_is_an_array_of_the_program_too(tmp_path):
    one, other = made(), made()
    for each in (one, other):
        each.fit(X, Y, epochs=2, validation_data=(X, Y))
        each.evaluate(X, Y)

    def change(epoch, logs):
        for number, parameter in enumerate(one.model.all_parameters()):
            kept = np.memmap(tmp_path / f"{epoch}{number}", "f4", "w+", shape=parameter.value.shape)
            kept[...] = parameter.state["m"]
            parameter.state["m"] = kept

    one.fit(X, Y, epochs=3, validation_data=(X, Y), callbacks=[change])
    other.fit(X, Y, epochs=3, validation_data=(X, Y))
    assert one.evaluate(X, Y) == other.evaluate(X, Y)
    assert state(one) == state(other)
    one.model.parameters[0][0].state["m"] = "no array"
    assert one.evaluate(X, Y) == other.evaluate(X, Y)


def test_a_network_whose_arrays_are_memory_maps(tmp_path):
    joblib = pytest.importorskip("joblib")

    def make():
        layers = [fastnn.HierarchicalSoftmax(4)]
        return Network(layers, loss="softmax_cross_entropy", optimizer=SGD(0.1))

    one = make()
    one.fit(X, LABELS)
    joblib.dump(one, tmp_path / "network")
    mapped = joblib.load(tmp_path / "network", mmap_mode="r")
    for each in (one, mapped):
        pool.clear()
        each.fit(X, LABELS, epochs=2)
    assert state(mapped) == state(one)


def test_kept_programs_keep_no_data_and_no_weights_alive():
    x, y, network = X.copy(), Y.copy(), made()
    network.fit(x, y, epochs=2, validation_data=(x[:3], y[:3]))
    kept = [x, y, *(each.value for each in network.model.all_parameters())]
    found = [weakref.ref(array) for array in kept]
    del x, y, network, kept
    gc.collect()
    assert [each() for each in found] == [None] * 6


def test_a_backend_that_a_callback_changes_at_the_end_spoils_no_kept_program():
    def change(epoch, logs):
        one.backend = "numba"

    one, other = made(backend="numpy"), made(backend="numpy")
    one.fit(X, Y, callbacks=[change])
    other.fit(X, Y)
    assert state(other)[1] == 1 and np.isfinite(other.fit(X, Y).history["loss"]).all()
    assert not np.array_equal(one.get_weights()[0], other.get_weights()[0])


def test_lists_within_settings_that_change_in_place_are_no_part_of_kept_programs():
    def made(cost):
        layers = [Dense(2, kernel_initializer="zeros")]
        return Network(layers, loss=fastnn.losses.StructuredHinge(cost))

    y, first = LABELS % 2, made([[0, 1], [1, 0]])
    first.fit(X, y)
    first.evaluate(X, y)
    first.loss.cost[0][1] = 100.0
    fresh = made([[0, 100], [1, 0]])
    fresh.build(3)
    known = fresh.evaluate(X, y)
    pool.clear()
    assert fresh.evaluate(X, y) == known
