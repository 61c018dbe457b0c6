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
from tests.networks import AGREEMENT, EPOCHS, NETWORKS

each_dtype = pytest.mark.parametrize("dtype", AGREEMENT)


@pytest.fixture(params=NETWORKS)
def case(request):
    """A network of the table."""
    return NETWORKS[request.param]


def _results(case, **options):
    """Return all numbers that come out of a training."""
    network = case.network(**options)
    return case.results(network, case.train(network))


def _stored(network, path):
    """Return all that is kept of a network: weights, the optimizer's state, counters, settings."""
    network.save(path, extra={"note": "ä"})
    return path.read_bytes()


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
def test_the_same_bits_on_any_number_of_threads(case, dtype):
    first = [array.tobytes() for array in _results(case, dtype=dtype, n_threads=1)]
    for n_threads in (2, 3, 5):
        again = [array.tobytes() for array in _results(case, dtype=dtype, n_threads=n_threads)]
        assert again == first, n_threads


@each_dtype
def test_compiled_and_reference_runs_agree(case, dtype):
    compiled, reference = (_results(case, dtype=dtype, backend=b) for b in ("numba", "numpy"))
    for actual, expected in zip(compiled, reference, strict=True):
        assert np.abs(actual - expected).max() <= AGREEMENT[dtype] * max(1, np.abs(expected).max())
    for actual, expected in zip(compiled[:-3], reference, strict=False):  # the weights
        assert ((actual == 0) == (expected == 0)).all()


@each_dtype
def test_a_stored_run_goes_on_as_if_it_had_never_been_stored(case, dtype, tmp_path):
    whole, half = (case.network(dtype=dtype, n_threads=1) for _ in range(2))
    history = case.train(whole).history
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
    for name, values in rest.items():
        assert values == history[name][EPOCHS // 2 :]
    assert _stored(loaded, tmp_path / "loaded") == _stored(whole, tmp_path / "whole")


@each_dtype
def test_two_fits_are_one_longer_fit(case, dtype, tmp_path):
    once, twice = (case.network(dtype=dtype, n_threads=2) for _ in range(2))
    history = case.train(once).history
    parts = [case.train(twice, epochs).history for epochs in (1, EPOCHS - 1)]
    assert {name: parts[0][name] + parts[1][name] for name in history} == history
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
