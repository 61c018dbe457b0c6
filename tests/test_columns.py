"""A frame's columns have names: other names or another order never give numbers without a word."""

import copy
import pickle
import re

import numpy as np
import pytest

import fastnn
from fastnn import Dense, HierarchicalSoftmax, Network, load, preprocessing
from fastnn.datasets import train_test_split, train_validation_test_split
from fastnn.inputs.checks import as_class_weight

pl = pytest.importorskip("polars")

X = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
Y = X @ np.array([[1], [10], [100]], np.float32)
FRAME = pl.DataFrame(X, schema=["a", "b", "c"])
SHUFFLED = FRAME[["b", "a", "c"]]
SWAPPED = "column 'b' at position 0, where training had 'a': "
RIGHT_ORDER = "X[network.feature_names_in_] has the order of training"


def fitted(frame=FRAME, **options):
    network = Network([Dense(1)], **options)
    network.fit(frame, Y)
    return network


def refused(message, function, *arguments, **options):
    with pytest.raises(ValueError, match="^" + re.escape(message) + "$"):
        function(*arguments, **options)


DOORS = {
    "predict": lambda network, frame: network.predict(frame),
    "evaluate": lambda network, frame: network.evaluate(frame, Y),
    "fit": lambda network, frame: network.fit(frame, Y),
    "partial_fit": lambda network, frame: network.partial_fit(frame, Y),
    "train_on_batch": lambda network, frame: network.train_on_batch(frame, Y),
    "explain": lambda network, frame: network.explain(frame, Y),
    "layer_outputs": lambda network, frame: network.layer_outputs(frame),
    "diagnose": lambda network, frame: fastnn.diagnose(network, frame, Y),
    "check_gradients": lambda network, frame: fastnn.check_gradients(network, frame, Y),
    "check_units": lambda network, frame: fastnn.check_units(network, frame),
    "fit_many": lambda network, frame: fastnn.fit_many([Network([Dense(1)]), network], frame, Y),
    "pretrain": lambda network, frame: fastnn.pretrain(network, frame),
    "initialize_from_data": lambda network, frame: fastnn.initialize_from_data(network, frame),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_refuses_another_order(door):
    network = Network([Dense(2), Dense(1)])
    network.fit(FRAME, Y)
    before = network.get_weights()
    hint = RIGHT_ORDER.replace("network.", "networks[1]." if door == "fit_many" else "network.")
    refused(f"X has {SWAPPED}{hint}", DOORS[door], network, SHUFFLED)
    for mine, kept in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, kept)
    assert network.epochs_done == 1


def test_the_hint_helps():
    network = fitted()
    right = SHUFFLED[network.feature_names_in_]
    np.testing.assert_array_equal(network.predict(right), network.predict(X))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME[["a", "c"]], "X lacks the column 'b' of training"),
        (
            FRAME.rename({"a": "A"}),
            "X lacks the column 'a' of training and has the column 'A' that training had not",
        ),
        (
            FRAME.with_columns(d=1.0, e=2.0),
            "X has the columns 'd', 'e' that training had not: "
            "X[network.feature_names_in_] has those of training",
        ),
    ],
)
def test_other_columns(frame, message):
    refused(message, fitted().predict, frame)


def test_validation_data():
    network = Network([Dense(1)])
    wanted = "wanted the order of training"
    message = f"validation X has {SWAPPED}{wanted}"
    refused(message, network.fit, FRAME, Y, validation_data=(SHUFFLED, Y))
    assert not network.built and not hasattr(network, "feature_names_in_")
    network.fit(FRAME, Y, validation_data=(FRAME, Y))
    refused(message, network.fit, X, Y, validation_data=(SHUFFLED, Y))


def test_targets():
    network = Network([Dense(2)])
    targets = pl.DataFrame(np.hstack([Y, -Y]), schema=["a", "b"])
    swapped, wanted = targets[["b", "a"]], "wanted the order of training"
    message = f"validation y has {SWAPPED}{wanted}"
    refused(message, network.fit, FRAME, targets, validation_data=(FRAME, swapped))
    network.fit(FRAME, targets)
    refused(f"y has {SWAPPED}{wanted}", network.evaluate, FRAME, swapped)
    one = fitted()
    one.fit(FRAME, pl.DataFrame({"price": Y[:, 0]}))  # one column cannot be mixed up
    one.fit(FRAME, pl.DataFrame({"cost": Y[:, 0]}))


def test_names_last(tmp_path):
    network = fitted()
    network.save(tmp_path / "network")
    twins = [load(tmp_path / "network"), copy.copy(network), copy.deepcopy(network)]
    twins += [pickle.loads(pickle.dumps(network)), network.compact(tolerance=0.1)]
    for twin in twins:
        assert list(twin.feature_names_in_) == ["a", "b", "c"]
        refused(f"X has {SWAPPED}{RIGHT_ORDER}", twin.predict, SHUFFLED)


def test_a_compacted_network_takes_the_same_frames():
    network = fitted()
    network.set_weights([[[1.0], [0.0], [2.0]], [0.5]])
    small = network.compact()
    assert list(small.inputs_) == [0, 2]
    np.testing.assert_allclose(small.predict(FRAME), network.predict(FRAME), rtol=1e-6)
    refused(f"X has {SWAPPED}{RIGHT_ORDER}", small.predict, SHUFFLED)


def test_files_without_names_still_load(tmp_path, monkeypatch):
    from fastnn.files import modelfile, storage

    save = storage.save

    def old(path, arrays, header):
        del header["feature_names"], header["target_names"]
        save(path, arrays, header)

    monkeypatch.setattr(modelfile.storage, "save", old)
    fitted().save(tmp_path / "network")
    network = load(tmp_path / "network")
    assert not hasattr(network, "feature_names_in_")
    assert network.predict(SHUFFLED).shape == (40, 1)


def test_arrays_go_by_position():
    network = fitted()
    np.testing.assert_array_equal(network.predict(X), network.predict(FRAME))
    late = fitted(X)
    assert not hasattr(late, "feature_names_in_")
    np.testing.assert_array_equal(late.predict(SHUFFLED), late.predict(SHUFFLED.to_numpy()))
    late.fit(FRAME, Y)  # the first frame that trains it gives the names
    refused(f"X has {SWAPPED}{RIGHT_ORDER}", late.predict, SHUFFLED)


def test_pretraining_gives_names():
    network = Network([Dense(2), Dense(1)])
    fastnn.pretrain(network, FRAME, epochs=1)
    refused(f"X has {SWAPPED}{RIGHT_ORDER}", network.fit, SHUFFLED, Y)


def test_transformers(tmp_path):
    message = f"X has {SWAPPED}X[transformer.feature_names_in_] has the order of training"
    for transformer in (preprocessing.Standardize(), preprocessing.Chain(["center", "min_max"])):
        transformer.fit(FRAME)
        assert list(transformer.feature_names_in_) == ["a", "b", "c"]
        refused(message, transformer.transform, SHUFFLED)
        transformer.fit(X)
        assert not hasattr(transformer, "feature_names_in_")
    network = fitted(preprocessing="standardize")
    refused(f"X has {SWAPPED}{RIGHT_ORDER}", network.predict, SHUFFLED)
    refused(message, network.preprocessing.transform, SHUFFLED)
    network.save(tmp_path / "network")
    refused(message, load(tmp_path / "network").preprocessing.transform, SHUFFLED)


def test_pandas():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    network = fitted(frame)
    refused(f"X has {SWAPPED}{RIGHT_ORDER}", network.predict, frame[["b", "a", "c"]])
    refused(f"X has {SWAPPED}{RIGHT_ORDER}", network.predict, SHUFFLED)
    right = frame[["b", "a", "c"]][network.feature_names_in_]
    np.testing.assert_array_equal(network.predict(right), network.predict(X))
    twice = frame[["a", "a", "c"]]
    message = "X has two columns 'a', wanted a different name for each"
    refused(message, Network([Dense(1)]).fit, twice, Y)
    refused(message, preprocessing.Center().fit, twice)
    levels = frame.set_axis(pandas.MultiIndex.from_product([["u"], [1, 2, 3]]), axis=1)
    with pytest.raises(ValueError, match=r"^X has column \"\('u', 2\)\" at position 0"):
        fitted(levels).predict(levels[[("u", 2), ("u", 1), ("u", 3)]])


def test_numbered_columns_are_positions_but_not_in_another_order(tmp_path):
    pandas = pytest.importorskip("pandas")
    numbered, named = pandas.DataFrame(X), pandas.DataFrame(X, columns=["a", "b", "c"])
    network = fitted(numbered)
    network.save(tmp_path / "network")
    for each in (network, load(tmp_path / "network")):
        with pytest.raises(ValueError, match="^X has column 2 at position 0, where training had 0"):
            each.predict(numbered[[2, 0, 1]])
        np.testing.assert_array_equal(each.predict(named), each.predict(X))
    np.testing.assert_array_equal(fitted(named).predict(numbered), fitted(named).predict(X))
    network.fit(named, Y)
    assert list(network.feature_names_in_) == ["a", "b", "c"]
    side_by_side = pandas.concat([numbered, numbered], axis=1)  # 0 1 2 0 1 2
    assert fitted(side_by_side).predict(side_by_side).shape == (40, 1)


def test_pyarrow():
    pa = pytest.importorskip("pyarrow")
    table = pa.table(FRAME.to_dict())
    network = fitted(table)
    for form in (table, table.to_batches()[0]):
        np.testing.assert_array_equal(network.predict(form), network.predict(X))
        swapped = form.select(["b", "a", "c"])
        hint = "X.select(network.feature_names_in_) has the order of training"
        refused(f"X has {SWAPPED}{hint}", network.predict, swapped)
        right = swapped.select(network.feature_names_in_)
        np.testing.assert_array_equal(network.predict(right), network.predict(X))


def test_a_series_gives_class_weights_and_frequencies_by_its_index():
    pandas = pytest.importorskip("pandas")
    labels = pandas.Series([2, 2, 2, 0, 1, 1])
    counts = labels.value_counts()  # 2, 1, 0
    np.testing.assert_array_equal(as_class_weight(counts, range(3), "it"), [1, 2, 3])
    np.testing.assert_array_equal(as_class_weight(counts[[2]], range(3), "it"), [1, 1, 3])
    message = "class_weight has labels twice in its index, wanted a value for each label"
    refused(message, as_class_weight, pandas.concat([counts, counts]), range(3), "it")
    layer = HierarchicalSoftmax(3, tree="huffman", frequencies=counts)
    assert layer.frequencies == [1, 2, 3]
    message = "frequencies has labels 2, 1, wanted 0 to 1"
    refused(message, HierarchicalSoftmax, 2, tree="huffman", frequencies=counts[[2, 1]])


def test_splits_read_nothing_wrongly():
    message = "^X is a LazyFrame, a query whose rows do not exist yet"
    with pytest.raises(TypeError, match=message):
        train_test_split(FRAME.lazy(), Y)
    with pytest.raises(TypeError, match="^y is a masked array, wanted plain numbers"):
        train_validation_test_split(X, np.ma.masked_less(Y, 0))


def test_splits_keep_frames():
    expected = train_test_split(X, Y)
    whole = train_validation_test_split(X, Y)
    forms = [FRAME]
    for library in ("pandas", "pyarrow"):
        module = pytest.importorskip(library)
        make = module.DataFrame if library == "pandas" else module.table
        forms.append(make(FRAME.to_dict(as_series=False)))
    for form in forms:
        for parts, wanted in ((train_test_split(form, Y), expected),
                              (train_validation_test_split(form, Y), whole)):  # fmt: skip
            assert {type(part) for part in parts[: len(parts) // 2]} == {type(form)}
            for part, array in zip(parts, wanted, strict=True):
                np.testing.assert_array_equal(np.asarray(part), array)
