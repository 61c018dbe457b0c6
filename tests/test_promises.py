"""What fastnn promises of every network: one test for each promise, over the table of networks.

The same bits on any number of threads; the reference agrees; a stored run goes on as if it had
never been stored; two fits are one longer fit.
"""

import numpy as np
import pytest

import fastnn
from fastnn import (
    constraints,
    initializers,
    layers,
    losses,
    optimizers,
    regularizers,
    schedules,
)
from fastnn.preprocessing import chain
from tests.network_case import AGREEMENT, EPOCHS
from tests.networks import NETWORKS, trained

# In float64 every step compiles again; its kernels are in test_parity, and gradients in float64.
each_dtype = pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)]
)


each_network = pytest.mark.parametrize("name", NETWORKS)


def _stored(network, path):
    """Return all that is kept of a network: weights, the optimizer's state, counters, settings."""
    network.save(path, extra={"note": "ä"})
    return path.read_bytes()


@each_dtype
@each_network
def test_the_same_bits_on_any_number_of_threads(name, dtype):
    first, *others = (
        [array.tobytes() for array in trained(name, dtype, n_threads)[2]]
        for n_threads in (1, 2, 3, 5)
    )
    for again in others:
        assert again == first


@each_dtype
@each_network
def test_compiled_and_reference_runs_agree(name, dtype):
    case = NETWORKS[name]
    network = case.network(dtype=dtype, backend="numpy")
    compiled, reference = trained(name, dtype, 1)[2], case.results(network, case.train(network))
    for actual, expected in zip(compiled, reference, strict=True):
        assert np.abs(actual - expected).max() <= AGREEMENT[dtype] * max(1, np.abs(expected).max())
    for actual, expected in zip(compiled[:-3], reference, strict=False):  # the weights
        assert ((actual == 0) == (expected == 0)).all()


@each_dtype
@each_network
def test_a_stored_run_goes_on_as_if_it_had_never_been_stored(name, dtype, tmp_path):
    case, (whole, history, _) = NETWORKS[name], trained(name, dtype, 1)
    half = case.network(dtype=dtype, n_threads=1)
    case.train(half, EPOCHS // 2)
    before = _stored(half, tmp_path / "half")
    loaded = fastnn.load(tmp_path / "half")
    assert _stored(loaded, tmp_path / "again") == before
    assert loaded.extra == {"note": "ä"}
    assert loaded.layers == half.layers
    assert (loaded.loss, loaded.optimizer) == (half.loss, half.optimizer)
    x, y = case.data()
    assert loaded.predict(x).tobytes() == half.predict(x).tobytes()
    assert loaded.evaluate(x, y) == half.evaluate(x, y)
    rest = case.train(loaded, EPOCHS - EPOCHS // 2).history
    for key, values in rest.items():
        assert values == history.history[key][EPOCHS // 2 :]
    assert _stored(loaded, tmp_path / "loaded") == _stored(whole, tmp_path / "whole")


@each_dtype
@each_network
def test_two_fits_are_one_longer_fit(name, dtype, tmp_path):
    case, (once, history, _) = NETWORKS[name], trained(name, dtype, 2)
    twice = case.network(dtype=dtype, n_threads=2)
    parts = [case.train(twice, epochs).history for epochs in (1, EPOCHS - 1)]
    together = {key: parts[0][key] + parts[1][key] for key in history.history}
    assert together == history.history
    assert _stored(twice, tmp_path / "twice") == _stored(once, tmp_path / "once")


def _used(found):
    """Return the classes of all settings of a network, those inside others too."""
    kinds = {type(found)}
    if isinstance(found, (list, tuple)):
        return kinds.union(*map(_used, found))
    if type(found).__module__.startswith("fastnn."):
        return kinds.union(*map(_used, vars(found).values()))
    return kinds


def test_the_table_has_all_there_is():
    networks = [each.network() for each in NETWORKS.values()]
    used = set().union(*map(_used, networks))
    # Activations are all in test_gradients.
    families = constraints, losses, optimizers, regularizers, schedules, chain
    tables = [initializers.INITIALIZERS, *(family.TABLE for family in families)]
    wanted = {kind for table in tables for kind in table.values()}
    wanted |= {value for value in vars(layers).values() if isinstance(value, type)}
    assert wanted - used == {layers.Layer}
