"""Model files that say what no network can be: refused with one error, fast, and in little memory.

Their checksums are right: somebody made them, or another program did.
"""

import copy
import os
import pickle
import time
import tracemalloc

import numpy as np
import pytest

import fastnn
from fastnn import (
    Adam,
    BatchNormalization,
    Dense,
    HierarchicalSoftmax,
    Network,
    preprocessing,
)
from fastnn.files import storage

HUGE = 200_000_000
X = np.linspace(-1, 1, 60).reshape(20, 3)


@pytest.fixture(scope="module")
def forged(tmp_path_factory):
    """Return a function that changes a file's header and arrays, and loads it."""
    path = tmp_path_factory.mktemp("forged") / "network"
    layers = [Dense(4, "relu"), BatchNormalization(), Dense(1)]
    steps = ["standardize", "min_max", "center", preprocessing.PCA(2)]
    network = Network(layers, optimizer=Adam(amsgrad=True), preprocessing=steps)
    network.model.preprocessing.fit(X)
    network.build(2)
    network.model.keep_state()
    network.extra = {"a": 1}
    network.save(path)
    arrays, header = storage.load(path)

    def load(change):
        now = copy.deepcopy(arrays), copy.deepcopy(header)
        change(*now)
        storage.save(path, *now)
        return fastnn.load(path)

    load(lambda arrays, header: None).save(path)
    assert str(storage.load(path)) == str((arrays, header))
    return load


def put(name, value):
    """Return a change of an array."""
    return lambda arrays, header: arrays.update({name: value(arrays[name])})


def say(*places, value):
    """Return a change of the header, at nested places."""

    def change(arrays, header):
        for place in places[:-1]:
            header = header[place]
        header[places[-1]] = value

    return change


def drop(name):
    return lambda arrays, header: (arrays if name in arrays else header).pop(name)


def filled(value):
    return lambda array: np.full_like(array, value)


STATE, CHAIN = "optimizer.layers.0.kernel.", "preprocessing."
FORGED = {
    "a state of another shape": put(STATE + "m", lambda a: a[:1, :1]),
    "a state of another type": put(STATE + "m", lambda a: a.astype("f8")),
    "a state of NaN": put(STATE + "m", filled(np.nan)),
    "a negative mean square": put(STATE + "v", filled(-1)),
    "a negative maximum": put(STATE + "largest", filled(-1e-30)),
    "a state less": drop(STATE + "m"),
    "a state of what is not trained": lambda a, h: a.update(
        {"optimizer.layers.1.moving_mean.m": a["layers.1.beta"]}
    ),
    "a state of no parameter": lambda a, h: a.update({"optimizer.layers.9.kernel.m": np.ones(1)}),
    "weights of another shape": put("layers.0.kernel", lambda a: a[:1]),
    "weights of no dimension": put("layers.0.bias", lambda a: a[0]),
    "weights of NaN": put("layers.0.kernel", filled(np.nan)),
    "a weight less": drop("layers.2.bias"),
    "an array more": lambda a, h: a.update({"more": np.ones(1)}),
    "a negative variance": put("layers.1.moving_variance", filled(-1)),
    **{f"updates {value!r}": say("updates", value=value) for value in (-5, "a", 2**70, 1.0, None)},
    **{f"epochs {value!r}": say("epochs", value=value) for value in (-1, [3], 10**40, True)},
    **{f"seed {value!r}": say("seed", value=value) for value in (-1, 2**70, "x", None)},
    **{f"n_inputs {value!r}": say("n_inputs", value=value) for value in (0, 3, 2.0, 10**30, "2")},
    **{
        f"inputs {value!r}"[:40]: say("inputs", value=value)
        for value in ([], [0, 10**30], [0, -1], [0, 2], [0.5, 1], [[0], [1]], "01", 3, [True, 0])
    },
    **{
        f"units {value!r}": say("layers", 0, "units", value=value)
        for value in (HUGE, 10**30, -1, 4.0, "4", None, [4])
    },
    "units everywhere": lambda a, h: [layer.update(units=HUGE) for layer in h["layers"][::2]],
    "many classes": lambda a, h: h.update(
        layers=[{"name": "HierarchicalSoftmax", "n_classes": 9_000_000}],
        loss="softmax_cross_entropy",
    ),
    "no layers": say("layers", value=[]),
    "layers of text": say("layers", value="Dense"),
    "an unknown layer": say("layers", 0, "name", value="Danse"),
    "a layer without a name": lambda a, h: h["layers"][0].pop("name"),
    "an unknown setting": say("layers", 0, "unitz", value=4),
    "a layer more": lambda a, h: h["layers"].append({"name": "Dense", "units": 1}),
    "an unknown dtype": say("dtype", value="float16"),
    "another dtype": say("dtype", value="float64"),
    "a rate of 10**400": say("optimizer", "learning_rate", value=10**400),
    "a negative rate": say("optimizer", "learning_rate", value=-1),
    "an optimizer of numbers": say("optimizer", value=[1, 2]),
    "a loss in a list": say("loss", value=[]),
    "a custom loss without a name": say("loss", value={"name": "Custom"}),
    "a custom loss with a list for a name": say("loss", value={"name": "Custom", "key": []}),
    "no epochs": drop("epochs"),
    "an unknown key": say("preprocessinh", value=[]),
    "no preprocessing for its arrays": say("preprocessing", value=None),
    "a preprocessing of numbers": say("preprocessing", value=[3]),
    "a step less": lambda a, h: h["preprocessing"].pop(),
    "components of another width": put(CHAIN + "3.components_", lambda a: a[:, :2]),
    "fewer components": put(CHAIN + "3.components_", lambda a: a[:1]),
    "a component less everywhere": lambda a, h: a.update(
        {
            CHAIN + f"3.{name}_": a[CHAIN + f"3.{name}_"][:1]
            for name in ("components", "explained_variance", "explained_variance_ratio")
        }
    ),
    "components of NaN": put(CHAIN + "3.components_", filled(np.nan)),
    "components in float32": put(CHAIN + "3.components_", lambda a: a.astype("f4")),
    "a negative explained variance": put(CHAIN + "3.explained_variance_", filled(-1)),
    "means of another width": put(CHAIN + "0.mean_", lambda a: a[:2]),
    "a mean of no dimension": put(CHAIN + "2.mean_", lambda a: a[0]),
    "a scale of 0": put(CHAIN + "0.scale_", filled(0)),
    "a negative range": put(CHAIN + "1.scale_", filled(-1)),
    "an infinite offset": put(CHAIN + "1.offset_", filled(np.inf)),
    "another width of a step": put(CHAIN + "1.n_features_in_", lambda a: a + 1),
    "a width in parts": put(CHAIN + "0.n_features_in_", lambda a: a + 0.5),
    "another width of the chain": put(CHAIN + "width_", lambda a: a + 1),
    "a negative width": put(CHAIN + "n_features_in_", lambda a: -a),
    "a list for a width": put(CHAIN + "width_", lambda a: np.array([2])),
    "an array of a step less": drop(CHAIN + "1.offset_"),
    "names for other columns": say("feature_names", value=["a"]),
    "the same name twice": say("feature_names", value=["a", "b", "a"]),
    "names in lists": say("feature_names", value=[["a"], ["b"], ["c"]]),
    "a text for names": say("feature_names", value="abc"),
    "too many target names": say("target_names", value=["a", "b"]),
    "extra of text": say("extra", value="a"),
    "a metric of numbers": say("metrics", value=[3]),
    "metrics of text": say("metrics", value="nonsense"),
    "a thread count of text": say("n_threads", value="2"),
    "a penalty of numbers": say("kernel_regularizer", value=3),
    "another format": say("format", value=[]),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_file_is_refused(forged, name):
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(ValueError, match="network(:| is not a) ") as error:
            forged(FORGED[name])
        assert len(str(error.value)) < 1000
        assert time.perf_counter() - began < 1
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_what_load_could_not_read_is_not_saved(tmp_path):
    path, network = tmp_path / "network", Network([Dense(1)])
    network.build(1)
    deep, ring = {}, {}
    for _ in range(300):
        deep = {"in": deep}
    ring["in"] = [ring]
    for extra, message in (
        ({1: "a", "1": "b"}, "a key appears twice"),
        (deep, "extra is nested deeper than 200 levels"),
        (ring, "extra is nested deeper than 200 levels, or contains itself"),
    ):
        with pytest.raises(ValueError, match=message):
            network.save(path, extra=extra)
    assert not path.exists()


def _chain(depth):
    tree = 0
    for label in range(1, depth + 1):
        tree = (tree, label)
    return tree


def test_a_tree_of_any_depth_is_saved_loaded_copied_and_pickled(tmp_path):
    tree = _chain(5000)
    layers = [HierarchicalSoftmax(5001, tree)]
    network = Network(layers, loss="softmax_cross_entropy")
    network.build(2)
    network.save(tmp_path / "network")
    lengths = layers[0].path_lengths.tolist()
    loaded = fastnn.load(tmp_path / "network")
    for again in (loaded, copy.copy(network), pickle.loads(pickle.dumps(network))):
        assert again.layers[0] == layers[0] and repr(again.layers) == repr(layers)
        assert again.layers[0].path_lengths.tolist() == lengths
    arrays, header = storage.load(tmp_path / "network")
    header["layers"][0]["tree"] = [[0, 1], 2]  # as older files have it
    header["layers"][0]["n_classes"] = 3
    arrays = {name: array[:2] for name, array in arrays.items()}
    storage.save(tmp_path / "old", arrays, header)
    assert fastnn.load(tmp_path / "old").layers[0].tree == [-1, 2, 0, 1]


def test_too_many_classes_are_refused_at_once():
    with pytest.raises(ValueError, match="n_classes must be at least 2 and at most 10,000,000"):
        HierarchicalSoftmax(10**12)
    ring = [0]
    ring.append(ring)
    with pytest.raises(ValueError, match="tree has class 0 twice"):
        HierarchicalSoftmax(4, ring)


def test_a_network_goes_through_a_pipe(tmp_path):
    network = Network([Dense(1)])
    network.build(1)
    network.save(tmp_path / "network")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    network.save(tmp_path / "pipe")
    assert os.read(reader, 100_000) == (tmp_path / "network").read_bytes()
    os.close(reader)
